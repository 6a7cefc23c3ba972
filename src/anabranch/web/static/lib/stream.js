// Server-sent events of the API. A stream goes on from where it was: after a lost network, by the browser itself; after
// any other answer, and after the page was out of sight, by this.

import { local } from "./api.js";

const AGAIN_MS = 2000;
const LONGEST_MS = 60_000;
// A browser has six connections for a server, over all its tabs: those that nobody looks at give theirs back.
const OUT_OF_SIGHT_MS = 20_000;

/**
 * Listen to a stream, for as long as the signal is not aborted.
 * @param {string} path of the stream
 * @param {Record<string, (data: any) => void>} handlers by the name of the event; `open` and `lost` tell of the connection
 * @param {AbortSignal} signal
 */
export function listen(path, handlers, signal) {
  let source = null;
  let last = null;
  let timer = 0;
  let waitMs = AGAIN_MS;

  const open = () => {
    clearTimeout(timer);
    if (source || signal.aborted) return;
    const address = new URL(local(path), location.origin);
    if (last !== null && !address.searchParams.has("since")) address.searchParams.set("since", last);
    source = new EventSource(address);
    source.addEventListener("open", () => {
      waitMs = AGAIN_MS;
      handlers.open?.();
    });
    source.addEventListener("error", () => {
      handlers.lost?.();
      if (source?.readyState !== EventSource.CLOSED) return;
      // It was answered by something else: a proxy whose server is being started again.
      source = null;
      timer = setTimeout(open, waitMs);
      waitMs = Math.min(2 * waitMs, LONGEST_MS);
    });
    for (const [name, handle] of Object.entries(handlers)) {
      if (name === "open" || name === "lost") continue;
      source.addEventListener(name, (event) => {
        last = event.lastEventId || last;
        handle(JSON.parse(event.data));
      });
    }
  };
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    clearTimeout(timer);
    timer = setTimeout(close, OUT_OF_SIGHT_MS);
  }, { signal });
  signal.addEventListener("abort", close, { once: true });
  // A page that is kept for going back must not hold a connection either.
  addEventListener("pagehide", close, { once: true, signal });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); }, { signal });
  open();
}
