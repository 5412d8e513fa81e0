/** The bars of calls: what each was at, one colour or pattern for each. */
import { lanes, share } from "./axis.js";
import { h } from "./dom.js";
import { seconds } from "./format.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Row} Row */

export const WORDS = /** @type {Record<string, string>} */ ({
  queued: "waiting for admission",
  asked: "waiting for the first token",
  writing: "streaming",
  held: "held back by a rate limit",
  retry: "waiting to be asked again",
  hedge: "asked in duplicate",
  reused: "from the records",
});
const SPANS = 300; // of one row

/** @typedef {{bar: HTMLElement, start: number, stop: number | null}} Growing a bar that grows while time passes */

/**
 * The bars of a row's calls, and those of them that grow.
 *
 * @param {Model} model
 * @param {Row} row
 * @returns {{lane: HTMLElement, growing: Growing[]}}
 */
export function laneOf(model, row) {
  const lane = h("div.lane");
  const end = model.end();
  const now = model.now();
  const calls = row.calls ?? [];
  const places = lanes(calls);
  const number = Math.max(1, ...places.map((place) => place + 1));
  /** @type {Growing[]} */
  const growing = [];
  /** @param {string} kind @param {number} start @param {number | null} stop @param {string} reason @param {number} place @param {number} among */
  const add = (kind, start, stop, reason, place, among) => {
    const until = stop === null || (model.live && stop > now) ? Math.max(now, start) : stop;
    const bar = barOf(kind, start, until, end, reason, place, among);
    if (model.live && stop !== until) growing.push({ bar, start, stop });
    lane.append(bar);
    return bar;
  };
  const first = Math.min(...calls.map((call) => call.start ?? Infinity));
  if (row.queued !== null && row.queued !== undefined) {
    const waits = first === Infinity && row.state === "queued";
    if (waits || (first > row.queued && first < Infinity)) add("queued", row.queued, waits ? null : first, "", 0, 1);
  }
  calls.slice(0, SPANS).forEach((call, at) => {
    const place = places[at] ?? 0;
    for (const [kind, start, stop, reason] of call.spans ?? []) {
      const bar = add(kind, start, stop, reason, place, number);
      if (call.state === "failed") bar.classList.add("failed");
      bar.addEventListener("click", (event) => {
        event.stopPropagation();
        model.select(row.key, call.id);
      });
    }
    if (call.state === "reused" && call.end !== null) lane.append(barOf("reused", call.end, call.end, end, "", place, number));
  });
  return { lane, growing };
}

/**
 * Time has passed: the bars are longer.
 *
 * @param {Growing[]} growing
 * @param {number} now
 * @param {number} end
 */
export function grow(growing, now, end) {
  for (const { bar, start, stop } of growing) bar.style.width = share(Math.max(0, Math.min(stop ?? now, now) - start), end);
}

/**
 * @param {string} kind
 * @param {number} start
 * @param {number} stop
 * @param {number} end
 * @param {string} reason
 * @param {number} place
 * @param {number} number
 */
function barOf(kind, start, stop, end, reason, place, number) {
  const told = stop > start ? `${WORDS[kind] ?? kind}, ${seconds(stop - start)} from ${seconds(start)}` : WORDS[kind];
  const bar = h(`div.span.${kind}`, { title: reason ? `${told}: ${reason}` : told });
  bar.style.left = share(start, end);
  bar.style.width = share(stop - start, end);
  bar.style.top = `${(place / number) * 100}%`;
  bar.style.height = `${100 / number}%`;
  return bar;
}

/** What the colours and patterns mean. */
export function legend() {
  const kinds = Object.entries(WORDS).map(([kind, word]) => h("li", {}, h(`span.span.${kind}`), word));
  return h("ul.legend", { "aria-label": "What the bars mean" }, ...kinds, h("li", {}, h("span.span.writing.failed"), "failed"));
}
