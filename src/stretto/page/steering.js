/** What can be done with a run: stopping it, going on, running it again, and the same with a subtask. */
import { asked } from "./asking.js";
import { button, h, leads, say } from "./dom.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Row} Row */

const GOES_ON = new Set(["interrupted", "failed", "killed"]);

/**
 * The buttons of a run; each is there where it means something.
 *
 * @param {Model} model
 * @param {string} run
 * @param {() => void} again follow the run once more: it goes on
 */
export function steering(model, run, again) {
  const path = `/api/runs/${encodeURIComponent(run)}`;
  const trouble = h("p.trouble", { role: "alert" });

  /**
   * Ask the server for something, and say what comes of it if that is trouble.
   *
   * @param {HTMLElement} pressed
   * @param {string} what
   * @param {object} body
   * @returns {Promise<any>}
   */
  async function tell(pressed, what, body = {}) {
    pressed.toggleAttribute("disabled", true);
    say(trouble, "");
    try {
      return await asked(`${path}/${what}`, { method: "POST", body });
    } catch (error) {
      say(trouble, error instanceof Error ? error.message : String(error));
      return null;
    } finally {
      pressed.toggleAttribute("disabled", false);
    }
  }

  const stop = button("button", "Stop", () => void tell(stop, "cancel"), { title: "Stop it, and every call of it; it can go on later" });
  const resume = button("button.main", "Go on", async () => {
    if (await tell(resume, "resume")) again();
  }, { title: "Go on with it: what is complete is not asked again" });
  const rerun = button("button", "Run again", async () => {
    const told = await tell(rerun, "rerun");
    if (told) location.assign(`/runs/${encodeURIComponent(told.run)}`);
  }, { title: "A new run that asks only what has changed" });
  const origin = leads("a", "", "beside the run it came from");
  model.acts = (row) => acts(model, row, tell);
  model.listen((change) => {
    const facts = model.facts;
    if (change !== "content" || !facts) return;
    stop.hidden = !model.live;
    resume.hidden = !GOES_ON.has(facts.status);
    rerun.hidden = model.live || !facts.task;
    origin.hidden = !facts.origin;
    if (facts.origin) origin.href = `/runs/${encodeURIComponent(run)}?beside=${encodeURIComponent(facts.origin)}`;
  });
  for (const each of [stop, resume, rerun, origin]) each.hidden = true;
  return { bar: h("div.acts", {}, origin, rerun, resume, stop), trouble, tell };
}

/**
 * The buttons of a subtask.
 *
 * @param {Model} model
 * @param {Row} row
 * @param {(pressed: HTMLElement, what: string, body?: object) => Promise<any>} tell
 * @returns {Node[]}
 */
function acts(model, row, tell) {
  if (row.key.includes("/")) return [];
  if (!model.live) return model.facts?.task ? [rerunOf(row, tell)] : [];
  const path = `subtasks/${encodeURIComponent(row.key)}`;
  const found = [];
  if (row.state === "running" || row.state === "queued") {
    const stop = button("button", "Stop this subtask", () => void tell(stop, `${path}/stop`), { title: "What it has said so far is kept" });
    found.push(stop);
  }
  if (row.state !== "waiting" && !model.rows.has("/synthesizer")) {
    const remark = /** @type {HTMLInputElement} */ (h("input", { placeholder: "a remark, if you like", "aria-label": "What is to be better this time" }));
    const again = button("button", "Ask again", () => void tell(again, `${path}/again`, remark.value.trim() ? { remark: remark.value } : {}));
    remark.addEventListener("keydown", (event) => event.key === "Enter" && again.click());
    found.push(h("span.again", {}, again, remark));
  }
  return found;
}

/**
 * A run that is over has nothing to be asked again; another one has.
 *
 * @param {Row} row
 * @param {(pressed: HTMLElement, what: string, body?: object) => Promise<any>} tell
 */
function rerunOf(row, tell) {
  const rerun = button("button", "Run again with this asked anew", async () => {
    const told = await tell(rerun, "rerun", { fresh: [row.key] });
    if (told) location.assign(`/runs/${encodeURIComponent(told.run)}`);
  }, { title: "A new run: this subtask and what needs it are asked, all else is taken over" });
  return rerun;
}
