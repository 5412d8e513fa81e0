/** One call: when it was at what, what it was asked, and what it answered. */
import { WORDS } from "./bars.js";
import { button, h } from "./dom.js";
import { dollars, grouped, seconds } from "./format.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Call} Call */

const LONG = 40_000; // characters that are shown at once

/**
 * @param {Model} model
 * @param {Call} call
 * @param {boolean} open
 */
export function callOf(model, call, open) {
  const element = /** @type {HTMLDetailsElement} */ (h(`details.call.${call.state}`));
  element.append(h("summary", {}, h("b", {}, call.part || "the call"), " ", h("span.m", {}, brief(call))));
  const fill = () => {
    if (element.open && element.childElementCount === 1) element.append(...inside(model, call));
  };
  element.addEventListener("toggle", fill);
  element.open = open;
  fill();
  return element;
}

/** @param {Call} call */
function brief(call) {
  const took = call.start !== null && call.end !== null && call.state !== "reused" ? seconds(call.end - call.start) : "";
  return [call.state === "reused" ? "from the records" : call.state, took, call.model].filter(Boolean).join(" · ");
}

/**
 * @param {Model} model
 * @param {Call} call
 */
function inside(model, call) {
  const facts = [
    call.answered_by && call.answered_by !== call.model && `answered by ${call.answered_by}`,
    call.input || call.output ? `${grouped(call.input ?? 0)} tokens in, ${grouped(call.output ?? 0)} out` : "",
    dollars(call.cost),
    call.finish && `finish ${call.finish}`,
    (call.attempts ?? 1) > 1 && `${call.attempts} attempts`,
    call.id,
  ];
  const parts = [h("p.m", {}, facts.filter(Boolean).join(" · "))];
  if (call.error) parts.push(h("p.trouble", {}, call.error));
  const spans = [...(call.spans ?? [])].sort((one, other) => one[1] - other[1]);
  if (spans.length) parts.push(h("ol.spans", {}, ...spans.map(([kind, start, stop, reason]) =>
    h("li", {}, h(`span.span.${kind}`), `${seconds(start)} `, h("span.m", {}, `${WORDS[kind] ?? kind}, ${seconds(stop - start)}${reason ? `: ${reason}` : ""}`)))));
  for (const [role, text] of call.messages ?? []) parts.push(passage(`prompt: ${role}`, model.text(text), role !== "system"));
  const thoughts = model.text(call.reasoning);
  if (thoughts) parts.push(passage("reasoning", thoughts, false));
  const reply = model.text(call.reply);
  if (reply) parts.push(passage("reply", reply, true));
  return parts;
}

/**
 * A long text under a heading, which can be folded away.
 *
 * @param {string} name
 * @param {string} text
 * @param {boolean} open
 */
export function passage(name, text, open) {
  const shown = h("pre", { tabindex: "0", "aria-label": name }, text.slice(0, LONG));
  const element = /** @type {HTMLDetailsElement} */ (h("details.passage", {},
    h("summary", {}, name, " ", h("span.m", {}, `${grouped(text.length)} characters`)), shown));
  if (text.length > LONG) {
    const more = button("button.link", "show all of it", () => {
      shown.textContent = text;
      more.remove();
    });
    element.append(more);
  }
  element.open = open;
  return element;
}
