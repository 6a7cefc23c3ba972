// Numbers, times and names as a person reads them. The templates say the same: src/anabranch/web/words.py.

const BRANCHES = { "hls-package": "Video", "poster-image": "Poster", "gif-preview": "Preview", "audio-transcription": "Transcript" };
const STATUSES = {
  waiting: "Waiting", queued: "Queued", pending: "Pending", processing: "Working", running: "Running", scheduled: "Scheduled",
  active: "Active", paused: "Paused", gone: "Gone", ready: "Ready",
  completed: "Done", delivered: "Delivered", degraded: "Incomplete", interrupted: "Interrupted", lost: "Lost", dropped: "Dropped",
  failed: "Failed", cancelled: "Cancelled",
};
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const two = (number) => String(number).padStart(2, "0");
const unknown = (value) => value === null || value === undefined;

export const branch = (name) => BRANCHES[name] ?? name;
export const status = (name) => STATUSES[name?.toLowerCase()] ?? name;
export const named = (work) => work.title || work.mediaId || work.taskId;
// A task of no film has no page.
export const watch = (id) => (id ? `/watch/${id}` : "");
export const what = (error) => {
  const [said, hint] = [error?.message ?? "", error?.hint ?? ""];
  return (hint && said.endsWith(hint) ? said.slice(0, -hint.length) : said).trimEnd();
};
export const titleOf = (media) => media.title || media.id;

export function duration(seconds) {
  if (unknown(seconds)) return "";
  const whole = Math.floor(seconds + 0.5);
  const [hours, minutes, left] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(left)}` : `${minutes}:${two(left)}`;
}

export function size(count) {
  if (unknown(count)) return "";
  let [value, unit] = [count, 0];
  while (value >= 999.5 && unit < UNITS.length - 1) { value /= 1000; unit += 1; }
  return `${value.toFixed(unit === 0 || value >= 99.95 ? 0 : 1)} ${UNITS[unit]}`;
}

export const percent = (value) => (unknown(value) ? "" : `${Math.floor(value)} %`);

export function span(milliseconds) {
  if (unknown(milliseconds)) return "";
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${seconds} s`;
}

export function lasted(milliseconds) {
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const whole = Math.round(milliseconds / 1000);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

/** People count from one. */
export const piece = (name) => name.replace(/^(.+)-(\d+)$/, (_, stem, digits) => `${stem} ${Number(digits) + 1}`);

export function ago(milliseconds) {
  if (unknown(milliseconds)) return "";
  return milliseconds < 60_000 ? "just now" : `${span(milliseconds)} ago`;
}

export const iso = (momentMs) => (unknown(momentMs) ? "" : `${new Date(momentMs).toISOString().slice(0, 19)}Z`);

export const number = (value) => (unknown(value) ? "" : Math.floor(value + 0.5).toLocaleString("en-US"));
export const share = (part) => 100 * (part ?? 0);
export const times = (speed) => (unknown(speed) ? "" : `${speed.toFixed(1)}×`);
export const seconds = (value) => (unknown(value) ? "" : span(value * 1000));
export const used = (disk) => (disk?.totalBytes ? Math.round(1000 * (1 - disk.freeBytes / disk.totalBytes)) / 10 : 0);
export const counted = (failures) => (failures ?? []).reduce((sum, one) => sum + one.count, 0);
