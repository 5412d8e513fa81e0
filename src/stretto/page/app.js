/** The page of a server: all runs at `/`, one at `/runs/ID`, two at `/runs/ID?beside=OTHER`. */
import { beside } from "./beside.js";
import { h, leads, say } from "./dom.js";
import { gate } from "./gate.js";
import { following } from "./live.js";
import { mount } from "./main.js";
import { Model } from "./model.js";
import { runs } from "./runs.js";
import { start } from "./start.js";
import { steering } from "./steering.js";

const place = document.getElementById("page");
const [, kind, id] = location.pathname.split("/");
const other = new URLSearchParams(location.search).get("beside");
if (place) {
  if (kind !== "runs" || !id) place.append(runs(start()));
  else if (other) two(place, other, id);
  else one(place, id);
}

/**
 * @param {HTMLElement} place
 * @param {string} run
 */
function one(place, run) {
  const model = new Model();
  const lost = h("p.trouble", { role: "status" });
  const { source, again } = following(model, run, (told) => say(lost, told));
  const { bar, trouble, tell } = steering(model, run, again);
  const top = h("nav.top", { "aria-label": "All runs, and what can be done with this one" }, leads("a", "/", "← all runs"), bar);
  mount(place, source, model, [top, lost, trouble], [gate(model, run, tell)]);
}

/**
 * @param {HTMLElement} place
 * @param {string} before
 * @param {string} after
 */
function two(place, before, after) {
  const trouble = h("p.trouble", { role: "status" });
  const [left, right] = [new Model(), new Model()];
  place.append(beside(left, right));
  place.prepend(trouble);
  for (const [model, run] of /** @type {const} */ ([[left, before], [right, after]]))
    following(model, run, (told) => say(trouble, told)).source((piece) => model.take(piece));
}
