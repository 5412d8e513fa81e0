/** The plan as a graph: what needs what, from left to right. */
import { button, h, later, s, say } from "./dom.js";
import { classOf, MARKS } from "./timeline.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Row} Row */
/** @typedef {{row: Row, layer: number, x: number, y: number}} Place */

export const MANY = 120; // subtasks, beyond which they are drawn small, and when there is time
const TALL = 12; // in one column
const TALL_SMALL = 20;
const PATIENCE = 600; // ms between two drawings of a large plan that is still being written

/**
 * Where each subtask stands: behind all that it needs, and a workflow's own behind the subtask it does.
 *
 * @param {Row[]} rows
 * @param {{width: number, height: number, gap: number, tall: number}} size
 * @returns {{places: Map<string, Place>, width: number, height: number}}
 */
export function layout(rows, size) {
  /** @type {Map<string, Place>} */
  const places = new Map();
  /** @type {Place[][]} */
  const layers = [];
  for (const row of rows) {
    const before = sourcesOf(row).map((key) => places.get(key)?.layer ?? -1);
    const layer = Math.max(-1, ...before) + 1;
    const place = { row, layer, x: 0, y: 0 };
    places.set(row.key, place);
    (layers[layer] ??= []).push(place);
  }
  let x = size.gap / 2;
  let height = 0;
  for (const layer of layers) {
    // Near to what it needs, so that fewer lines cross.
    const middle = (/** @type {Place} */ place) => {
      const ys = sourcesOf(place.row).flatMap((key) => places.get(key)?.y ?? []);
      return ys.length ? ys.reduce((sum, y) => sum + y, 0) / ys.length : 0;
    };
    const ordered = layer.map((place) => ({ place, at: middle(place) })).sort((one, other) => one.at - other.at);
    const columns = Math.ceil(layer.length / size.tall);
    const tall = Math.ceil(layer.length / columns);
    ordered.forEach(({ place }, at) => {
      place.x = x + Math.floor(at / tall) * (size.width + 6);
      place.y = 4 + (at % tall) * (size.height + 6);
      height = Math.max(height, place.y + size.height + 4);
    });
    x += columns * (size.width + 6) - 6 + size.gap;
  }
  return { places, width: x - size.gap / 2, height };
}

/** @param {Row} row */
function sourcesOf(row) {
  const parent = row.key.includes("/") ? row.key.slice(0, row.key.lastIndexOf("/")) : "";
  return parent ? [parent, ...(row.needs ?? [])] : (row.needs ?? []);
}

/** @param {Model} model */
export function graph(model) {
  const box = h("div.graph", { tabindex: "0", role: "group" });
  const title = h("h2", { id: "plan-title" }, "Plan");
  const analysis = h("p.m.clamp");
  const section = h("section.plan", { "aria-labelledby": "plan-title" }, title, analysis, box);
  /** @type {Picture | null} */
  let picture = null;
  let chosen = "";
  let timer = 0;

  function renew() {
    timer = 0;
    const rows = [...model.rows.values()].filter((row) => !row.key.startsWith("/"));
    section.hidden = rows.length < 2;
    const edges = rows.reduce((sum, row) => sum + sourcesOf(row).length, 0);
    box.setAttribute("aria-label", `${rows.length} subtasks, ${edges} needs between them; the timeline above has each with what it needs`);
    const scrolled = [box.scrollLeft, box.scrollTop];
    picture = drawing(model, rows);
    box.classList.remove("empty");
    box.replaceChildren(picture.element);
    [box.scrollLeft = 0, box.scrollTop = 0] = scrolled;
    choose();
  }

  /** Another plan is drawn anew; else what changed lights up where it stands. */
  function learn() {
    say(analysis, model.facts?.analysis ?? "");
    if (!picture && model.rows.size > MANY) {
      box.classList.add("empty"); // as high as it will be
      timer ||= later(renew); // the rows, which stand above it, come first
      return;
    }
    if (!picture || (model.reshaped && !(model.live && model.rows.size > MANY))) return renew();
    if (model.reshaped && !timer) timer = setTimeout(renew, PATIENCE);
    for (const key of model.changed) {
      const row = model.rows.get(key);
      const element = picture.subtasks.get(key);
      if (row && element) state(element, row, key === chosen);
    }
  }

  /** The chosen subtask, and the edges to and from it, stand out. */
  function choose() {
    picture?.subtasks.get(chosen)?.classList.remove("chosen");
    chosen = model.selected;
    picture?.subtasks.get(chosen)?.classList.add("chosen");
    picture?.light(chosen);
  }

  model.listen((change) => {
    if (change === "content") learn();
    if (change === "choice") choose();
  });
  return section;
}

/** @typedef {{element: SVGElement, subtasks: Map<string, SVGElement>, light: (key: string) => void}} Picture */

/**
 * @param {Model} model
 * @param {Row[]} rows
 * @returns {Picture}
 */
function drawing(model, rows) {
  const small = rows.length > MANY;
  const size = small ? { width: 16, height: 16, gap: 60, tall: TALL_SMALL } : { width: 112, height: 28, gap: 56, tall: TALL };
  const { places, width, height } = layout(rows, size);
  const lit = s("path.edge.near");
  const subtasks = new Map([...places].map(([key, place]) => [key, subtaskOf(model, place, size, small)]));
  const [plain, within] = [false, true].map((inner) => edges(places, size, (from, to) => to.startsWith(`${from}/`) === inner));
  const element = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    s("path.edge", { d: plain }), s("path.edge.within", { d: within }), lit, ...subtasks.values());
  const light = (/** @type {string} */ key) => lit.setAttribute("d", key ? edges(places, size, (from, to) => from === key || to === key) : "");
  return { element, subtasks, light };
}

/**
 * The edges that are wanted, as one path.
 *
 * @param {Map<string, Place>} places
 * @param {{width: number, height: number}} size
 * @param {(from: string, to: string) => boolean} wanted
 */
function edges(places, size, wanted) {
  const paths = [];
  for (const place of places.values()) {
    for (const key of sourcesOf(place.row)) {
      const from = places.get(key);
      if (from && wanted(key, place.row.key)) paths.push(edge(from, place, size));
    }
  }
  return paths.join("");
}

/**
 * @param {Place} from
 * @param {Place} to
 * @param {{width: number, height: number}} size
 */
function edge(from, to, size) {
  const [x1, y1, x2, y2] = [from.x + size.width, from.y + size.height / 2, to.x, to.y + size.height / 2];
  const bend = Math.max(20, (x2 - x1) / 2);
  const around = to.layer - from.layer > 1 ? size.height : 0; // what stands between them
  return `M${x1} ${y1}C${x1 + bend} ${y1 + around} ${x2 - bend} ${y2 + around} ${x2} ${y2}`;
}

/**
 * @param {Model} model
 * @param {Place} place
 * @param {{width: number, height: number}} size
 * @param {boolean} small
 */
function subtaskOf(model, place, size, small) {
  const { row, x, y } = place;
  const element = s("g", { transform: `translate(${x} ${y})` }, s("title"), s("rect", { width: size.width, height: size.height, rx: 4 }));
  if (!small) element.append(s("text", { x: 7, y: 18 }));
  state(element, row, false);
  element.addEventListener("click", () => model.select(row.key));
  return element;
}

/**
 * How a subtask stands, in its colour, its mark and its title.
 *
 * @param {SVGElement} element
 * @param {Row} row
 * @param {boolean} chosen
 */
function state(element, row, chosen) {
  element.setAttribute("class", `subtask ${classOf(row)}${chosen ? " chosen" : ""}`);
  const [title, , text] = element.children;
  if (title) say(title, [row.id, row.type, row.state, row.about].filter(Boolean).join(", ").slice(0, 300));
  const label = `${MARKS[row.state] ?? "○"} ${row.id}`;
  if (text) say(text, label.length > 15 ? `${label.slice(0, 14)}…` : label);
}

/**
 * Rows that a row needs, or that need it, to go to.
 *
 * @param {Model} model
 * @param {string} what
 * @param {string[]} keys
 */
export function neighbours(model, what, keys) {
  const known = keys.filter((key) => model.rows.has(key));
  if (!known.length) return null;
  return h("p.near", {}, h("span.m", {}, `${what} `), ...known.slice(0, 60).map((key) => button("button.link", key, () => model.select(key))),
    known.length > 60 && `and ${known.length - 60} more`);
}
