/** Puts the page together, and gives it its run. */
import { answer } from "./answer.js";
import { h } from "./dom.js";
import { graph } from "./graph.js";
import { inspector } from "./inspector.js";
import { Model } from "./model.js";
import { island } from "./source.js";
import { summary } from "./summary.js";
import { timeline } from "./timeline.js";

const SOON = 300; // ms

/**
 * @param {HTMLElement} place
 * @param {import("./source.js").Source} source
 */
export function mount(place, source) {
  const model = new Model();
  place.append(
    h("main", {}, summary(model), timeline(model), graph(model), answer(model)),
    inspector(model),
  );
  const follow = () => model.select(decoded(location.hash.slice(1)));
  addEventListener("hashchange", follow);
  source((piece) => model.take(piece));
  follow();
  let timer = 0;
  model.listen(() => {
    clearTimeout(timer);
    timer = setTimeout(() => remember(model.selected), SOON);
  });
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

const place = document.getElementById("page");
if (place) mount(place, island);
