/** Building elements: a text is always a text, and no attribute can act. */

const SOON = 300; // ms

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element with classes, attributes and what is in it.
 *
 * @param {string} name `tag.class.class`
 * @param {Record<string, string | number | boolean | null | undefined>} attributes none of which is an event's or an address
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  const [tag = "div", ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  return filled(element, attributes, children);
}

/**
 * The same of a drawing.
 *
 * @param {string} name
 * @param {Record<string, string | number | boolean | null | undefined>} attributes
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(name, attributes = {}, ...children) {
  const [tag = "g", ...classes] = name.split(".");
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  return filled(element, attributes, children);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Record<string, string | number | boolean | null | undefined>} attributes
 * @param {Child[]} children
 * @returns {E}
 */
function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on") || key === "href" || key === "src" || key === "style") throw new Error(`not here: ${key}`);
    element.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children) if (child) element.append(child);
  return element;
}

/**
 * A button that does something.
 *
 * @param {string} name
 * @param {string} label
 * @param {() => void} act
 * @param {Record<string, string | boolean>} attributes
 */
export function button(name, label, act, attributes = {}) {
  const element = h(name, { type: "button", ...attributes }, label);
  element.addEventListener("click", act);
  return element;
}

/**
 * A place within the page.
 *
 * @param {string} name
 * @param {string} key the row that it leads to
 * @param {string} label
 * @param {Record<string, string>} attributes
 */
export function inner(name, key, label, attributes = {}) {
  const element = /** @type {HTMLAnchorElement} */ (h(name, attributes, label));
  element.href = `#${encodeURIComponent(key)}`;
  return element;
}

/**
 * A place on this server.
 *
 * @param {string} name
 * @param {string} path
 * @param {...Child} children
 */
export function leads(name, path, ...children) {
  const element = /** @type {HTMLAnchorElement} */ (h(name, {}, ...children));
  element.href = path;
  return element;
}

/**
 * Another text in an element, if it is another.
 *
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Do something once what is on the screen is drawn, and nobody waits.
 *
 * @param {() => void} work
 * @returns {number} true, as a timer is
 */
export function later(work) {
  if ("requestIdleCallback" in globalThis) return requestIdleCallback(work, { timeout: SOON });
  return setTimeout(work, SOON); // Safari has no such thing
}
