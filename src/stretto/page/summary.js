/** What a run is and what it came to, in a few lines. */
import { h } from "./dom.js";
import { dollars, grouped, many, seconds } from "./format.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Facts} Facts */

const COLOURS = /** @type {Record<string, string>} */ ({ finished: "done", running: "running", interrupted: "doubt" });

/** @param {Model} model */
export function summary(model) {
  const head = h("header.head");
  const lacks = h("div.lacks");
  model.listen((change) => {
    const facts = model.facts;
    if (!facts || change !== "content") return;
    document.title = facts.task.slice(0, 80) || facts.id;
    head.replaceChildren(
      h("h1.clamp", { title: "the task", tabindex: "0" }, facts.task || "(its texts were not kept)"),
      h("p", {}, h(`b.state.${COLOURS[facts.status] ?? "bad"}`, {}, facts.status), " · ", factsOf(model, facts).join(" · ")),
      facts.simulated ? h("p.m", {}, "simulated: no language model was asked") : "");
    lacks.replaceChildren(
      ...(facts.error ? [h("p.trouble", { role: "alert" }, facts.error)] : []),
      ...listed("missing", facts.missing), ...listed("given up", facts.degraded), ...listed("removed from the answer", facts.remarks));
  });
  return h("div", {}, head, lacks);
}

/**
 * @param {Model} model
 * @param {Facts} facts
 */
function factsOf(model, facts) {
  const calls = [...model.rows.values()].flatMap((row) => row.calls ?? []);
  const reused = calls.filter((call) => call.state === "reused").length;
  const again = calls.flatMap((call) => call.spans ?? []).filter(([kind]) => ["retry", "held", "hedge"].includes(kind)).length;
  const alone = facts.alone > facts.now * 1.05 ? ` (one call after another: ${seconds(facts.alone)})` : "";
  return [
    seconds(facts.now) + alone,
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

/**
 * @param {string} what
 * @param {string[] | undefined} lines
 */
function listed(what, lines) {
  return lines?.length ? [h("details.lack", { open: lines.length < 8 }, h("summary", {}, `${what}: ${lines.length}`), h("ul", {}, ...lines.map((line) => h("li", {}, line))))] : [];
}
