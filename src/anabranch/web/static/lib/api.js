// The public API, asked as the person who looks at the page: the browser sends the cookie.

const root = document.documentElement.dataset;

/** What the API said is wrong: a stable code, and words for a person. */
class Problem extends Error {
  constructor(status, body) {
    super(body.detail || `The server answered ${status} and did not say why.`);
    this.status = status;
    this.code = body.code || "internal_error";
  }
}

/** An address of this server as a path, whatever host name the page was opened by. Others stay as they are. */
export function local(address) {
  if (!address) return "";
  if (address.startsWith("/")) return root.prefix + address;
  const base = `${root.base}/`;
  return root.base && address.startsWith(base) ? `${root.prefix}/${address.slice(base.length)}` : address;
}

export const get = (path, options) => ask("GET", path, undefined, options);
export const post = (path, body) => ask("POST", path, body);
/** A page of a listing, and whether there is more. */
export async function listing(path, options) {
  const answer = await send("GET", path, undefined, options);
  return [await answer.json(), answer.headers.get("has-more") === "true"];
}

/**
 * The JSON that a request is answered with; null when there is none.
 * @throws {Problem} the API's own, or one with status 0 when the server cannot be reached
 */
export async function ask(method, path, body, options = {}) {
  const answer = await send(method, path, body, options);
  return answer.status === 204 ? null : answer.json();
}

async function send(method, path, body, options = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(local(path), { method, headers, body: body === undefined ? undefined : JSON.stringify(body), ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "unreachable", detail: "The server cannot be reached." });
  }
  if (answer.status === 401) {
    // The session has ended, so the page has too.
    location.assign(local(`/login?next=${encodeURIComponent(location.pathname.slice(root.prefix.length) + location.search)}`));
  }
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return answer;
}
