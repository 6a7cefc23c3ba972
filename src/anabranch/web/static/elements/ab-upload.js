// <ab-upload>: files dropped anywhere on a page go up in parts, three at once. They can be paused, go on after a lost
// network, a killed server and a reload, and show what becomes of them: bytes first, then branches.

import "../vendor/tus-js-client/tus.min.js";
import { local } from "../lib/api.js";
import { fill, list } from "../lib/bind.js";
import { follow } from "../lib/changes.js";
import * as kept from "../lib/kept.js";
import { say } from "../lib/say.js";
import { percent, size, span, status } from "../lib/words.js";

const AT_ONCE = 3;
const CHUNK_BYTES = 16 << 20;
// A larger file is not kept for a reload: the browser would copy it first.
const KEPT_BYTES = 256 << 20;
const KEPT_IN_ALL_BYTES = 2 ** 30;
const RETRY_MS = [0, 1000, 3000, 5000, 10_000, 20_000, 60_000];
// How much of the past a rate is measured over.
const RATE_MS = 8000;
const DRAW_MS = 200;
const SENDABLE = ["paused", "failed"];
// What the server answers of an upload that it no longer has.
const GONE = [404, 410];

/** Sends to this page's own address, whatever name the server gives itself. */
class OwnStack extends tus.DefaultHttpStack {
  createRequest(method, url) {
    return super.createRequest(method, local(url));
  }
}

/** One upload: its row, which outlives a reload, and its file. Its state: waiting for its turn, sending, paused, missing (its file), failed, sent, ended. */
class Job {
  constructor(row, file) {
    this.row = row;
    this.file = file;
    this.state = file ? (row.paused ? "paused" : "waiting") : "missing";
    this.sent = row.sent ?? 0;
    this.error = "";
    this.media = null;
    // Whether the browser's database has its row, and whether it was begun anew since it last went on.
    this.stored = false;
    this.anew = false;
    this.rates = [];
    this.over = new Promise((resolve) => { this.end = resolve; });
  }

  progress(sent) {
    this.sent = sent;
    const now = performance.now();
    this.rates.push([now, sent]);
    while (now - this.rates[0][0] > RATE_MS) this.rates.shift();
  }

  get leftMs() {
    const [[from, had], [to, has]] = [this.rates[0] ?? [0, 0], this.rates.at(-1) ?? [0, 0]];
    return to - from > 1000 && has > had ? ((this.row.size - has) * (to - from)) / (has - had) : null;
  }

  get said() {
    const bytes = `${size(this.sent)} of ${size(this.row.size)}`;
    if (this.state === "waiting") return `Waits for its turn · ${size(this.row.size)}`;
    if (this.state === "sending") return this.leftMs === null ? bytes : `${bytes} · ${span(this.leftMs)} left`;
    if (this.state === "paused") return `Paused · ${bytes}`;
    if (this.state === "missing") return `${bytes} are there. The browser no longer has the file.`;
    if (this.state === "failed") return this.error;
    if (!this.media) return "Uploaded";
    return this.media.status === "processing" ? `Working · ${percent(this.media.percent)}` : status(this.media.status);
  }

  view() {
    return {
      id: this.row.id,
      name: this.row.name,
      state: this.state,
      percent: this.row.size ? (100 * this.sent) / this.row.size : 0,
      said: this.said,
      link: this.media ? `/watch/${this.media.id}` : null,
      arms: this.media?.branches ?? [],
      sending: ["waiting", "sending"].includes(this.state),
      stopped: SENDABLE.includes(this.state),
      missing: this.state === "missing",
      open: !["sent", "ended"].includes(this.state),
    };
  }
}

customElements.define("ab-upload", class extends HTMLElement {
  #stop = new AbortController();
  #jobs = [];
  #drawing = 0;
  #follows = false;
  #copying = Promise.resolve();

  connectedCallback() {
    const signal = this.#stop.signal;
    this.list = this.querySelector(".tray-list");
    this.addEventListener("click", (event) => this.#press(event), { signal });
    this.addEventListener("change", (event) => this.#chosenAgain(event), { signal });
    this.#listenForDrops(signal);
    this.#takeOverForm(signal);
    addEventListener("online", () => {
      for (const job of this.#jobs) if (job.state === "failed") this.#go(job);
    }, { signal });
    addEventListener("beforeunload", (event) => {
      // Only where something would have to be done by hand.
      if (this.#jobs.some((job) => ["waiting", "sending"].includes(job.state) && !job.row.kept)) event.preventDefault();
    }, { signal });
    kept.every().then((rows) => { for (const row of rows) this.#own(row.id); }, () => {});
  }

  disconnectedCallback() {
    this.#stop.abort();
    for (const job of this.#jobs) job.upload?.abort();
  }

  /** Upload files; those that were begun before go on. */
  add(files) {
    for (const file of files) {
      const begun = this.#jobs.find((job) => job.state === "missing" && same(job.row, file));
      if (begun) this.#give(begun, file);
      else this.#begin(file);
    }
  }

  #begin(file) {
    if (!file.size) return say(`${file.name} has no bytes.`, "bad");
    const row = {
      id: `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`,
      name: file.name, size: file.size, type: file.type, lastModified: file.lastModified,
      url: null, mediaId: null, sent: 0, paused: false, kept: false,
    };
    const job = new Job(row, file);
    this.#take(job);
    this.#own(row.id, job);
    // One after another: the browser writes each to its disk. In a private window, or where there is no room, it is
    // uploaded all the same.
    this.#copying = this.#copying.then(() => this.#copy(job, file)).catch(() => {});
  }

  #take(job) {
    this.#jobs.push(job);
    // Not before: a stream is one of the few connections that a browser has for a server.
    if (!this.#follows) follow({ progress: (media) => this.#tell(media) }, this.#stop.signal);
    this.#follows = true;
  }

  /** Keep the file for a reload. */
  async #copy(job, file) {
    const { row } = job;
    const isOver = () => !this.#jobs.includes(job) || ["sent", "ended"].includes(job.state);
    if (row.size > KEPT_BYTES || isOver()) return;
    const others = (await kept.every()).filter((one) => one.kept && one.id !== row.id);
    if (others.reduce((sum, one) => sum + one.size, row.size) > KEPT_IN_ALL_BYTES) return;
    await kept.putFile(row.id, file);
    if (isOver()) return kept.forget(row.id);
    row.kept = true;
    this.#keep(job);
  }

  /** Work on an upload in one window at a time: another one goes on when this is closed. */
  #own(id, given) {
    const work = async () => {
      let job = given;
      if (!job) {
        const row = await kept.one(id);
        if (!row || this.#stop.signal.aborted) return;
        job = new Job(row, await kept.file(id));
        job.stored = true;
        row.kept = Boolean(job.file);
        // Without locks another window may be sending it, which a person knows.
        if (!navigator.locks && job.file) job.state = "paused";
        this.#take(job);
      }
      if (given || navigator.locks) this.#keep(job);
      this.#next();
      await job.over;
    };
    // Browsers have locks on https and localhost only. Elsewhere nothing goes on by itself after a reload.
    return navigator.locks ? navigator.locks.request(`anabranch-upload-${id}`, work) : work();
  }

  #give(job, file) {
    job.file = file;
    this.#go(job);
  }

  #go(job) {
    job.row.paused = false;
    job.state = "waiting";
    job.error = "";
    // Without locks the row is looked at first.
    if (navigator.locks) this.#keep(job);
    this.#next();
  }

  #next() {
    let free = AT_ONCE - this.#jobs.filter((job) => job.state === "sending").length;
    for (const job of this.#jobs) {
      if (free <= 0) break;
      if (job.state === "waiting") { this.#send(job); free -= 1; }
    }
    this.#draw();
  }

  async #send(job) {
    job.state = "sending";
    job.rates = [];
    const turn = (job.turn = Symbol("turn"));
    if (!navigator.locks && !(await this.#isOurs(job))) return;
    // It may have been paused or given up meanwhile.
    if (job.turn !== turn || job.state !== "sending" || !this.#jobs.includes(job)) return;
    const { name, type, url } = job.row;
    job.upload = new tus.Upload(job.file, {
      // Only for a new one. With it, an upload that cannot be asked for at the moment would begin anew, from byte 0.
      endpoint: url ? null : "/uploads",
      uploadUrl: url,
      httpStack: new OwnStack(),
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_MS,
      storeFingerprintForResuming: false,
      metadata: { filename: name, filetype: type || "application/octet-stream" },
      onUploadUrlAvailable: () => {
        job.row.url = job.upload.url;
        job.upload.options.endpoint = null;
        this.#keep(job);
      },
      onAfterResponse: (_, answer) => { job.row.mediaId = answer.getHeader("X-Media-Id") || job.row.mediaId; },
      onProgress: (sent) => { job.progress(sent); this.#draw(); },
      onChunkComplete: () => { job.anew = false; this.#keep(job); },
      onSuccess: () => this.#sent(job),
      onError: (error) => this.#failed(job, error),
    });
    job.upload.start();
  }

  /** Go on from where another window has come. Whether there is something to go on with: it may have finished it. */
  async #isOurs(job) {
    try {
      const row = await kept.one(job.row.id);
      if (row) {
        job.row.url = row.url ?? job.row.url;
        job.row.mediaId = row.mediaId ?? job.row.mediaId;
      } else if (job.stored) {
        this.#jobs = this.#jobs.filter((one) => one !== job);
        job.end();
        say(`${job.row.name} was uploaded or given up in another window.`);
        this.#next();
        return false;
      }
      this.#keep(job);
    } catch {
      // No database: no other window knows of it.
    }
    return true;
  }

  #sent(job) {
    job.sent = job.row.size;
    job.state = "sent";
    job.file = null;
    kept.forget(job.row.id).catch(() => {});
    job.end();
    this.#next();
  }

  #failed(job, error) {
    if (job.row.url && !job.anew && GONE.includes(error.originalResponse?.getStatus())) {
      Object.assign(job.row, { url: null, mediaId: null });
      job.sent = 0;
      job.anew = true;
      this.#keep(job);
      return this.#go(job);
    }
    job.state = "failed";
    job.error = reason(error);
    this.#next();
  }

  async #pause(job) {
    job.state = "paused";
    job.row.paused = true;
    await job.upload?.abort();
    this.#keep(job);
    this.#next();
  }

  async #cancel(job) {
    this.#jobs = this.#jobs.filter((one) => one !== job);
    kept.forget(job.row.id).catch(() => {});
    job.end();
    this.#next();
    try {
      if (job.upload) await job.upload.abort(true);
      else if (job.row.url) await tus.Upload.terminate(job.row.url, { httpStack: new OwnStack(), retryDelays: [] });
    } catch {
      // The server forgets it within a week anyhow.
    }
  }

  #keep(job) {
    job.row.sent = job.sent;
    kept.put(job.row).then(() => { job.stored = true; }, () => {});
  }

  #tell(media) {
    const job = this.#jobs.find((one) => one.row.mediaId === media.id && ["sent", "ended"].includes(one.state));
    if (!job) return;
    job.media = media;
    job.state = media.status === "processing" ? "sent" : "ended";
    this.#draw();
  }

  #press(event) {
    const wanted = event.target.closest("[data-do]")?.dataset.do;
    if (wanted === "clear") {
      this.#jobs = this.#jobs.filter((job) => !["sent", "ended"].includes(job.state));
      this.#draw();
    }
    const job = this.#jobs.find((one) => one.row.id === event.target.closest(".job")?.dataset.id);
    if (!job) return;
    if (wanted === "pause") this.#pause(job);
    if (wanted === "resume") this.#go(job);
    if (wanted === "cancel") this.#cancel(job);
  }

  #chosenAgain(event) {
    const input = event.target.closest("[data-choose]");
    const file = input?.files[0];
    if (!file) return;
    const job = this.#jobs.find((one) => one.row.id === input.closest(".job").dataset.id);
    if (same(job.row, file)) this.#give(job, file);
    else say(`That is another file. ${job.row.name} had ${size(job.row.size)}.`, "bad");
    input.value = "";
  }

  #listenForDrops(signal) {
    const here = document.querySelector(".drop-here");
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      here.hidden = false;
    }, { signal });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) here.hidden = true; }, { signal });
    document.addEventListener("drop", async (event) => {
      here.hidden = true;
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.add(await dropped(event.dataTransfer));
    }, { signal });
  }

  /** The form that uploads without JavaScript chooses files for this, and several. */
  #takeOverForm(signal) {
    const input = document.getElementById("add-file");
    if (!input) return;
    input.multiple = true;
    input.form.querySelector("button").hidden = true;
    const around = input.closest("details");
    const close = () => { around.open = false; };
    const take = () => {
      this.add([...input.files]);
      input.value = "";
      close();
    };
    input.addEventListener("change", take, { signal });
    // Somebody may have been quicker than this file.
    if (input.files.length) take();
    document.addEventListener("click", (event) => { if (!around.contains(event.target)) close(); }, { signal });
    around.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      close();
      around.querySelector("summary").focus();
    }, { signal });
  }

  /** Draw soon, and not more often than an eye can follow. */
  #draw() {
    if (this.#drawing) return;
    this.#drawing = setTimeout(() => {
      this.#drawing = 0;
      const jobs = this.#jobs.map((job) => job.view());
      const open = jobs.filter((job) => job.open).length;
      const focused = this.contains(document.activeElement) ? document.activeElement : null;
      const place = this.#rows().findIndex((one) => one.contains(focused));
      this.hidden = jobs.length === 0;
      const finished = jobs.length - open;
      const sum = open ? `Uploading ${open}` : `${finished} uploaded`;
      fill(this.querySelector(".tray-head"), { sum, finished });
      list(this.list, jobs);
      if (focused && (!focused.isConnected || focused.closest("[hidden]"))) this.#focusNear(place);
    }, DRAW_MS);
  }

  #rows() {
    return [...this.list.querySelectorAll(":scope > .job")];
  }

  /** The button that had the focus is gone: go on at the one in its place, or else at the next upload. */
  #focusNear(place) {
    const rows = this.#rows();
    const button = (rows[place] ?? rows.at(-1))?.querySelector("button:not([hidden])");
    (button ?? (this.hidden ? document.getElementById("main") : this)).focus({ preventScroll: true });
  }
});

const same = (row, file) => row.name === file.name && row.size === file.size && row.lastModified === file.lastModified;

/** What the server says is wrong, or that it does not answer. */
function reason(error) {
  try {
    const said = JSON.parse(error.originalResponse.getBody());
    if (said.detail) return said.detail;
  } catch {
    // No answer, or none of ours.
  }
  return "The server cannot be reached. What it has is kept; go on when it is back.";
}

/** The files of a drop, also those in folders. */
async function dropped(transfer) {
  // Asked for at once: after a pause the browser no longer tells.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...transfer.files];
  if (!entries.some((entry) => entry.isDirectory)) return plain;
  return (await Promise.all(entries.map(within))).flat();
}

/** The files in an entry. What cannot be read is said, and the others go up. */
async function within(entry) {
  const found = [];
  try {
    if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
    const reader = entry.createReader();
    for (;;) {
      // A folder is told in portions; an empty one is the last.
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      found.push(...some);
    }
  } catch {
    say(`${entry.name} cannot be read.`, "bad");
  }
  return (await Promise.all(found.filter((one) => !one.name.startsWith(".")).map(within))).flat();
}
