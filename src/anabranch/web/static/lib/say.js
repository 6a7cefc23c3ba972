// Says in a corner, and to screen readers, what was done or went wrong.

const LONG_MS = 6000;

/** @param {string} text @param {"" | "bad"} kind */
export function say(text, kind = "") {
  const line = document.createElement("p");
  line.textContent = text;
  line.className = kind;
  document.getElementById("said").append(line);
  setTimeout(() => line.remove(), LONG_MS);
}

/** Do something, and say what is wrong if it fails. Gives undefined then. */
export async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, "bad");
    return undefined;
  }
}
