/** The timeline: a line for each row, of which only those that can be seen are there. */
import { load, share, tick, ticks } from "./axis.js";
import { grow, laneOf, legend } from "./bars.js";
import { button, h, say } from "./dom.js";
import { expected } from "./forecast.js";
import { count, dollars, many, seconds, tenths } from "./format.js";
import { GROUPS, groupOf } from "./model.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Row} Row */

export const MARKS = /** @type {Record<string, string>} */ ({
  done: "✓", failed: "✗", skipped: "✗", truncated: "!", cut: "!", stopped: "■", running: "▸", waiting: "○", queued: "○",
});
const BEYOND = 6; // lines above and below what is seen
const PHONE = "(max-width: 700px)";
const OUTLINE = 500; // ms between two drawings of how much was under way
const DIGITS = 100; // ms between two that show how long something takes

/** @typedef {{element: HTMLElement, took: HTMLElement, tokens: HTMLElement, growing: import("./bars.js").Growing[]}} Line */

/** @param {Model} model */
export function timeline(model) {
  const list = h("div.rows", { role: "listbox", tabindex: "0", "aria-label": "Calls, by subtask, in the order of the plan" });
  const scale = h("div.scale", { "aria-hidden": "true" });
  const space = h("div.space", { role: "presentation" });
  list.append(scale, space);
  const search = /** @type {HTMLInputElement} */ (h("input", { type: "search", placeholder: "Find", "aria-label": "Find rows" }));
  const chips = GROUPS.map((group) => /** @type {const} */ ([group, button("button.chip", group, () => model.filter(group, search.value))]));
  const groups = h("div.groups", { role: "group", "aria-label": "Which rows are shown" }, ...chips.map(([, chip]) => chip));
  const told = h("p.m", { role: "status" });
  const phone = matchMedia(PHONE);

  /** @type {Row[]} */
  let rows = [];
  /** @type {Map<string, number>} */
  let places = new Map();
  /** @type {Map<string, Line>} */
  const drawn = new Map();
  let selected = "";
  let end = 0;
  let outlined = 0;
  let counted = 0;
  let wide = 0; // pixels of the axis
  let grown = 0;

  const height = () => (phone.matches ? 52 : 30);

  /** @param {import("./model.js").Change} change */
  function follow(change) {
    if (change === "frame") pass();
    else if (change === "content") learn();
    else if (change === "filter") renew();
    else if (model.selected !== selected) choose();
  }

  /** Some rows are others; all lines are drawn anew where the axis is another, or which rows there are. */
  function learn() {
    const another = end !== model.end();
    end = model.end();
    if (another || !model.live || performance.now() - outlined > OUTLINE) {
      outlined = performance.now();
      scale.replaceChildren(...scaled(model));
    }
    wide ||= scale.querySelector(".lane")?.clientWidth ?? 0;
    if (another || model.reshaped || model.group !== "all" || model.wanted) return renew();
    for (const key of model.changed) {
      const row = model.rows.get(key);
      const before = drawn.get(key);
      if (row && before) before.element.replaceWith(lined(row, places.get(key) ?? 0).element);
    }
    tally();
  }

  /** Time has passed. */
  function pass() {
    const now = model.now();
    const digits = performance.now() - counted > DIGITS;
    if (digits) counted = performance.now();
    const reached = Math.floor((now / Math.max(end, 0.001)) * wide * 2); // half a pixel less cannot be seen
    const further = reached !== grown;
    grown = reached;
    if (!digits && !further) return;
    for (const [key, line] of drawn) {
      if (further) grow(line.growing, now, end);
      const row = digits && model.rows.get(key);
      if (!row || row.state !== "running") continue;
      say(line.took, tenths(model.elapsed(row) ?? 0));
      say(line.tokens, tokensOf(model, row));
    }
  }

  /** Another row is looked at. */
  function choose() {
    drawn.get(selected)?.element.setAttribute("aria-selected", "false");
    selected = model.selected;
    drawn.get(selected)?.element.setAttribute("aria-selected", "true");
    show(places.get(selected) ?? -1);
    draw();
  }

  /** Every line is drawn anew: the run, or what is shown of it, is another. */
  function renew() {
    rows = model.shown();
    places = new Map(rows.map((row, at) => [row.key, at]));
    for (const { element } of drawn.values()) element.remove();
    drawn.clear();
    space.style.height = `${rows.length * height()}px`;
    say(told, rows.length === model.rows.size ? "" : `${many(rows.length, "row")} of ${model.rows.size}`);
    tally();
    draw();
  }

  /** How many rows there are of each group. */
  function tally() {
    const counts = model.counts();
    for (const [group, chip] of chips) {
      say(chip, `${group} ${counts[group] ?? 0}`);
      chip.hidden = group !== "all" && !counts[group] && model.group !== group;
      chip.setAttribute("aria-pressed", model.group === group ? "true" : "false");
    }
  }

  /** The lines that can be seen now are there, and no others. */
  function draw() {
    const line = height();
    const top = Math.max(0, list.scrollTop - scale.offsetHeight);
    const first = Math.max(0, Math.floor(top / line) - BEYOND);
    const last = Math.min(rows.length, Math.ceil((top + list.clientHeight) / line) + BEYOND);
    const wanted = new Set(rows.slice(first, last).map((row) => row.key));
    for (const [key, { element }] of drawn) {
      if (!wanted.has(key)) {
        element.remove();
        drawn.delete(key);
      }
    }
    for (let at = first; at < last; at += 1) {
      const row = model.rows.get(rows[at]?.key ?? "");
      if (row && !drawn.has(row.key)) space.append(lined(row, at).element);
    }
    const active = drawn.get(model.selected);
    if (active) list.setAttribute("aria-activedescendant", active.element.id);
    else list.removeAttribute("aria-activedescendant");
  }

  /**
   * A row's line, in its place.
   *
   * @param {Row} row
   * @param {number} at
   */
  function lined(row, at) {
    const line = lineOf(model, row, at, rows.length);
    line.element.style.top = `${at * height()}px`;
    drawn.set(row.key, line);
    return line;
  }

  /** @param {number} at */
  function show(at) {
    if (at < 0) return;
    const line = height();
    const top = at * line;
    const room = list.clientHeight - scale.offsetHeight - line;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top > list.scrollTop + room) list.scrollTop = top - room;
  }

  /** @param {KeyboardEvent} event */
  function move(event) {
    const at = places.get(model.selected) ?? -1;
    const page = Math.max(1, Math.floor(list.clientHeight / height()) - 2);
    /** @type {Record<string, number>} */
    const ways = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + page, PageUp: at - page };
    const to = ways[event.key];
    if (event.key === "Enter" && at >= 0) document.getElementById("inspector")?.focus();
    if (to === undefined || !rows.length) return;
    event.preventDefault();
    const row = rows[Math.min(rows.length - 1, Math.max(0, to))];
    if (row) model.select(row.key);
  }

  let waiting = false;
  list.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  });
  list.addEventListener("keydown", move);
  search.addEventListener("input", () => model.filter(model.group, search.value));
  phone.addEventListener("change", renew);
  new ResizeObserver(() => {
    wide = scale.querySelector(".lane")?.clientWidth ?? 0;
    draw();
  }).observe(list);
  model.listen(follow);
  return h("section.timeline", { "aria-labelledby": "timeline-title" },
    h("div.bar", {}, h("h2", { id: "timeline-title" }, "Timeline"), groups, search), told, list, legend());
}

/** @param {Model} model */
function scaled(model) {
  const end = model.end();
  const { most, drawing } = load(model.rows.values(), end, model.now());
  const marks = ticks(end).map((moment) => {
    const mark = h("span.tick", {}, tick(moment));
    mark.style.left = share(moment, end);
    if (moment / Math.max(end, 0.001) > 0.9) mark.classList.add("last");
    return mark;
  });
  return [
    h("span.heads.what", {}, ""),
    h("span.heads.n", {}, "time"),
    h("span.heads.n", {}, "tokens"),
    h("span.heads.n", {}, "cost"),
    h("div.lane", { title: `at most ${many(most, "call")} at a time` }, drawing, ...expected(model), ...marks),
  ];
}

/**
 * @param {Model} model
 * @param {Row} row
 * @param {number} at
 * @param {number} all
 * @returns {Line}
 */
function lineOf(model, row, at, all) {
  const trouble = troubleOf(row);
  const chosen = row.key === model.selected;
  const time = model.elapsed(row);
  const took = h("span.n", {}, time === null ? "" : row.state === "running" ? tenths(time) : seconds(time));
  const tokens = h("span.n", {}, tokensOf(model, row));
  const { lane, growing } = laneOf(model, row);
  const element = h(`div.row.${classOf(row)}`, {
    role: "option", id: `row-${at}`, "aria-selected": chosen ? "true" : "false",
    "aria-posinset": at + 1, "aria-setsize": all, "aria-label": spoken(row),
  },
    h("span.mark", {}, MARKS[row.state] ?? "○"),
    h("span.id", {}, row.id),
    h("span.what", { title: row.about }, row.type && h("span.type", {}, row.type), trouble && h("span.trouble", {}, trouble), row.about),
    took,
    tokens,
    h("span.n", {}, dollars(row.cost)),
    lane,
  );
  element.addEventListener("click", () => model.select(row.key));
  return { element, took, tokens, growing };
}

/**
 * What the calls of a row took, and about what those took so far that are under way.
 *
 * @param {Model} model
 * @param {Row} row
 */
function tokensOf(model, row) {
  const tokens = (row.input ?? 0) + (row.output ?? 0);
  const heard = (row.state === "running" && model.heard.get(row.key)) || 0;
  return heard ? `~${count(tokens + heard)}` : tokens ? count(tokens) : "";
}

/** @param {Row} row */
export function classOf(row) {
  if (row.state === "done" && row.verdict === "fails") return "doubt";
  return ["failed", "skipped"].includes(row.state) ? "bad" : ["truncated", "cut", "stopped"].includes(row.state) ? "doubt" : row.state;
}

/** @param {Row} row */
export function troubleOf(row) {
  const told = [];
  if (groupOf(row) === "not done" && row.state !== "done") told.push(row.error ? `${row.state}: ${row.error}` : row.state);
  if (row.verdict === "fails" || row.verdict === "unchecked")
    told.push(`${row.verdict === "fails" ? "its check fails" : "unchecked"}${row.remark ? `: ${row.remark}` : ""}`);
  if (row.twin) told.push(`a duplicate of ${row.twin}`);
  return told.join(", ");
}

/** @param {Row} row */
function spoken(row) {
  const facts = [row.id, row.type, row.state, troubleOf(row)];
  if (row.elapsed !== null && row.elapsed !== undefined) facts.push(`${seconds(row.elapsed)} from ${seconds(row.since ?? 0)}`);
  if (row.needs?.length) facts.push(`needs ${row.needs.join(", ")}`);
  facts.push(many(row.calls?.length ?? 0, "call"), row.about);
  return facts.filter(Boolean).join(", ");
}
