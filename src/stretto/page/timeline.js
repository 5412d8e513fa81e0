/** The timeline: a line for each row, of which only those that can be seen are there. */
import { load, share, tick, ticks } from "./axis.js";
import { laneOf, legend } from "./bars.js";
import { button, h } from "./dom.js";
import { count, dollars, many, seconds } from "./format.js";
import { GROUPS, groupOf } from "./model.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Row} Row */

export const MARKS = /** @type {Record<string, string>} */ ({
  done: "✓", failed: "✗", skipped: "✗", truncated: "!", cut: "!", stopped: "■", running: "▸", waiting: "○", queued: "○",
});
const BEYOND = 6; // lines above and below what is seen
const PHONE = "(max-width: 700px)";

/** @param {Model} model */
export function timeline(model) {
  const list = h("div.rows", { role: "listbox", tabindex: "0", "aria-label": "Calls, by subtask, in the order of the plan" });
  const scale = h("div.scale", { "aria-hidden": "true" });
  const space = h("div.space", { role: "presentation" });
  list.append(scale, space);
  const search = /** @type {HTMLInputElement} */ (h("input", { type: "search", placeholder: "Find", "aria-label": "Find rows" }));
  const groups = h("div.groups", { role: "group", "aria-label": "Which rows are shown" });
  const told = h("p.m", { role: "status" });
  const phone = matchMedia(PHONE);

  /** @type {Row[]} */
  let rows = [];
  /** @type {Map<string, HTMLElement>} */
  const drawn = new Map();
  let selected = "";

  const height = () => (phone.matches ? 52 : 30);

  /** @param {import("./model.js").Change} change */
  function follow(change) {
    if (change === "content") scale.replaceChildren(...scaled(model));
    if (change !== "choice") renew();
    else if (model.selected !== selected) choose();
  }

  /** Another row is looked at. */
  function choose() {
    drawn.get(selected)?.setAttribute("aria-selected", "false");
    selected = model.selected;
    drawn.get(selected)?.setAttribute("aria-selected", "true");
    show(rows.findIndex((row) => row.key === selected));
    draw();
  }

  /** Every line is drawn anew: the run, or what is shown of it, is another. */
  function renew() {
    rows = model.shown();
    for (const element of drawn.values()) element.remove();
    drawn.clear();
    space.style.height = `${rows.length * height()}px`;
    told.textContent = rows.length === model.rows.size ? "" : `${many(rows.length, "row")} of ${model.rows.size}`;
    groups.replaceChildren(...grouped(model, search));
    draw();
  }

  /** The lines that can be seen now are there, and no others. */
  function draw() {
    const line = height();
    const top = Math.max(0, list.scrollTop - scale.offsetHeight);
    const first = Math.max(0, Math.floor(top / line) - BEYOND);
    const last = Math.min(rows.length, Math.ceil((top + list.clientHeight) / line) + BEYOND);
    const wanted = new Set(rows.slice(first, last).map((row) => row.key));
    for (const [key, element] of drawn) {
      if (!wanted.has(key)) {
        element.remove();
        drawn.delete(key);
      }
    }
    for (let at = first; at < last; at += 1) {
      const row = rows[at];
      if (!row || drawn.has(row.key)) continue;
      const element = lineOf(model, row, at, rows.length);
      element.style.top = `${at * line}px`;
      drawn.set(row.key, element);
      space.append(element);
    }
    const active = drawn.get(model.selected);
    if (active) list.setAttribute("aria-activedescendant", active.id);
    else list.removeAttribute("aria-activedescendant");
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
    const at = rows.findIndex((row) => row.key === model.selected);
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
  new ResizeObserver(() => draw()).observe(list);
  model.listen(follow);
  return h("section.timeline", { "aria-labelledby": "timeline-title" },
    h("div.bar", {}, h("h2", { id: "timeline-title" }, "Timeline"), groups, search), told, list, legend());
}

/** @param {Model} model */
function scaled(model) {
  const end = model.facts?.now ?? 0;
  const { most, drawing } = load(model.rows.values(), end);
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
    h("div.lane", { title: `at most ${many(most, "call")} at a time` }, drawing, ...marks),
  ];
}

/**
 * @param {Model} model
 * @param {HTMLInputElement} search
 */
function grouped(model, search) {
  const counts = model.counts();
  return GROUPS.filter((group) => group === "all" || counts[group]).map((group) =>
    button("button.chip", `${group} ${counts[group] ?? 0}`, () => model.filter(group, search.value),
      { "aria-pressed": model.group === group ? "true" : "false" }));
}

/**
 * @param {Model} model
 * @param {Row} row
 * @param {number} at
 * @param {number} all
 */
function lineOf(model, row, at, all) {
  const end = model.facts?.now ?? 0;
  const trouble = troubleOf(row);
  const tokens = (row.input ?? 0) + (row.output ?? 0);
  const chosen = row.key === model.selected;
  const element = h(`div.row.${classOf(row)}`, {
    role: "option", id: `row-${at}`, "aria-selected": chosen ? "true" : "false",
    "aria-posinset": at + 1, "aria-setsize": all, "aria-label": spoken(row),
  },
    h("span.mark", {}, MARKS[row.state] ?? "○"),
    h("span.id", {}, row.id),
    h("span.what", { title: row.about }, row.type && h("span.type", {}, row.type), trouble && h("span.trouble", {}, trouble), row.about),
    h("span.n", {}, row.elapsed === null || row.elapsed === undefined ? "" : seconds(row.elapsed)),
    h("span.n", {}, tokens ? count(tokens) : ""),
    h("span.n", {}, dollars(row.cost)),
    laneOf(model, row, end),
  );
  element.addEventListener("click", () => model.select(row.key));
  return element;
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
