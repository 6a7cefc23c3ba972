// <ab-library>: keeps the cards as the server has the films, searches while one types, and acts on the selected ones.

import { listing, local, post } from "../lib/api.js";
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
  #aheadMs = 0;

  connectedCallback() {
    const signal = this.#stop.signal;
    this.cards = this.querySelector(".cards");
    this.bulk = this.querySelector(".bulk");
    this.empty = this.querySelector("[data-empty]");
    this.notFound = this.querySelector("[data-not-found]");
    this.pager = this.querySelector(".pager");
    this.newest = this.pager.querySelector("[data-newest]");
    this.older = this.pager.querySelector("[data-older]");
    this.query = this.dataset.q;
    // Ages are by the server's clock. A page that one comes back to may have been written long ago.
    const isBack = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
    if (!isBack) this.#aheadMs = Date.now() - Number(this.dataset.now);
    follow({
      progress: (media) => this.#show(media),
      "media.deleted": (change) => this.#remove(change.media_id),
    }, signal);
    this.bulk?.addEventListener("submit", (event) => this.#act(event), { signal });
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

  get #now() {
    return Date.now() - this.#aheadMs;
  }

  #all() {
    return [...this.cards.querySelectorAll(":scope > .card")];
  }

  #card(id) {
    return this.cards.querySelector(`:scope > [data-id="${CSS.escape(id)}"]`);
  }

  #write(card, media) {
    this.#created.set(media.id, media.createdAt);
    fill(card, view(media, this.#now));
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
    // Newest first; ids sort by age.
    const cards = this.#all();
    const behind = cards.find((one) => one.dataset.id < media.id);
    // What is older than all of these has its place on a page further on.
    if (!behind && (cards.length >= PAGE || !this.older.hidden)) return;
    const made = this.cards.querySelector("template").content.firstElementChild.cloneNode(true);
    this.#write(made, media);
    made.dataset.id = media.id;
    this.cards.insertBefore(made, behind ?? null);
    this.empty.hidden = true;
    this.#trim();
  }

  /** Leave a page of cards; what somebody has selected or is at stays. */
  #trim() {
    for (const card of this.#all().slice(PAGE)) {
      this.older.hidden = false;
      if (card.querySelector(":checked") || card.contains(document.activeElement)) continue;
      this.#created.delete(card.dataset.id);
      card.remove();
    }
    this.#page();
  }

  /** Have the links below lead on from what is shown. */
  #page() {
    const last = this.#all().slice(0, PAGE).at(-1);
    this.older.href = this.#address(last?.dataset.id);
    this.newest.hidden = !("past" in this.dataset);
    this.pager.hidden = this.older.hidden && this.newest.hidden;
  }

  /** Where the library shows the same: what is looked for, or else what is chosen on top. */
  #address(after = "") {
    const said = { ...(this.query ? { q: this.query } : { show: this.dataset.show }), after };
    const query = new URLSearchParams(Object.entries(said).filter(([, value]) => value)).toString();
    return local(query ? `/?${query}` : "/");
  }

  #remove(id) {
    this.#card(id)?.remove();
    this.#created.delete(id);
    this.#count();
    this.#page();
    if (!this.cards.querySelector(".card") && !this.query && !this.dataset.show) this.empty.hidden = false;
  }

  #age() {
    for (const card of this.#all()) {
      const createdAt = this.#created.get(card.dataset.id);
      if (createdAt) fill(card.querySelector("time"), { createdAt, age: Math.max(0, this.#now - createdAt) });
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
    let more;
    try {
      [rows, more] = await listing(`/media?${query}`, { signal: this.#asked.signal });
    } catch (error) {
      // Half a phrase is no query yet; and a newer question ends an older one.
      if (error.name !== "AbortError" && error.code !== "invalid_query") say(error.message, "bad");
      return;
    }
    this.query = words;
    delete this.dataset.past;
    this.#created.clear();
    list(this.cards, rows, { make: (card, media) => this.#write(card, media) });
    this.#count();
    document.querySelector(".head h1").textContent = words ? `Found for “${words}”` : "Library";
    document.title = `${words ? `${words} · ` : ""}Library · Anabranch`;
    const tabs = document.querySelector(".head .tabs");
    if (tabs) tabs.hidden = Boolean(words);
    this.older.hidden = !more;
    this.#page();
    history.replaceState(null, "", this.#address());
    this.empty.hidden = rows.length > 0 || Boolean(words);
    this.notFound.hidden = rows.length > 0 || !words;
  }

  #selected() {
    return [...this.cards.querySelectorAll('input[name="ids"]:checked')].map((box) => box.value);
  }

  #count() {
    // Not there for who may change nothing.
    if (!this.bulk) return;
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
