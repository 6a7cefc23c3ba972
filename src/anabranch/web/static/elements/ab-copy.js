// <ab-copy>: a button that copies the text beside it.

import { say } from "../lib/say.js";

customElements.define("ab-copy", class extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button");
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = this.dataset.text ?? this.querySelector("code, input").textContent;
      try {
        await copy(text);
        say("Copied.");
      } catch {
        say("The browser does not let the page copy. Select the text instead.", "bad");
      }
    });
  }
});

/** Browsers give the clipboard to https and localhost only; elsewhere a selection is copied. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("not allowed");
}
