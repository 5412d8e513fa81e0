/** All runs: a list that is searched, and renewed while somebody looks at it. */
import { asked } from "./asking.js";
import { button, h, leads, say } from "./dom.js";
import { count, dollars, many, seconds } from "./format.js";

/**
 * @typedef {object} Summary
 * @property {string} run
 * @property {string} status
 * @property {string} started_at
 * @property {string} last_at
 * @property {string} task
 * @property {boolean} simulated
 * @property {string | null} origin
 * @property {number} subtasks
 * @property {number} done
 * @property {number} missing
 * @property {{input_tokens: number, output_tokens: number}} usage
 * @property {string | null} cost
 * @property {string | null} error
 */

const AGAIN = 2000; // ms between two looks
const SOON = 250; // ms after the last letter of a search
const PAGE = 30;
const STATUSES = ["running", "finished", "failed", "interrupted", "killed"];
const COLOURS = /** @type {Record<string, string>} */ ({ finished: "done", running: "running", interrupted: "doubt", killed: "doubt" });
const MARKS = /** @type {Record<string, string>} */ ({ finished: "✓", running: "▸", interrupted: "■", killed: "■" });

/** @param {...Node} above what stands above the list */
export function runs(...above) {
  const search = /** @type {HTMLInputElement} */ (h("input", { type: "search", placeholder: "Find in tasks", "aria-label": "Find in tasks" }));
  const status = /** @type {HTMLSelectElement} */ (h("select", { id: "shown", "aria-label": "Which runs are shown" },
    h("option", { value: "" }, "all"), ...STATUSES.map((each) => h("option", { value: each }, each))));
  const list = h("ul.runs", { "aria-label": "Runs, newest first" });
  const told = h("p.m", { role: "status" });
  const more = button("button.more", "Show more", () => void extend());
  let wanted = PAGE;
  let timer = 0;
  let turn = 0;

  /** @param {string} before @param {number} limit */
  const page = (before, limit) => {
    const query = new URLSearchParams({ limit: String(limit) });
    if (search.value.trim()) query.set("task", search.value.trim());
    if (status.value) query.set("status", status.value);
    if (before) query.set("before", before);
    return asked(`/api/runs?${query}`);
  };

  /** What there is now stands there. */
  async function renew() {
    clearTimeout(timer);
    const mine = (turn += 1);
    try {
      /** @type {Summary[]} */
      const found = [];
      let next = "";
      do {
        const some = await page(next, Math.min(100, wanted - found.length));
        if (mine !== turn) return; // somebody searches for something else by now
        found.push(...some.data);
        next = some.next ?? "";
      } while (next && found.length < wanted);
      show(found);
      more.hidden = !next;
      say(told, found.length ? "" : search.value || status.value ? "No run fits." : "No runs yet.");
    } catch (error) {
      say(told, error instanceof Error ? error.message : String(error));
    }
    if (mine === turn) timer = setTimeout(() => (document.hidden ? undefined : void renew()), AGAIN);
  }

  /** @param {Summary[]} found */
  function show(found) {
    const before = new Map([...list.children].map((each) => [each.getAttribute("data-run"), each]));
    const items = found.map((each) => {
      const told = JSON.stringify(each);
      const known = before.get(each.run);
      if (known?.getAttribute("data-told") === told) return known;
      const item = itemOf(each);
      item.setAttribute("data-told", told);
      return item;
    });
    if (items.length !== list.children.length || items.some((each, at) => each !== list.children[at])) list.replaceChildren(...items);
  }

  function extend() {
    wanted += PAGE;
    return renew();
  }

  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void renew(), SOON);
  });
  status.addEventListener("change", () => void renew());
  document.addEventListener("visibilitychange", () => document.hidden || void renew());
  void renew();
  document.title = "Runs";
  return h("main.wide-page", {}, h("header.top", {}, h("h1", {}, "Stretto")), ...above,
    h("section", { "aria-labelledby": "runs-title" },
      h("div.bar", {}, h("h2", { id: "runs-title" }, "Runs"), status, search), told, list, more));
}

/** @param {Summary} each */
function itemOf(each) {
  const tokens = each.usage.input_tokens + each.usage.output_tokens;
  const took = (Date.parse(each.last_at) - Date.parse(each.started_at)) / 1000;
  const facts = [
    each.subtasks ? `${each.done} of ${many(each.subtasks, "subtask")}` : "",
    each.missing ? `${each.missing} missing` : "",
    each.status !== "running" && took >= 0 ? seconds(took) : "",
    tokens ? `${count(tokens)} tokens` : "",
    dollars(each.cost),
    each.origin ? "a rerun" : "",
    each.simulated ? "simulated" : "",
  ];
  return h("li", { "data-run": each.run },
    leads("a.run", `/runs/${encodeURIComponent(each.run)}`,
      h(`span.state.${COLOURS[each.status] ?? "bad"}`, {}, `${MARKS[each.status] ?? "✗"} ${each.status}`),
      h("span.task", {}, each.task || each.run),
      h("span.m.facts", {}, facts.filter(Boolean).join(" · ")),
      each.error && each.status !== "interrupted" ? h("span.trouble", {}, each.error) : null,
      h("span.m.when", {}, when(each.started_at))));
}

const TODAY = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const BEFORE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** @param {string} at */
function when(at) {
  const moment = new Date(at);
  if (Number.isNaN(moment.getTime())) return "";
  return (moment.toDateString() === new Date().toDateString() ? TODAY : BEFORE).format(moment);
}
