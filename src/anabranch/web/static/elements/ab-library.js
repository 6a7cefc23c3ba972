// <ab-library>: keeps the cards as the server has the films, searches while one types, and acts on the selected ones.

import { get, local, post } from "../lib/api.js";
import { fill, list } from "../lib/bind.js";
import { view, writeSaid } from "../lib/card.js";
import { follow } from "../lib/changes.js";
import { say, trying } from "../lib/say.js";

const TYPING_MS = 250;
const PAGE = 24;
const AGES_EVERY_MS = 30_000;
const SHOWN = { "": null, working: ["waiting", "processing"], ready: ["ready"], broken: ["degraded", "failed"] };

customElements.define("ab-library", class extends HTMLElement {
  #stop = new AbortController();
  #asked = new AbortController();
  #created = new Map();

  connectedCallback() {
    const signal = this.#stop.signal;
    this.cards = this.querySelector(".cards");
    this.bulk = this.querySelector(".bulk");
    this.empty = this.querySelector("[data-empty]");
    this.notFound = this.querySelector("[data-not-found]");
    this.query = this.dataset.q;
    follow({
      progress: (media) => this.#show(media),
      "media.deleted": (change) => this.#remove(change.media_id),
    }, signal);
    this.bulk.addEventListener("submit", (event) => this.#act(event), { signal });
    this.cards.addEventListener("change", () => this.#count(), { signal });
    this.#count();
    const find = document.getElementById("find");
    let typing;
    find.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.#search(find.value.trim()), TYPING_MS);
    }, { signal });
    // Somebody may have been quicker than this file.
    if (find.value.trim() !== this.query) this.#search(find.value.trim());
    for (const time of this.cards.querySelectorAll("time")) {
      this.#created.set(time.closest(".card").dataset.id, Date.parse(time.dateTime));
    }
    const ages = setInterval(() => this.#age(), AGES_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(ages));
  }

  disconnectedCallback() {
    this.#stop.abort();
    this.#asked.abort();
  }

  #card(id) {
    return this.cards.querySelector(`:scope > [data-id="${CSS.escape(id)}"]`);
  }

  #write(card, media) {
    this.#created.set(media.id, media.createdAt);
    fill(card, view(media));
    // What is told of a change does not say where the words are: what was found stays.
    if ("snippet" in media || !this.query) writeSaid(card.querySelector("[data-said]"), media);
  }

  #show(media) {
    const card = this.#card(media.id);
    if (card) {
      const at = card.dataset.at === undefined ? null : Number(card.dataset.at);
      this.#write(card, this.query ? { ...media, at } : media);
      return;
    }
    const wanted = SHOWN[this.dataset.show];
    if (this.query || "past" in this.dataset || (wanted && !wanted.includes(media.status))) return;
    const made = this.cards.querySelector("template").content.firstElementChild.cloneNode(true);
    this.#write(made, media);
    made.dataset.id = media.id;
    // Newest first; ids sort by age.
    const behind = [...this.cards.querySelectorAll(":scope > .card")].find((one) => one.dataset.id < media.id);
    this.cards.insertBefore(made, behind ?? null);
    this.empty.hidden = true;
  }

  #remove(id) {
    this.#card(id)?.remove();
    this.#count();
    if (!this.cards.querySelector(".card") && !this.query && !this.dataset.show) this.empty.hidden = false;
  }

  #age() {
    for (const card of this.cards.querySelectorAll(":scope > .card")) {
      const createdAt = this.#created.get(card.dataset.id);
      if (createdAt) fill(card.querySelector("time"), { createdAt, age: Date.now() - createdAt });
    }
  }

  /** As the form would, but without leaving the page. */
  async #search(words) {
    this.#asked.abort();
    this.#asked = new AbortController();
    if (words === this.query) return;
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (words) query.set("q", words);
    else for (const status of SHOWN[this.dataset.show] ?? []) query.append("status", status);
    let rows;
    try {
      rows = await get(`/media?${query}`, { signal: this.#asked.signal });
    } catch (error) {
      // Half a phrase is no query yet; and a newer question ends an older one.
      if (error.name !== "AbortError" && error.code !== "invalid_query") say(error.message, "bad");
      return;
    }
    this.query = words;
    list(this.cards, rows, { make: (card, media) => this.#write(card, media) });
    this.#count();
    document.querySelector(".head h1").textContent = words ? `Found for “${words}”` : "Library";
    document.title = `${words ? `${words} · ` : ""}Library · Anabranch`;
    const tabs = document.querySelector(".head .tabs");
    if (tabs) tabs.hidden = Boolean(words);
    const pager = this.querySelector(".pager");
    if (pager) pager.hidden = true;
    history.replaceState(null, "", local(words ? `/?q=${encodeURIComponent(words)}` : "/"));
    this.empty.hidden = rows.length > 0 || Boolean(words);
    this.notFound.hidden = rows.length > 0 || !words;
  }

  #selected() {
    return [...this.cards.querySelectorAll('input[name="ids"]:checked')].map((box) => box.value);
  }

  #count() {
    const count = this.#selected().length;
    this.bulk.querySelector("[data-count]").textContent = `${count} selected`;
  }

  async #act(event) {
    event.preventDefault();
    const ids = this.#selected();
    if (!ids.length) return;
    const wanted = event.submitter?.value;
    if (wanted === "delete" && !(await this.#sure(ids.length))) return;
    const done = await trying(() => post(`/media/${wanted}`, { ids }));
    if (done === undefined) return;
    for (const box of this.cards.querySelectorAll('input[name="ids"]:checked')) box.checked = false;
    this.#count();
    if (wanted === "delete") {
      for (const id of ids) this.#remove(id);
      say(ids.length === 1 ? "Deleted." : `${ids.length} films deleted.`);
    } else {
      const again = Object.keys(done.media).length;
      say(again ? "What had failed is being done again." : "Nothing of these has failed.");
    }
  }

  #sure(count) {
    const dialog = document.getElementById("sure");
    dialog.querySelector("h2").textContent = count === 1 ? "Delete this film?" : `Delete ${count} films?`;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true }));
  }
});
