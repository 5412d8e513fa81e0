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

/**
 * The bars of a row's calls.
 *
 * @param {Model} model
 * @param {Row} row
 * @param {number} end
 */
export function laneOf(model, row, end) {
  const lane = h("div.lane");
  const calls = row.calls ?? [];
  const places = lanes(calls);
  const number = Math.max(1, ...places.map((place) => place + 1));
  const first = Math.min(...calls.map((call) => call.start ?? Infinity));
  if (row.queued !== null && row.queued !== undefined && first > row.queued && first < Infinity)
    lane.append(barOf("queued", row.queued, first, end, "", 0, 1));
  calls.slice(0, SPANS).forEach((call, at) => {
    const place = places[at] ?? 0;
    for (const [kind, start, stop, reason] of call.spans ?? []) {
      const bar = barOf(kind, start, stop, end, reason, place, number);
      if (call.state === "failed") bar.classList.add("failed");
      bar.addEventListener("click", (event) => {
        event.stopPropagation();
        model.select(row.key, call.id);
      });
      lane.append(bar);
    }
    if (call.state === "reused" && call.end !== null) lane.append(barOf("reused", call.end, call.end, end, "", place, number));
  });
  return lane;
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
