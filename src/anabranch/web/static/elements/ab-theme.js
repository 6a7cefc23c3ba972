// <ab-theme>: the switch between light and dark, without a reload. The server reads the same cookie, so the next page
// has the right colours from its first paint on.

const A_YEAR_S = 365 * 24 * 3600;

customElements.define("ab-theme", class extends HTMLElement {
  connectedCallback() {
    this.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      const theme = dark ? "light" : "dark";
      root.dataset.theme = theme;
      document.cookie = `anabranch_theme=${theme}; Max-Age=${A_YEAR_S}; Path=/; SameSite=Lax`;
      this.querySelector("button").value = dark ? "dark" : "light";
    });
  }
});
