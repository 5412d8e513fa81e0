/** What is known of the row that is looked at. */
import { callOf, passage } from "./calls.js";
import { button, h } from "./dom.js";
import { dollars, grouped, many, seconds } from "./format.js";
import { neighbours } from "./graph.js";
import { classOf, MARKS, troubleOf } from "./timeline.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Row} Row */

/** @param {Model} model */
export function inspector(model) {
  const body = h("div.body");
  const element = h("aside.inspector", { id: "inspector", tabindex: "-1", "aria-label": "The selected row" }, body);
  const close = () => {
    model.select("");
    /** @type {HTMLElement | null} */ (document.querySelector(".rows"))?.focus();
  };
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  let told = "";
  model.listen((change) => {
    const row = model.rows.get(model.selected);
    const now = JSON.stringify([model.call, row ?? null]);
    if (change === "filter" || now === told) return;
    told = now;
    element.classList.toggle("empty", !row);
    element.parentElement?.classList.toggle("inspecting", Boolean(row));
    body.replaceChildren(...(row ? inside(model, row, close) : [h("p.m", {}, "Select a line, a bar or a subtask: what it was asked, what it answered and what came of it stand here.")]));
    body.scrollTop = 0;
  });
  return element;
}

/**
 * @param {Model} model
 * @param {Row} row
 * @param {() => void} close
 */
function inside(model, row, close) {
  const calls = row.calls ?? [];
  const trouble = troubleOf(row);
  const last = calls[calls.length - 1];
  const open = model.call || last?.id || "";
  const needed = [...model.rows.values()].filter((other) => other.needs?.includes(row.key)).map((other) => other.key);
  const cited = (model.facts?.notes ?? []).filter((note) => note.key === row.key).map((note) => `[${note.number}]`);
  const result = model.text(row.result);
  return [
    h("header", {},
      h("h2", {}, h(`span.mark.${classOf(row)}`, { "aria-hidden": "true" }, MARKS[row.state] ?? "○"), ` ${row.id} `, h("span.type", {}, row.type)),
      button("button.close", "✕", close, { "aria-label": "Close" })),
    h("p.m", {}, factsOf(row).join(" · ")),
    trouble && h("p.trouble", {}, trouble),
    row.about && h("p.about", {}, row.about),
    neighbours(model, "needs", row.needs ?? []),
    neighbours(model, "needed by", needed),
    cited.length ? h("p.m", {}, `the answer rests on it at ${cited.join(" ")}`) : null,
    result ? passage("result", result, true) : null,
    calls.length ? h("h3", {}, many(calls.length, "call")) : null,
    ...calls.map((call) => callOf(model, call, call.id === open)),
  ].filter((each) => each instanceof Node);
}

/** @param {Row} row */
function factsOf(row) {
  const tokens = row.input || row.output ? `${grouped(row.input ?? 0)} tokens in, ${grouped(row.output ?? 0)} out` : "";
  const when = row.elapsed === null || row.elapsed === undefined ? "" : `${seconds(row.elapsed)} from ${seconds(row.since ?? 0)}`;
  const waited = row.queued !== null && row.queued !== undefined && row.since ? row.since - row.queued : 0;
  return [
    row.state,
    when,
    waited > 0.01 ? `waited ${seconds(waited)} for admission` : "",
    tokens,
    dollars(row.cost),
    (row.round ?? 1) > 1 ? `round ${row.round}` : "",
    row.verdict === "holds" ? "checked" : "",
  ].filter(Boolean);
}
