/** What a run is and what it came to, in a few lines. */
import { h, say } from "./dom.js";
import { outlook } from "./forecast.js";
import { dollars, grouped, many, seconds, tenths } from "./format.js";
import { groupOf } from "./model.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Facts} Facts */

const MARKS = /** @type {Record<string, string>} */ ({ finished: "✓", running: "▸", failed: "✗", interrupted: "■", killed: "✗" });
const COLOURS = /** @type {Record<string, string>} */ ({ finished: "done", running: "running", interrupted: "doubt" });

const OFTEN = 250; // ms between two drawings while it goes on
const SPOKEN = 15_000; // ms between two times that a screen reader is told how far it is

/** @param {Model} model */
export function summary(model) {
  const task = h("h1.clamp", { title: "the task", tabindex: "0" });
  const state = h("b.state");
  const told = h("span");
  const far = h("div.far", { role: "progressbar", "aria-label": "subtasks that are over", "aria-valuemin": "0" }, h("i"), h("i"));
  const ahead = h("p.m");
  const simulated = h("p.m", {}, "simulated: no language model was asked");
  const head = h("header.head", {}, task, h("p", {}, state, " · ", told), far, ahead, simulated);
  const lacks = h("div.lacks");
  const spoken = h("p.unseen", { role: "status" });
  let lacking = "";
  let drawn = 0;
  let said = 0;

  function renew() {
    const facts = model.facts;
    if (!facts) return;
    drawn = performance.now();
    document.title = `${MARKS[facts.status] ?? ""} ${facts.task.slice(0, 80) || facts.id}`.trim();
    say(task, facts.task || "(its texts were not kept)");
    state.className = `state ${COLOURS[facts.status] ?? "bad"}`;
    say(state, model.live && facts.approval === "asked" ? "waiting for you" : facts.status);
    say(told, factsOf(model, facts).join(" · "));
    say(ahead, outlook(model));
    simulated.hidden = !facts.simulated;
    const lack = [facts.error, facts.missing, facts.degraded, facts.remarks];
    if (JSON.stringify(lack) === lacking) return;
    lacking = JSON.stringify(lack);
    lacks.replaceChildren(
      ...(facts.error ? [h("p.trouble", { role: "alert" }, facts.error)] : []),
      ...listed("missing", facts.missing), ...listed("given up", facts.degraded), ...listed("removed from the answer", facts.remarks));
  }

  /** How far it is: as bars, and now and then in words for who hears the page. */
  function progress() {
    const rows = [...model.rows.values()].filter((row) => !row.key.startsWith("/"));
    const over = rows.filter((row) => ["done", "not done"].includes(groupOf(row))).length;
    const running = rows.filter((row) => row.state === "running").length;
    far.hidden = !model.live || !rows.length;
    far.setAttribute("aria-valuemax", String(rows.length));
    far.setAttribute("aria-valuenow", String(over));
    far.title = `${over} of ${rows.length} over, ${running} running`;
    const [first, second] = /** @type {HTMLElement[]} */ ([...far.children]);
    if (first) first.style.width = `${(100 * over) / Math.max(1, rows.length)}%`;
    if (second) second.style.width = `${(100 * running) / Math.max(1, rows.length)}%`;
    if (model.live ? performance.now() - said < SPOKEN : !said) return;
    said = model.live ? performance.now() : 0;
    say(spoken, model.live ? `${far.title}, ${Math.round(model.now())} seconds` : `the run is ${model.facts?.status}`);
  }

  model.listen((change) => {
    if (change === "content" || (change === "frame" && performance.now() - drawn > OFTEN)) renew();
    if (change === "content") progress();
  });
  return h("div", {}, head, lacks, spoken);
}

/**
 * @param {Model} model
 * @param {Facts} facts
 */
function factsOf(model, facts) {
  const calls = [...model.rows.values()].flatMap((row) => row.calls ?? []);
  const reused = calls.filter((call) => call.state === "reused").length;
  const again = calls.flatMap((call) => call.spans ?? []).filter(([kind]) => ["retry", "held", "hedge"].includes(kind)).length;
  const alone = !model.live && facts.alone > facts.now * 1.05 ? ` (one call after another: ${seconds(facts.alone)})` : "";
  return [
    model.live ? tenths(model.now()) : seconds(facts.now) + alone,
    model.live ? progressOf(model) : "",
    many(calls.length, "call"),
    reused ? `${grouped(reused)} of them from the records` : "",
    again ? `asked again ${many(again, "time")}` : "",
    `${grouped(facts.input)} tokens in, ${grouped(facts.output)} out`,
    dollars(facts.cost),
    facts.executions > 1 ? many(facts.executions, "execution") : "",
    facts.started.slice(0, 16).replace("T", " ") + (facts.started ? " UTC" : ""),
    facts.id,
  ].filter(Boolean);
}

/** @param {Model} model */
function progressOf(model) {
  const rows = [...model.rows.values()].filter((row) => !row.key.startsWith("/"));
  const done = rows.filter((row) => groupOf(row) === "done").length;
  const running = [...model.rows.values()].filter((row) => row.state === "running").length;
  return `${grouped(done)} of ${grouped(rows.length)} done, ${grouped(running)} running`;
}

/**
 * @param {string} what
 * @param {string[] | undefined} lines
 */
function listed(what, lines) {
  return lines?.length ? [h("details.lack", { open: lines.length < 8 }, h("summary", {}, `${what}: ${lines.length}`), h("ul", {}, ...lines.map((line) => h("li", {}, line))))] : [];
}
