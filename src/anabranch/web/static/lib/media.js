// Media: one row as it changes. One connection for a page, on which every element that wants to know listens.

import { get } from "./api.js";
import { listen } from "./stream.js";

// Only how it is now is asked for: what has happened before, the page shows already.
const FROM_NOW = Number.MAX_SAFE_INTEGER;

class Row extends EventTarget {
  #id;
  #last = null;
  #listening = null;

  constructor(id) {
    super();
    this.#id = id;
    this.join();
  }

  /** Follow what happens to it. */
  join() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    const gone = async () => {
      // The stream of a row that was deleted ends, and cannot be opened again.
      const there = await get(`/media/${this.#id}`, { signal }).catch((error) => error.status !== 404);
      if (!there) this.dispatchEvent(new Event("gone"));
    };
    listen(`/media/${this.#id}/events?since=${FROM_NOW}`, { progress: (record) => this.tell(record), lost: gone }, signal);
  }

  /** Hear no more of it, since it is about to be deleted. */
  leave() {
    this.#listening.abort();
  }

  /** Have all that listen know how it is now, from whoever was told first. */
  tell(record) {
    this.#last = record;
    this.dispatchEvent(new CustomEvent("change", { detail: record }));
  }

  /** Hear of each change, and at once of what is known, for as long as the signal is not aborted. */
  listen(heard, signal) {
    this.addEventListener("change", (event) => heard(event.detail), { signal });
    if (this.#last) heard(this.#last);
  }
}

/** @type {Map<string, Row>} */
const rows = new Map();

/** The row of a media id. */
export function follow(id) {
  if (!rows.has(id)) rows.set(id, new Row(id));
  return rows.get(id);
}
