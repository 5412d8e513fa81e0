/** Two runs side by side: what the later one took over, and what it changed. */
import { laneOf, legend } from "./bars.js";
import { passage } from "./calls.js";
import { button, h, leads } from "./dom.js";
import { dollars, grouped, many, seconds } from "./format.js";
import { classOf, MARKS } from "./timeline.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Row} Row */

const OFTEN = 1000; // ms between two drawings while one of them goes on
const SOON = 50; // ms until it is tried again to draw what somebody presses
const WORDS = /** @type {Record<string, string>} */ ({ taken: "taken over", anew: "asked anew", new: "new", gone: "not in it", open: "under way" });

/**
 * What became of a row in the later run.
 *
 * @param {Row | undefined} before
 * @param {Row | undefined} after
 */
export function fateOf(before, after) {
  if (!after) return "gone";
  if (!before) return "new";
  if (["running", "waiting", "queued"].includes(after.state)) return "open";
  return (after.calls ?? []).every((call) => call.state === "reused") ? "taken" : "anew";
}

/**
 * @param {Model} left the earlier run
 * @param {Model} right the later one
 */
export function beside(left, right) {
  const heads = h("div.pair");
  const told = h("p", { role: "status" });
  const list = h("ul.beside", { "aria-label": "What became of each row" });
  let opened = "";
  let timer = 0;
  let pressed = false;
  // A button that is drawn anew while it is pressed hears of no click.
  list.addEventListener("pointerdown", () => (pressed = true));
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => (pressed = false));

  function renew() {
    timer = pressed ? setTimeout(renew, SOON) : 0;
    if (timer) return;
    if (!left.facts || !right.facts) return;
    const end = Math.max(left.end(), right.end()); // one axis for both
    left.facts.end = right.facts.end = end;
    document.title = `Two runs: ${right.facts.task.slice(0, 60)}`;
    heads.replaceChildren(headOf(left, "before"), headOf(right, "after"));
    const keys = [...new Set([...left.rows.keys(), ...right.rows.keys()])];
    const fates = keys.map((key) => /** @type {const} */ ([key, fateOf(left.rows.get(key), right.rows.get(key))]));
    const counted = Object.keys(WORDS).map((fate) => /** @type {const} */ ([fate, fates.filter(([, each]) => each === fate).length]));
    told.textContent = counted.filter(([, number]) => number).map(([fate, number]) => `${grouped(number)} ${WORDS[fate]}`).join(" · ");
    list.replaceChildren(...fates.map(([key, fate]) => item(key, fate)));
  }

  /** @param {string} key @param {string} fate */
  function item(key, fate) {
    const [one, other] = [left.rows.get(key), right.rows.get(key)];
    const row = /** @type {Row} */ (other ?? one);
    const head = button("button.pairing", "", () => {
      opened = opened === key ? "" : key;
      renew();
    }, { "aria-expanded": opened === key ? "true" : "false" });
    head.append(h(`span.fate.${fate}`, {}, WORDS[fate] ?? fate), h("b", {}, row.id), h("span.what", {}, row.type ? `${row.type} ` : "", row.about ?? ""),
      half(left, one), half(right, other));
    const element = h("li", {}, head);
    if (opened === key) void open(element, one, other);
    return element;
  }

  /** @param {HTMLElement} element @param {Row | undefined} one @param {Row | undefined} other */
  async function open(element, one, other) {
    const said = await Promise.all([one && left.said(one), other && right.said(other)]);
    const sides = said.map((each, at) => {
      const replies = Object.values(each?.calls ?? {}).map((call) => call.reply ?? "");
      const text = each?.result || replies.at(-1) || "";
      return h("div", {}, text ? passage(at ? "after" : "before", text, true) : h("p.m", {}, "nothing was said"));
    });
    const [before, after] = said.map((each) => each?.result ?? "");
    element.append(...(before && before === after ? [h("p.m", {}, "The same text.")] : []), h("div.pair", {}, ...sides));
  }

  for (const model of [left, right])
    model.listen((change) => {
      if (change === "content") timer ||= setTimeout(renew, left.live || right.live ? OFTEN : 0);
    });
  return h("main.wide-page", {}, h("nav.top", { "aria-label": "All runs" }, leads("a", "/", "← all runs")),
    h("h1", {}, "Two runs"), heads, told, list, legend());
}

/**
 * @param {Model} model
 * @param {string} label
 */
function headOf(model, label) {
  const facts = /** @type {import("./model.js").Facts} */ (model.facts);
  const calls = [...model.rows.values()].flatMap((row) => row.calls ?? []);
  const reused = calls.filter((call) => call.state === "reused").length;
  const told = [facts.status, seconds(facts.now), many(calls.length - reused, "call"), reused ? `${grouped(reused)} from the records` : "",
    `${grouped(facts.input + facts.output)} tokens`, dollars(facts.cost)];
  return h("div.half", {}, h("p.m", {}, label), leads("a", `/runs/${encodeURIComponent(facts.id)}`, facts.task.slice(0, 200) || facts.id),
    h("p.m", {}, told.filter(Boolean).join(" · ")));
}

/**
 * @param {Model} model
 * @param {Row | undefined} row
 */
function half(model, row) {
  if (!row) return h("span.half", {}, "–");
  const elapsed = model.elapsed(row);
  return h("span.half", {}, h(`span.mark.${classOf(row)}`, { title: row.state }, MARKS[row.state] ?? "○"),
    h("span.n", {}, elapsed === null ? "" : seconds(elapsed)), h("span.n", {}, dollars(row.cost)), laneOf(model, row).lane);
}
