// <ab-watch>: the media page. Keeps what the server wrote up to date, and has its forms done by the public API, so that
// the film goes on playing.

import { ask } from "../lib/api.js";
import { follow } from "../lib/media.js";
import { say, trying } from "../lib/say.js";
import { percent } from "../lib/words.js";

const ENDED = ["ready", "degraded", "failed"];

// Signed addresses differ each time that they are made.
const comparable = (element) => element.outerHTML.replace(/\/signed\/[^/"]+\//g, "/signed/");

// What the server wrote, before any element touches it: this file is loaded first.
const served = new Map([...document.querySelectorAll("[data-live]")].map((one) => [one.id, comparable(one)]));

/** What of a record changes what the page says; how far it is is said without asking. */
const essence = (record) =>
  JSON.stringify([
    record.status,
    record.playable,
    record.width,
    record.private,
    record.title,
    record.branches.map((one) => [one.name, one.taskId, one.status, one.attempt, one.error?.code, one.nextRetryAt, Boolean(one.waitingFor), Boolean(one.url)]),
  ]);

class Watch extends HTMLElement {
  #stopping = new AbortController();
  #asking = null;
  #shown = "";
  #leaving = false;

  connectedCallback() {
    const { signal } = this.#stopping;
    const row = follow(this.dataset.media);
    row.listen((record) => this.#see(record), signal);
    row.addEventListener("gone", () => this.#leaving || location.assign(this.dataset.library), { signal });
    this.addEventListener("submit", (event) => this.#submit(event), { signal });
  }

  disconnectedCallback() {
    this.#stopping.abort();
  }

  #see(record) {
    for (const one of this.querySelectorAll("[data-percent-of=media]")) {
      if (one.textContent !== percent(record.percent)) one.textContent = percent(record.percent);
    }
    for (const one of this.querySelectorAll("progress[data-progress-of=media]")) one.value = record.percent;
    const seen = essence(record);
    if (seen === this.#shown) return;
    // What has ended is as the page was written.
    const known = !this.#shown && record.status === this.dataset.status && ENDED.includes(record.status);
    this.#shown = seen;
    if (!known) this.#refresh();
  }

  /** Have the page written anew, and put in place what differs of its live parts. */
  async #refresh() {
    this.#asking?.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    let text;
    try {
      const answer = await fetch(this.dataset.page, { signal });
      if (!answer.ok) return;
      text = await answer.text();
    } catch {
      // Left, asked again, or the server is away: the stream will tell when it is back.
      return;
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const fresh of page.querySelectorAll("[data-live]")) {
      const now = comparable(fresh);
      const old = document.getElementById(fresh.id);
      if (!old || served.get(fresh.id) === now) continue;
      served.set(fresh.id, now);
      put(fresh, old);
    }
    document.title = page.title;
  }

  // A form that names a call of the API is done by it. Without this it is sent, and the server makes the same call.
  async #submit(event) {
    const form = event.target;
    if (!form.dataset.api) return;
    event.preventDefault();
    const [method, path] = form.dataset.api.split(" ");
    const sent = [...form.elements].map((field) => [field, field.value]);
    const row = follow(this.dataset.media);
    // What is deleted from here says so by the answer.
    this.#leaving = Boolean(form.dataset.then);
    if (this.#leaving) row.leave();
    event.submitter?.setAttribute("aria-busy", "true");
    const answer = await trying(() => ask(method, path, bodyOf(form)));
    event.submitter?.removeAttribute("aria-busy");
    if (answer === undefined) {
      if (this.#leaving) row.join();
      this.#leaving = false;
      return;
    }
    for (const [field, value] of sent) field.defaultValue = value;
    if (form.dataset.done) say(form.dataset.done);
    // The player must not go on with addresses that are refused from now on.
    if (answer?.object === "media") row.tell(answer);
    if (form.dataset.then) return location.assign(form.dataset.then);
    await this.#refresh();
    this.querySelector("ab-timeline")?.load();
  }
}

function bodyOf(form) {
  if (form.dataset.json) return JSON.parse(form.dataset.json);
  if (!form.dataset.fields) return undefined;
  return Object.fromEntries(form.dataset.fields.split(" ").map((name) => [name, form.elements[name].value]));
}

/** Replace an element. What was typed in it stays, and who had the focus in it has it again. */
function put(fresh, old) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const caret = focused?.matches("input") ? [focused.selectionStart, focused.selectionEnd] : null;
  const typed = [...old.querySelectorAll("input[id]")].filter((one) => one.value !== one.defaultValue);
  const opened = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
  const element = document.adoptNode(fresh);
  old.replaceWith(element);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  for (const { id, value } of typed) {
    const field = document.getElementById(id);
    if (field) field.value = value;
  }
  element.dispatchEvent(new Event("ab-put", { bubbles: true }));
  if (!focused) return;
  const again = focused.id ? document.getElementById(focused.id) : null;
  if (!again) element.tabIndex = -1;
  (again ?? element).focus({ preventScroll: true });
  if (again && caret) again.setSelectionRange(...caret);
}

customElements.define("ab-watch", Watch);
