// <ab-transcript>: what is said, as the page has it, made to follow the film. Words are marked as they are spoken,
// a click on one goes there, and a search finds them.

// How long somebody who scrolled is left alone before the text follows again.
const LEFT_ALONE_MS = 6000;

const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "");

class Transcript extends HTMLElement {
  #words = [];
  #now = -1;
  #found = [];
  #at = -1;
  #scrolledAt = -Infinity;
  #running = false;
  #stopping = new AbortController();

  async connectedCallback() {
    const { signal } = this.#stopping;
    this.player = document.querySelector("ab-player");
    this.list = this.querySelector("[data-said]");
    if (!this.list || !this.player) return;
    this.addEventListener("click", (event) => this.#click(event), { signal });
    for (const name of ["wheel", "touchmove", "keydown"]) {
      this.list.addEventListener(name, () => (this.#scrolledAt = performance.now()), { signal, passive: true });
    }
    this.#addSearch(signal);
    const answer = await fetch(this.dataset.src, { credentials: "same-origin", signal }).catch(() => null);
    if (!answer?.ok) return;
    this.#wrap((await answer.json()).words);
    this.player.addEventListener("ab-time", () => this.#run(), { signal });
    this.#run();
    const asked = new URLSearchParams(location.search).get("q");
    const field = this.querySelector("input");
    // What is typed already goes before what the address asks for.
    field.value ||= asked ?? "";
    if (field.value) this.#search();
    this.dataset.ready = "";
  }

  disconnectedCallback() {
    this.#stopping.abort();
  }

  /** Every word of the text in an element of its own, with the time at which it is said. */
  #wrap(words) {
    const lines = [...this.list.querySelectorAll("[data-text]")];
    let next = 0;
    for (const [index, line] of lines.entries()) {
      const text = line.textContent;
      const until = Number(lines[index + 1]?.dataset.text ?? Infinity);
      const parts = [];
      let from = 0;
      while (next < words.length) {
        const { word, start, end } = words[next];
        const at = text.indexOf(word.trim(), from);
        if (at < 0) {
          // Of a later line; or a word that the text has in other letters, which is passed over.
          if (start >= until) break;
          if (index + 1 < lines.length && lines[index + 1].textContent.includes(word.trim()) && end > until) break;
          next += 1;
          continue;
        }
        const span = document.createElement("span");
        span.textContent = word.trim();
        span.dataset.word = String(this.#words.length);
        parts.push(text.slice(from, at), span);
        this.#words.push({ span, start, end, key: plain(word) });
        from = at + word.trim().length;
        next += 1;
      }
      line.replaceChildren(...parts, text.slice(from));
    }
  }

  #click(event) {
    const word = event.target.closest?.("[data-word]");
    const moment = event.target.closest?.("[data-moment]");
    if (!word && !moment) return;
    const seconds = word ? this.#words[Number(word.dataset.word)].start : Number(moment.dataset.moment);
    if (moment) {
      // A link to this moment: it stays one for a new tab, and the address bar shows it to be copied.
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      history.replaceState(null, "", moment.href);
    }
    this.#go(seconds);
  }

  #go(seconds) {
    this.#scrolledAt = -Infinity;
    this.player.seek(seconds);
    this.#follow();
  }

  // Between two `timeupdate`s lies a quarter of a second, in which three words are said. A film that stands still is not
  // looked at.
  #run() {
    this.#follow();
    if (this.#running || this.player.paused) return;
    this.#running = true;
    const look = () => {
      this.#running = !this.#stopping.signal.aborted && !this.player.paused;
      if (!this.#running) return;
      this.#follow();
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  #follow() {
    const now = this.#wordAt(this.player.currentTime);
    if (now === this.#now) return;
    this.#words[this.#now]?.span.classList.remove("now");
    this.#now = now;
    const word = this.#words[now];
    this.list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    if (!word) return;
    word.span.classList.add("now");
    word.span.closest("li").setAttribute("aria-current", "true");
    if (performance.now() - this.#scrolledAt > LEFT_ALONE_MS) this.#show(word.span);
  }

  /** Index of the word that is being said, or was said last; -1 before the first. */
  #wordAt(seconds) {
    let low = 0;
    let high = this.#words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      // A seek lands on the frame before or after the moment that was asked for.
      if (this.#words[middle].start <= seconds + 0.05) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Scroll the text, and never the page. */
  #show(element) {
    const box = this.list.getBoundingClientRect();
    const line = element.getBoundingClientRect();
    if (line.top > box.top + box.height * 0.15 && line.bottom < box.top + box.height * 0.7) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const top = this.list.scrollTop + line.top - box.top - box.height * 0.3;
    this.list.scrollTo({ top, behavior: calm ? "auto" : "smooth" });
  }

  #addSearch(signal) {
    const form = this.querySelector("[data-find]");
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault(), { signal });
    const field = form.querySelector("input");
    field.addEventListener("input", () => this.#search(), { signal });
    field.addEventListener(
      "keydown",
      (event) => {
        if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
        else if (event.key === "Escape" && field.value) {
          field.value = "";
          this.#search();
        } else return;
        event.preventDefault();
      },
      { signal },
    );
    form.querySelector("[data-next]").addEventListener("click", () => this.#step(1), { signal });
    form.querySelector("[data-previous]").addEventListener("click", () => this.#step(-1), { signal });
  }

  #search() {
    for (const run of this.#found) for (const word of run) word.span.classList.remove("found", "chosen");
    const wanted = this.querySelector("input").value.split(/\s+/).map(plain).filter(Boolean);
    this.#found = [];
    this.#at = -1;
    const last = wanted.length - 1;
    // The last word may be only begun.
    const fits = (key, index) => (index === last ? key.startsWith(wanted[index]) : key === wanted[index]);
    for (let first = 0; wanted.length && first + last < this.#words.length; first += 1) {
      const run = this.#words.slice(first, first + wanted.length);
      if (run.every((word, index) => fits(word.key, index))) this.#found.push(run);
    }
    for (const run of this.#found) for (const word of run) word.span.classList.add("found");
    if (this.#found.length) {
      this.#scrolledAt = performance.now();
      this.#show(this.#found[0][0].span);
    }
    this.#say(wanted.length > 0);
  }

  #step(by) {
    if (!this.#found.length) return;
    for (const word of this.#found[this.#at] ?? []) word.span.classList.remove("chosen");
    const count = this.#found.length;
    this.#at = this.#at < 0 ? (by > 0 ? 0 : count - 1) : (this.#at + by + count) % count;
    const run = this.#found[this.#at];
    for (const word of run) word.span.classList.add("chosen");
    this.#go(run[0].start);
    this.#show(run[0].span);
    this.#say(true);
  }

  #say(asked) {
    const count = this.#found.length;
    const where = this.#at < 0 ? `${count} found` : `${this.#at + 1} of ${count}`;
    this.querySelector("[data-count]").textContent = asked ? (count ? where : "not said") : "";
    for (const name of ["[data-next]", "[data-previous]"]) this.querySelector(name).disabled = !count;
  }
}

customElements.define("ab-transcript", Transcript);
