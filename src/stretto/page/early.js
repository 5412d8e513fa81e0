/** Asks for the run at once: the server reads its log while the page's other modules are on their way. */

export const KEY = "stretto.key"; // in sessionStorage: it is gone with the tab

/** What is asked already, by its path. @type {Map<string, Promise<Response>>} */
const begun = new Map();

/** What a request says of who asks. */
export function bearing() {
  const key = sessionStorage.getItem(KEY);
  return key ? { authorization: `Bearer ${key}` } : undefined;
}

/**
 * The response that was asked for early, once.
 *
 * @param {string} path
 */
export function early(path) {
  const response = begun.get(path);
  begun.delete(path);
  return response;
}

const [, kind, id] = location.pathname.split("/");
if (kind === "runs" && id && !location.search) {
  const path = `/page/runs/${encodeURIComponent(id)}`;
  const response = fetch(path, { headers: { ...bearing() }, credentials: "omit", priority: "high" });
  response.catch(() => undefined); // who takes it is told
  begun.set(path, response);
}
