/** The axis of time: where moments stand, and what overlaps with what. */
import { s } from "./dom.js";

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400];
const MOST = 5;

/**
 * Moments at which the axis has a mark: some round ones from 0 to its end.
 *
 * @param {number} end seconds
 */
export function ticks(end) {
  let step = STEPS.find((each) => end / each <= MOST) ?? Math.ceil(end / MOST / 86400) * 86400;
  while (end / step < 2 && step > 0.001) step = step > 1 ? 1 : step / (String(step).includes("5") ? 2.5 : 2);
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, number) => number * step);
}

/** @param {number} moment */
export function tick(moment) {
  if (moment >= 120) return moment >= 7200 ? `${+(moment / 3600).toFixed(2)} h` : `${+(moment / 60).toFixed(2)} min`;
  return `${+moment.toPrecision(3)} s`;
}

/**
 * @param {number} moment
 * @param {number} end
 */
export const share = (moment, end) => `${Math.min(100, Math.max(0, (moment / Math.max(end, 0.001)) * 100)).toFixed(3)}%`;

/**
 * How many calls were under way at a time, as an outline from left to right.
 *
 * @param {Iterable<import("./model.js").Row>} rows
 * @param {number} end
 * @param {number} now
 * @returns {{most: number, drawing: SVGElement}}
 */
export function load(rows, end, now) {
  /** @type {[number, number][]} */
  const steps = [];
  for (const row of rows)
    for (const call of row.calls ?? [])
      if (call.start !== null && call.state !== "reused") steps.push([call.start, 1], [call.end ?? now, -1]);
  steps.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  let most = 1;
  let height = 0;
  for (const [, step] of steps) most = Math.max(most, (height += step));
  const path = ["M0 100"];
  height = 0;
  for (const [moment, step] of steps) {
    const x = ((moment / Math.max(end, 0.001)) * 1000).toFixed(1);
    path.push(`L${x} ${(100 - (height / most) * 100).toFixed(1)}`);
    height += step;
    path.push(`L${x} ${(100 - (height / most) * 100).toFixed(1)}`);
  }
  const drawing = s("svg.load", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  drawing.append(s("path", { d: `${path.join("")}L1000 100Z` }));
  return { most, drawing };
}

/**
 * Calls in as many lanes as it takes for none to lie on another; the first lane comes first.
 *
 * @param {import("./model.js").Call[]} calls
 * @returns {number[]}
 */
export function lanes(calls) {
  /** @type {number[]} */
  const ends = [];
  return calls.map((call) => {
    const start = call.start ?? 0;
    let lane = ends.findIndex((end) => end <= start);
    if (lane < 0) lane = ends.length;
    ends[lane] = call.end ?? Infinity;
    return lane;
  });
}
