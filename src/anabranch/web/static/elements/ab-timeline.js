// <ab-timeline>: what was done when. A lane is a branch, a bar is an attempt at a piece of it. The page has the lanes
// and says in words how they fare; this draws the bars, keeps them moving, and opens one.

import { get } from "../lib/api.js";
import { follow } from "../lib/media.js";
import { duration, lasted, percent as told, piece as pieceName } from "../lib/words.js";

const EVERY_MS = 1000;
const LEISURE = 4;
const OPEN = ["queued", "waiting", "processing", "running"];
// A pause that is longer than this part of the work, and than these seconds, is drawn as a short break.
const LONGEST_PAUSE = 0.15;
const LONGEST_PAUSE_MS = 12_000;
const BREAK = 0.05;
const NARROWEST_PX = 9;
// Steps of the axis, in seconds.
const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400];
const TICKS = 6;
// A label that begins behind this has no room on its right.
const LATE = 0.93;

/** The time line: where on it a moment is, from 0 to 1, with long pauses taken out. */
class Scale {
  constructor(spans, now, running) {
    const sorted = spans.map(([start, end]) => [start, end ?? now]).sort((one, other) => one[0] - other[0]);
    this.began = sorted[0]?.[0] ?? now;
    const merged = [];
    for (const [start, end] of sorted) {
      const last = merged.at(-1);
      if (last && start <= last[1]) last[1] = Math.max(last[1], end);
      else merged.push([start, end]);
    }
    if (running && merged.length) merged.at(-1)[1] = Math.max(merged.at(-1)[1], now);
    const busy = merged.reduce((sum, [start, end]) => sum + end - start, 0);
    const most = Math.max(LONGEST_PAUSE_MS, busy * LONGEST_PAUSE);
    this.parts = [];
    for (const [start, end] of merged) {
      const last = this.parts.at(-1);
      if (last && start - last.end <= most) last.end = end;
      else this.parts.push({ start, end });
    }
    let whole = this.parts.reduce((sum, part) => sum + part.end - part.start, 0) || 1000;
    this.pause = whole * BREAK;
    // Room for what is to come, so that bars grow and the axis stands still for a while.
    const step = this.stepFor(whole) * 1000;
    this.room = running ? (Math.floor(whole / step) + 1) * step - whole : 0;
    whole += this.room + this.pause * Math.max(0, this.parts.length - 1);
    let at = 0;
    for (const part of this.parts) {
      part.at = at / whole;
      at += part.end - part.start + this.pause;
    }
    this.whole = whole;
  }

  stepFor(ms) {
    return STEPS.find((step) => ms / 1000 / step <= TICKS) ?? STEPS.at(-1);
  }

  at(moment) {
    let part = this.parts[0];
    for (const one of this.parts) if (one.start <= moment) part = one;
    if (!part) return 0;
    const end = part === this.parts.at(-1) ? part.end + this.room : part.end;
    return part.at + (Math.min(Math.max(moment, part.start), end) - part.start) / this.whole;
  }

  /** Places and labels of the axis. */
  ticks() {
    const step = this.stepFor(this.whole) * 1000;
    const found = [];
    for (const [index, part] of this.parts.entries()) {
      if (index) found.push({ at: part.at - this.pause / this.whole / 2, pause: true });
      const last = part === this.parts.at(-1) ? part.end + this.room : part.end;
      const first = this.began + Math.ceil((part.start - this.began) / step) * step;
      for (let moment = first; moment <= last; moment += step) {
        found.push({ at: this.at(moment), label: duration((moment - this.began) / 1000) });
      }
    }
    return found;
  }
}

/** The bars of a lane, earlier tasks of the branch first. What one took over from another is shown as the later one's. */
function barsOf(lane) {
  const found = new Map();
  for (const task of [...lane.earlier, lane]) {
    for (const piece of task.pieces) {
      for (const attempt of piece.attempts) {
        const bar = { ...attempt, piece: piece.name, taskId: task.taskId, isEarlier: task !== lane };
        found.set(`${piece.name} ${attempt.attempt} ${attempt.startedAt}`, bar);
      }
    }
  }
  return [...found.values()];
}

/** Rows, so that what was done at the same time is not drawn over each other. */
function pack(bars) {
  const ends = [];
  for (const bar of bars.sort((one, other) => one.startedAt - other.startedAt)) {
    const free = ends.findIndex((end) => end <= bar.startedAt);
    bar.row = free < 0 ? ends.length : free;
    ends[bar.row] = bar.endedAt ?? Infinity;
  }
  return ends.length;
}

class Timeline extends HTMLElement {
  #bars = new Map();
  #stopping = new AbortController();
  #asking = false;
  #again = false;
  #next = 0;
  #opened = null;

  connectedCallback() {
    const { signal } = this.#stopping;
    this.media = this.dataset.media;
    this.panel = this.querySelector("[data-panel]");
    this.addEventListener("click", (event) => this.#click(event), { signal });
    // Links of the table and the notices lead to the same page of an attempt as its bar does.
    document.addEventListener("click", (event) => this.#follow(event), { signal });
    this.addEventListener("keydown", (event) => this.#key(event), { signal });
    follow(this.media).listen(() => this.load(), signal);
    document.addEventListener("visibilitychange", () => document.hidden || this.load(), { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#next));
    this.load();
  }

  disconnectedCallback() {
    this.#stopping.abort();
  }

  /** Ask how it is, and draw that. */
  async load() {
    // Asked twice while an answer is on its way, it asks once more.
    if (this.#asking) return (this.#again = true);
    this.#asking = true;
    const asked = performance.now();
    try {
      this.#draw(await get(`/media/${this.media}/timeline`));
      this.dataset.drawn = "";
    } catch {
      // The page says in words what it knew; the next tick tries again.
    } finally {
      this.#asking = false;
    }
    clearTimeout(this.#next);
    if (this.#again) {
      this.#again = false;
      this.load();
    } else if (this.running && !document.hidden && !this.#stopping.signal.aborted) {
      // A server that takes its time is asked less often.
      this.#next = setTimeout(() => this.load(), Math.max(EVERY_MS, LEISURE * (performance.now() - asked)));
    }
  }

  #draw({ now, lanes }) {
    this.running = lanes.some((lane) => OPEN.includes(lane.status));
    const drawn = lanes.map((lane) => ({ ...lane, bars: barsOf(lane) }));
    const all = drawn.flatMap((lane) => lane.bars);
    const scale = new Scale(all.map((bar) => [bar.startedAt, bar.endedAt]), now, this.running);
    const kept = new Set();
    let widest = 0;
    for (const lane of drawn) {
      const track = this.querySelector(`[data-lane="${CSS.escape(lane.branch)}"] [data-track]`);
      if (!track) continue;
      const rows = pack(lane.bars);
      track.style.setProperty("--rows", String(Math.max(1, rows)));
      for (const bar of lane.bars) {
        const key = `${bar.taskId}/${bar.piece}/${bar.attempt}`;
        kept.add(key);
        this.#place(track, key, bar, lane, scale, now);
      }
      widest = Math.max(widest, ...Array.from({ length: rows }, (_, row) => lane.bars.filter((bar) => bar.row === row).length));
      this.#tell(lane);
    }
    for (const [key, element] of this.#bars) {
      if (kept.has(key)) continue;
      element.remove();
      this.#bars.delete(key);
    }
    this.#reachable();
    this.style.setProperty("--narrowest", `${widest * NARROWEST_PX}px`);
    this.#drawAxis(scale);
    if (this.#opened && OPEN.includes(this.#opened.dataset.status)) this.#fill(this.#opened, { quietly: true });
  }

  #place(track, key, bar, lane, scale, now) {
    let element = this.#bars.get(key);
    if (!element) {
      element = document.createElement("a");
      element.className = "bar";
      element.href = `${this.dataset.page}/attempts/${bar.taskId}/${bar.piece}/${bar.attempt}`;
      element.tabIndex = -1;
      const label = document.createElement("span");
      label.textContent = pieceName(bar.piece);
      element.append(label);
      this.#bars.set(key, element);
      track.append(element);
    }
    const end = bar.endedAt ?? now;
    const changed = element.dataset.status !== bar.status;
    element.dataset.status = bar.status;
    element.classList.toggle("is-earlier", bar.isEarlier);
    const place = { "--from": scale.at(bar.startedAt), "--to": scale.at(end), "--row": bar.row, "--done": bar.progress };
    for (const [name, value] of Object.entries(place)) element.style.setProperty(name, String(value));
    const speed = bar.speed ? `, at ${bar.speed.toFixed(1)} times the speed of life` : "";
    const done = bar.status === "running" ? ` ${Math.round(bar.progress * 100)} %` : "";
    const words = `${pieceName(bar.piece)}, attempt ${bar.attempt}: ${bar.status}${done}, ${lasted(end - bar.startedAt)}${speed}`;
    element.setAttribute("aria-label", words);
    element.title = words + (bar.error ? `\n${bar.error.message}` : "");
    // The panel tells how it ended.
    if (changed && element === this.#opened) this.#fill(element, { quietly: true });
  }

  #tell(lane) {
    const section = this.querySelector(`[data-lane="${CSS.escape(lane.branch)}"]`);
    const percent = section.querySelector("[data-percent]");
    const planned = lane.pieces.filter((piece) => piece.name !== "join");
    const done = planned.filter((piece) => piece.status === "completed").length;
    if (percent && percent.textContent !== told(lane.percent)) percent.textContent = told(lane.percent);
    const pieces = section.querySelector("[data-pieces]");
    if (pieces) pieces.textContent = `${done} of ${planned.length} pieces`;
  }

  #drawAxis(scale) {
    const axis = this.querySelector("[data-axis]");
    const marks = scale.ticks().map((tick) => {
      const mark = document.createElement("span");
      mark.className = tick.pause ? "pause" : tick.at > LATE ? "tick is-late" : "tick";
      mark.textContent = tick.pause ? "⋯" : tick.label;
      mark.style.setProperty("--at", String(tick.at));
      return mark;
    });
    axis.replaceChildren(...(this.#bars.size ? marks : []));
  }

  // One stop for the tab key in each lane; arrows do the rest.
  #reachable() {
    for (const track of this.querySelectorAll("[data-track]")) {
      if (track.querySelector('[tabindex="0"]')) continue;
      const first = track.querySelector(".bar");
      if (first) first.tabIndex = 0;
    }
  }

  #inOrder(track) {
    const from = (bar) => Number(bar.style.getPropertyValue("--from"));
    return [...track.querySelectorAll(".bar")].sort((one, other) => from(one) - from(other));
  }

  #key(event) {
    if (event.key === "Escape" && this.#opened) return this.#shut();
    const bar = event.target.closest(".bar");
    if (!bar || event.ctrlKey || event.metaKey || event.altKey) return;
    const track = bar.closest("[data-track]");
    const bars = this.#inOrder(track);
    const tracks = [...this.querySelectorAll("[data-track]")].filter((one) => one.querySelector(".bar"));
    const at = bars.indexOf(bar);
    const near = (other) => other && this.#inOrder(other)[Math.min(at, other.querySelectorAll(".bar").length - 1)];
    const to = {
      ArrowRight: () => bars[at + 1],
      ArrowLeft: () => bars[at - 1],
      ArrowDown: () => near(tracks[tracks.indexOf(track) + 1]),
      ArrowUp: () => near(tracks[tracks.indexOf(track) - 1]),
      Home: () => bars[0],
      End: () => bars.at(-1),
      " ": () => bar,
    }[event.key]?.();
    if (!to) return;
    event.preventDefault();
    if (event.key === " ") return this.#open(bar);
    for (const one of to.closest("[data-track]").querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  #click(event) {
    if (event.target.closest("[data-close]")) {
      event.preventDefault();
      return this.#shut();
    }
    const bar = event.target.closest(".bar");
    if (!bar || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#open(bar);
  }

  #follow(event) {
    const link = event.target.closest?.("a[data-opens]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const bar = [...this.#bars.values()].find((one) => one.href === link.href);
    if (!bar) return;
    event.preventDefault();
    this.#open(bar);
  }

  async #open(bar) {
    this.#opened?.removeAttribute("aria-current");
    this.#opened = bar;
    bar.setAttribute("aria-current", "true");
    await this.#fill(bar);
    if (this.#opened !== bar) return;
    this.panel.querySelector("h3")?.focus({ preventScroll: true });
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.panel.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  }

  /** Put what the server says of an attempt into the panel. */
  async #fill(bar, { quietly = false } = {}) {
    const answer = await fetch(bar.href, { credentials: "same-origin" }).catch(() => null);
    if (!answer?.ok || this.#opened !== bar) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const told = page.querySelector("[data-attempt]");
    if (!told || this.#opened !== bar) return;
    const before = this.panel.querySelector("[data-attempt]");
    if (before && quietly && before.innerHTML === told.innerHTML) return;
    // What somebody is reading or pressing is left alone until it has ended.
    const running = OPEN.includes(told.querySelector(".chip").dataset.status);
    if (quietly && running && before?.contains(document.activeElement) && document.activeElement !== before.querySelector("h3")) return;
    const hadFocus = before?.contains(document.activeElement);
    this.panel.replaceChildren(document.adoptNode(told));
    this.panel.hidden = false;
    told.querySelector("[data-close]").hidden = false;
    const log = told.querySelector("[data-log]");
    if (log) log.scrollTop = log.scrollHeight;
    if (quietly && hadFocus) told.querySelector("h3").focus({ preventScroll: true });
  }

  #shut() {
    const bar = this.#opened;
    this.#opened = null;
    this.panel.hidden = true;
    this.panel.replaceChildren();
    bar?.removeAttribute("aria-current");
    bar?.focus({ preventScroll: true });
  }
}

customElements.define("ab-timeline", Timeline);
