/** Asking the server that the page came from, with its key if it wants one. */
import { button, h } from "./dom.js";
import { bearing, early, KEY } from "./early.js";

/** What the server said instead of an answer. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * What the server answers; a refusal is raised in its own words.
 *
 * @param {string} path
 * @param {{method?: string, body?: object, headers?: Record<string, string>, signal?: AbortSignal}} more
 * @returns {Promise<Response>}
 */
export async function ask(path, { method = "GET", body, headers = {}, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const begun = method === "GET" ? early(path) : undefined;
    const response = await (begun ?? fetch(path, {
      method,
      headers: { ...headers, ...bearing(), ...(body ? { "content-type": "application/json" } : {}) },
      credentials: "omit",
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
    }));
    if (response.ok) return response;
    if (response.status !== 401) throw new Refused(response.status, await reason(response));
    if (key === sessionStorage.getItem(KEY)) await keyOf(Boolean(key)); // else somebody has given another meanwhile
  }
}

/**
 * The same as data.
 *
 * @param {string} path
 * @param {Parameters<typeof ask>[1]} more
 * @returns {Promise<any>}
 */
export async function asked(path, more = {}) {
  return (await ask(path, more)).json();
}

/** @param {Response} response */
async function reason(response) {
  try {
    return String((await response.json()).error.message);
  } catch {
    return `the server answered ${response.status}`;
  }
}

/** @type {Promise<void> | null} */
let asking = null;

/**
 * Ask whoever is here for the key, once for all that wait for it.
 *
 * @param {boolean} wrong
 */
function keyOf(wrong) {
  asking ??= new Promise((given) => {
    const input = /** @type {HTMLInputElement} */ (h("input", { type: "password", autocomplete: "off", "aria-label": "the server's key" }));
    const dialog = /** @type {HTMLDialogElement} */ (h("dialog.key", { "aria-labelledby": "key-title" }));
    const give = () => {
      if (!input.value.trim()) return;
      sessionStorage.setItem(KEY, input.value.trim());
      dialog.remove();
      asking = null;
      given();
    };
    input.addEventListener("keydown", (event) => event.key === "Enter" && give());
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.append(
      h("h2", { id: "key-title" }, "This server wants a key"),
      h("p.m", {}, wrong ? "That was not it." : "It is the one that --api-key-env names; this tab keeps it until it is closed."),
      h("p", {}, input, " ", button("button.main", "Go on", give)));
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
  return asking;
}
