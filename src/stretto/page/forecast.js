/** When a run will be done, as it was foretold, and afterwards how right that was. */
import { h } from "./dom.js";
import { share } from "./axis.js";
import { many, seconds } from "./format.js";

/** @typedef {import("./model.js").Model} Model */

/**
 * What there is to say about it now; nothing where nothing was foretold.
 *
 * @param {Model} model
 */
export function outlook(model) {
  const told = model.facts?.foretold;
  if (!told) return "";
  const from = told.known ? `from ${many(told.known, "recorded call")}` : "a guess: no such calls are recorded";
  const now = model.now();
  if (model.live) {
    if (now > told.late) return `later than foretold: 19 of 20 such runs would have been done at ${seconds(told.late)}`;
    if (now > told.soon) return `done soon, by ${seconds(told.late)} in 19 of 20 cases (${from})`;
    return `done in about ${seconds(told.soon - now)}, by ${seconds(told.late)} in 19 of 20 cases (${from})`;
  }
  if (model.facts?.status !== "finished") return "";
  const error = (now - told.soon) / Math.max(0.001, told.soon - told.at);
  const off = Math.abs(error) < 0.01 ? "just so" : `${seconds(Math.abs(now - told.soon))} ${error > 0 ? "later" : "earlier"}, ${Math.round(100 * Math.abs(error))} % of what was left`;
  return `at ${seconds(told.at)} it was foretold for ${seconds(told.soon)}, at the latest ${seconds(told.late)}; it was done at ${seconds(now)}: ${off}`;
}

/**
 * Where on the axis it is expected to end.
 *
 * @param {Model} model
 * @returns {HTMLElement[]}
 */
export function expected(model) {
  const told = model.facts?.foretold;
  const end = model.end();
  if (!told || told.soon > end) return [];
  const band = h("div.foretold", { title: `expected to be done from ${seconds(told.soon)} to ${seconds(told.late)}` });
  band.style.left = share(told.soon, end);
  band.style.width = share(Math.min(end, told.late) - told.soon, end);
  return [band];
}
