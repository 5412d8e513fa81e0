/** Puts a run's page together, and gives it its run. */
import { answer } from "./answer.js";
import { h } from "./dom.js";
import { graph } from "./graph.js";
import { inspector } from "./inspector.js";
import { Model } from "./model.js";
import { summary } from "./summary.js";
import { timeline } from "./timeline.js";

const SOON = 300; // ms

/**
 * @param {HTMLElement} place
 * @param {import("./source.js").Source} source
 * @param {Model} model
 * @param {Node[]} above what stands above the run
 * @param {Node[]} below what stands below what it is
 */
export function mount(place, source, model = new Model(), above = [], below = []) {
  const main = h("main", {}, ...above, summary(model), ...below, timeline(model), graph(model), answer(model));
  place.append(main, inspector(model));
  const follow = () => model.select(decoded(location.hash.slice(1)));
  addEventListener("hashchange", follow);
  let timer = 0;
  let chosen = false;
  model.listen((change) => {
    if (change === "content" && !chosen) follow(); // the row that the address names may only come
    if (change !== "choice") return;
    chosen = true;
    clearTimeout(timer);
    timer = setTimeout(() => remember(model.selected), SOON);
  });
  source((piece) => model.take(piece));
  frames(model);
}

/**
 * Tell of each frame while the run goes on.
 *
 * @param {Model} model
 */
function frames(model) {
  let asked = 0;
  const frame = () => {
    asked = 0;
    model.tell("frame");
    ask();
  };
  const ask = () => {
    if (model.live && !asked) asked = requestAnimationFrame(frame);
  };
  model.listen((change) => change === "content" && ask());
  ask();
}

/**
 * The address leads to what is looked at; browsers want it changed a few times a second at the most.
 *
 * @param {string} key
 */
function remember(key) {
  const wanted = key ? `#${encodeURIComponent(key)}` : "";
  if (wanted !== location.hash) history.replaceState(null, "", wanted || location.pathname + location.search);
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
