/** What is known of the row that is looked at. */
import { callOf, goesOn, passage } from "./calls.js";
import { button, h } from "./dom.js";
import { dollars, grouped, many, seconds } from "./format.js";
import { neighbours } from "./graph.js";
import { classOf, MARKS, troubleOf } from "./timeline.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Row} Row */
/** @typedef {import("./model.js").Said} Said */

const AGAIN = 1000; // ms until what is being said is asked for once more

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
  let key = "";
  /** @type {Said} */
  let said = {};
  let timer = 0;
  /** @type {Node[]} */
  let acts = [];
  let acting = "";
  let call = "";

  /** What is known of the row now stands there; what was opened stays so. */
  function renew() {
    const row = model.rows.get(key);
    const now = stand(row);
    if (now === told) return;
    told = now;
    const at = row?.state === "queued" ? "running" : row?.state; // the same can be done
    const can = JSON.stringify([key, at, model.live, model.rows.has("/synthesizer")]);
    if (can !== acting) acts = row ? model.acts(row) : []; // the same ones else: somebody may be writing there
    acting = can;
    const focused = document.activeElement;
    const before = new Map([...body.querySelectorAll("details")].map((each) => [each.dataset["key"], each.open]));
    const top = body.scrollTop;
    body.replaceChildren(...(row ? inside(model, row, said, acts, close) : [h("p.m", {}, NOTHING)]));
    if (model.call !== call) before.delete(model.call);
    call = model.call;
    for (const each of body.querySelectorAll("details")) each.open = before.get(each.dataset["key"]) ?? each.open;
    body.scrollTop = top;
    if (focused instanceof HTMLElement && focused !== document.activeElement && body.contains(focused)) focused.focus();
  }

  /** @param {Row | undefined} row */
  function stand(row) {
    return JSON.stringify([model.call, row ?? null, said, model.live]);
  }

  /** Ask what was said in the row, and again while more is being said. */
  async function hear() {
    clearTimeout(timer);
    const row = model.rows.get(key);
    if (!row) return;
    const found = await model.said(row);
    if (row.key !== key) return; // somebody looks elsewhere by now
    const further = told !== "" && goesOn(body, said, found);
    said = found;
    if (further) told = stand(row);
    else renew();
    if (model.live && row.state === "running") timer = setTimeout(hear, AGAIN);
  }

  model.listen((change) => {
    if (change === "filter" || change === "frame") return;
    const chosen = model.rows.has(model.selected) ? model.selected : "";
    const another = chosen !== key;
    if (another) {
      [key, said] = [chosen, {}];
      body.replaceChildren();
      element.classList.toggle("empty", !key);
      element.parentElement?.classList.toggle("inspecting", Boolean(key));
    }
    renew();
    if (another || (change === "content" && model.changed.has(key))) void hear();
  });
  element.classList.add("empty");
  body.append(h("p.m", {}, NOTHING));
  return element;
}

const NOTHING = "Select a line, a bar or a subtask: what it was asked, what it answered and what came of it stand here.";

/**
 * @param {Model} model
 * @param {Row} row
 * @param {Said} said
 * @param {Node[]} acts
 * @param {() => void} close
 */
function inside(model, row, said, acts, close) {
  const calls = row.calls ?? [];
  const trouble = troubleOf(row);
  const last = calls[calls.length - 1];
  const open = model.call || last?.id || "";
  const needed = [...model.rows.values()].filter((other) => other.needs?.includes(row.key)).map((other) => other.key);
  const cited = (model.facts?.notes ?? []).filter((note) => note.key === row.key).map((note) => `[${note.number}]`);
  return [
    h("header", {},
      h("h2", {}, h(`span.mark.${classOf(row)}`, { "aria-hidden": "true" }, MARKS[row.state] ?? "○"), ` ${row.id} `, h("span.type", {}, row.type)),
      button("button.close", "✕", close, { "aria-label": "Close" })),
    h("p.m", {}, factsOf(model, row).join(" · ")),
    trouble && h("p.trouble", {}, trouble),
    row.about && h("p.about", {}, row.about),
    acts.length ? h("div.acts", {}, ...acts) : null,
    neighbours(model, "needs", row.needs ?? []),
    neighbours(model, "needed by", needed),
    cited.length ? h("p.m", {}, `the answer rests on it at ${cited.join(" ")}`) : null,
    said.result ? passage("result", said.result, true) : null,
    calls.length ? h("h3", {}, many(calls.length, "call")) : null,
    ...calls.map((call) => callOf(call, said.calls?.[call.id] ?? {}, call.id === open, model.now())),
  ].filter((each) => each instanceof Node);
}

/**
 * @param {Model} model
 * @param {Row} row
 */
function factsOf(model, row) {
  const tokens = row.input || row.output ? `${grouped(row.input ?? 0)} tokens in, ${grouped(row.output ?? 0)} out` : "";
  const elapsed = model.elapsed(row);
  const when = elapsed === null ? "" : row.state === "running" ? `since ${seconds(row.since ?? 0)}` : `${seconds(elapsed)} from ${seconds(row.since ?? 0)}`;
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
