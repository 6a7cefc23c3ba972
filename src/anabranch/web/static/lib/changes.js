// Changes: one stream for all elements of a page, since a browser opens few connections to a server.

import { listen } from "./stream.js";

const NAMES = ["progress", "media.deleted", "open", "lost"];
const followers = new Set();
let started = false;

/**
 * Be told of changes while the signal is not aborted.
 * @param {{progress?: (media: any) => void, "media.deleted"?: (change: any) => void, open?: () => void, lost?: () => void}} handlers
 * @param {AbortSignal} signal
 */
export function follow(handlers, signal) {
  followers.add(handlers);
  signal.addEventListener("abort", () => followers.delete(handlers), { once: true });
  if (started) return;
  started = true;
  const tell = (name) => (data) => { for (const one of followers) one[name]?.(data); };
  listen("/events?progress=true", Object.fromEntries(NAMES.map((name) => [name, tell(name)])), new AbortController().signal);
}
