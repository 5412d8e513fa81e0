/** A plan that waits for approval: what it is, what it will take, and what may be decided about it. */
import { asked } from "./asking.js";
import { button, h, say } from "./dom.js";
import { count, dollars, grouped, many, seconds } from "./format.js";

const AGAIN = 500; // ms

/** @typedef {import("./model.js").Model} Model */
/** @typedef {{p50: number, p95: number}} Range */
/** @typedef {{name: string, type: string, description: string, needs: string[], calls: number, tokens: Range, cost: {p50: string, p95: string} | null, seconds: Range, critical: boolean}} Line */
/** @typedef {{analysis: string, subtasks: {brief: string, id: string, type: string, description: string, needs: string[], value: number | null, reads: string[]}[]}} Plan */
/** @typedef {{plan: Plan, lines: Line[], answer: Line, total: Line, live: Line | null, batch: Line | null, batches: number}} Proposal */

/**
 * @param {Model} model
 * @param {string} run
 * @param {(pressed: HTMLElement, what: string, body?: object) => Promise<any>} tell
 */
export function gate(model, run, tell) {
  const body = h("div");
  const section = h("section.gate", { "aria-labelledby": "gate-title", tabindex: "-1" }, h("h2", { id: "gate-title" }, "This plan waits for you"), body);
  section.hidden = true;
  let shown = "";

  async function renew() {
    const waits = model.live && model.facts?.approval === "asked";
    section.hidden = !waits;
    const told = waits ? JSON.stringify([...model.rows.keys()]) : "";
    if (told === shown) return;
    shown = told;
    if (!waits) return body.replaceChildren();
    try {
      const proposal = await asked(`/api/runs/${encodeURIComponent(run)}/proposal`);
      if (told === shown) body.replaceChildren(...inside(proposal, tell));
    } catch (error) {
      shown = "";
      setTimeout(() => void renew(), AGAIN); // it is told a moment before it can be asked for
      body.replaceChildren(h("p.trouble", {}, error instanceof Error ? error.message : String(error)));
    }
  }

  model.listen((change) => {
    if (change === "content") void renew();
  });
  return section;
}

/**
 * @param {Proposal} proposal
 * @param {(pressed: HTMLElement, what: string, body?: object) => Promise<any>} tell
 */
function inside(proposal, tell) {
  const picked = new Set();
  const remark = /** @type {HTMLInputElement} */ (h("input", { placeholder: "what another plan should be like", "aria-label": "A remark on the plan" }));
  const edited = /** @type {HTMLTextAreaElement} */ (h("textarea.edited", { rows: 14, spellcheck: "false", "aria-label": "The plan as JSON" }));
  edited.value = JSON.stringify(written(proposal.plan), null, 2);
  const trouble = h("p.trouble", { role: "alert" });
  const go = button("button.main", "Carry it out", () => void tell(go, "answer", { decision: "go" }));
  const drop = /** @type {HTMLButtonElement} */ (button("button", "Leave out what is ticked", () => void tell(drop, "answer", { decision: "drop", ids: [...picked] })));
  const again = button("button", "Another plan", () => void tell(again, "answer", { decision: "again", remark: remark.value }));
  const stop = button("button", "Stop here", () => void tell(stop, "answer", { decision: "stop" }));
  const edit = button("button", "Take this plan", () => {
    try {
      void tell(edit, "answer", { decision: "edit", plan: JSON.parse(edited.value) });
      say(trouble, "");
    } catch (error) {
      say(trouble, `not JSON: ${error instanceof Error ? error.message : error}`);
    }
  });
  drop.disabled = true;
  const rows = proposal.lines.map((line) => {
    const box = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", "aria-label": `leave ${line.name} out` }));
    box.addEventListener("change", () => {
      if (box.checked) picked.add(line.name);
      else picked.delete(line.name);
      drop.disabled = !picked.size;
    });
    return lineOf(line, box);
  });
  return [
    h(`div.wide.proposal${Number(proposal.total.cost?.p95 ?? 1) ? "" : ".free"}`, { tabindex: "0", role: "region", "aria-label": "The plan and its forecast" }, h("table", {},
      h("thead", {}, h("tr", {}, ...["", "subtask", "what", "tokens", "cost", "time"].map((head, at) => h(at > 2 ? "th.n" : "th", { scope: "col" }, head)))),
      h("tbody", {}, ...rows, lineOf(proposal.answer, ""), lineOf(proposal.total, "")))),
    h("p.m", {}, `${many(proposal.total.calls, "call")}; half of such plans take less than the first figure, 19 of 20 less than the second. • what everything waits for`),
    ...waysOf(proposal),
    h("div.acts", {}, go, drop, h("span.again", {}, again, remark), stop),
    h("details", {}, h("summary", {}, "Change the plan"), edited, h("div.acts", {}, edit), trouble),
  ];
}

/**
 * A plan in the form in which one is given.
 *
 * @param {Plan} plan
 */
function written(plan) {
  return {
    analysis: plan.analysis,
    brief: plan.subtasks.at(-1)?.brief ?? "",
    tasks: plan.subtasks.map(({ id, type, description, needs, value, reads }) => ({
      id, type, description, ...(needs.length ? { needs } : {}), ...(value === null ? {} : { value }), ...(reads.length ? { reads } : {}),
    })),
  };
}

/**
 * What the plan takes live and in batches, if it can go either way.
 *
 * @param {Proposal} proposal
 */
function waysOf({ live, batch, batches }) {
  if (!live || !batch) return [];
  const rests = batches ? `as ${batches === 1 ? "a recorded batch" : `${grouped(batches)} recorded batches`} took` : "what providers promise, 24 h for each batch";
  return [h("p.m", {}, `Workers asked live: ${taken(live)}. In their provider's batches: ${taken(batch)} (${rests}).`)];
}

/** @param {Line} line */
function taken(line) {
  const cost = line.cost === null ? "$?" : range(dollars(line.cost.p50), dollars(line.cost.p95));
  return [cost, range(seconds(line.seconds.p50), seconds(line.seconds.p95))].filter(Boolean).join(", ");
}

/**
 * @param {Line} line
 * @param {Node | string} box
 */
function lineOf(line, box) {
  const cost = line.cost === null ? "$?" : range(dollars(line.cost.p50), dollars(line.cost.p95));
  return h("tr", {}, h("td", {}, box), h("td", {}, h("b", {}, line.name), line.critical ? " •" : "", h("div.m", {}, line.type)),
    h("td", {}, line.needs.length ? h("span.m", {}, `after ${line.needs.join(", ")}: `) : "", line.description),
    h("td.n", {}, line.calls ? range(count(line.tokens.p50), count(line.tokens.p95)) : "–"),
    h("td.n", {}, line.calls ? cost : "–"),
    h("td.n", {}, line.calls ? range(seconds(line.seconds.p50), seconds(line.seconds.p95)) : "–"));
}

/**
 * @param {string} low
 * @param {string} high
 */
const range = (low, high) => (low === high ? low : `${low} – ${high}`);
