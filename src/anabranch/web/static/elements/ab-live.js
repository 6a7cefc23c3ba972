// <ab-live data-src data-every>: asks an address of the API again and again while the page is looked at, and fills what
// the server rendered of it with what is new.

import { get } from "../lib/api.js";
import { fill } from "../lib/bind.js";
import { localTimes } from "../lib/moments.js";
import { say } from "../lib/say.js";

customElements.define("ab-live", class extends HTMLElement {
  #stop = new AbortController();
  #lost = false;

  connectedCallback() {
    const { signal } = this.#stop;
    const every = Number(this.dataset.every);
    const again = async () => {
      if (signal.aborted) return;
      if (!document.hidden) await this.#ask(signal);
      setTimeout(again, every);
    };
    setTimeout(again, every);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#ask(signal); }, { signal });
  }

  disconnectedCallback() {
    this.#stop.abort();
  }

  async #ask(signal) {
    try {
      fill(this, await get(this.dataset.src, { signal }));
      this.#lost = false;
    } catch (error) {
      // Said once, not every two seconds.
      if (error.name !== "AbortError" && !this.#lost) say(error.message, "bad");
      this.#lost = true;
    }
  }
});

localTimes(document);
