/** One call: when it was at what, what it was asked, and what it answered. */
import { WORDS } from "./bars.js";
import { button, h } from "./dom.js";
import { dollars, grouped, seconds } from "./format.js";

/** @typedef {import("./model.js").Call} Call */

const LONG = 40_000; // characters that are shown at once

/**
 * @param {Call} call
 * @param {import("./model.js").SaidCall} said
 * @param {boolean} open
 * @param {number} now
 */
export function callOf(call, said, open, now) {
  const element = /** @type {HTMLDetailsElement} */ (h(`details.call.${call.state}`, { "data-key": call.id }));
  element.append(h("summary", {}, h("b", {}, call.part || "the call"), " ", h("span.m", {}, brief(call))));
  const fill = () => {
    if (element.open && element.childElementCount === 1) element.append(...inside(call, said, now));
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
 * @param {Call} call
 * @param {import("./model.js").SaidCall} said
 * @param {number} now
 */
function inside(call, said, now) {
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
  const spans = [...(call.spans ?? [])].filter(([, start]) => start <= now).sort((one, other) => one[1] - other[1]);
  if (spans.length) parts.push(h("ol.spans", {}, ...spans.map(([kind, start, stop, reason]) =>
    h("li", {}, h(`span.span.${kind}`), `${seconds(start)} `, h("span.m", {}, `${WORDS[kind] ?? kind}, ${stop === null ? "so far" : seconds(stop - start)}${reason ? `: ${reason}` : ""}`)))));
  for (const [role, text] of said.messages ?? []) parts.push(passage(`prompt: ${role}`, text, role !== "system", call.id));
  if (said.reasoning) parts.push(passage("reasoning", said.reasoning, false, call.id));
  if (said.reply) parts.push(passage(call.state === "running" ? "reply so far" : "reply", said.reply, true, call.id));
  return parts;
}

/**
 * A long text under a heading, which can be folded away.
 *
 * @param {string} name
 * @param {string} text
 * @param {boolean} open
 * @param {string} whose
 */
export function passage(name, text, open, whose = "") {
  const shown = h("pre", { tabindex: "0", "aria-label": name }, text.slice(0, LONG));
  const element = /** @type {HTMLDetailsElement} */ (h("details.passage", { "data-key": `${whose}/${name}` },
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

/**
 * A reply that is being written stands there further; false if that is not all that has changed.
 *
 * @param {HTMLElement} body
 * @param {import("./model.js").Said} before
 * @param {import("./model.js").Said} after
 */
export function goesOn(body, before, after) {
  const [old, now] = [before.calls ?? {}, after.calls ?? {}];
  const rest = (/** @type {Record<string, import("./model.js").SaidCall>} */ calls) =>
    JSON.stringify(Object.entries(calls).map(([id, call]) => [id, { ...call, reply: "" }]));
  if (rest(old) !== rest(now) || before.result !== after.result) return false;
  const news = Object.entries(now).filter(([id, call]) => call.reply !== old[id]?.reply);
  const shown = news.map(([id]) => body.querySelector(`[data-key="${CSS.escape(`${id}/reply so far`)}"] pre`));
  if (news.some(([id, call], at) => !shown[at] || !old[id]?.reply || !call.reply?.startsWith(old[id].reply) || call.reply.length > LONG)) return false;
  news.forEach(([id, call], at) => shown[at]?.append((call.reply ?? "").slice((old[id]?.reply ?? "").length)));
  return true;
}
