// Server-sent events of the API. The browser asks again by itself when the network was gone, from where it was.

import { local } from "./api.js";

/**
 * Listen to a stream, for as long as the signal is not aborted.
 * @param {string} path of the stream
 * @param {Record<string, (data: any) => void>} handlers by the name of the event; `open` and `lost` tell of the connection
 * @param {AbortSignal} signal
 */
export function listen(path, handlers, signal) {
  const source = new EventSource(local(path));
  for (const [name, handle] of Object.entries(handlers)) {
    if (name === "open") source.addEventListener("open", () => handle());
    else if (name === "lost") source.addEventListener("error", () => handle());
    else source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  }
  signal.addEventListener("abort", () => source.close(), { once: true });
  // A page that is kept for going back must not hold one of the few connections that a browser has for a server.
  const close = () => source.close();
  addEventListener("pagehide", close, { once: true, signal });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); }, { signal });
}
