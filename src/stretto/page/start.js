/** Starting a run: a task, and which workflow is to answer it. */
import { asked } from "./asking.js";
import { button, h, say } from "./dom.js";

const KEY = "stretto.workflow"; // the one that was chosen last, in sessionStorage

export function start() {
  const task = /** @type {HTMLTextAreaElement} */ (h("textarea", { rows: 2, placeholder: "A task for a new run", "aria-label": "The task" }));
  const workflow = /** @type {HTMLSelectElement} */ (h("select", { "aria-label": "The workflow that answers it" }));
  const [approve, showFirst] = box("show me the plan first", "Nothing of it is asked before you have said so");
  const [direct, oneCall] = box("no plan: one call", "Answered by one call, as if nobody had planned");
  const [fresh, anew] = box("ask everything anew", "No recorded reply answers a call");
  const trouble = h("p.trouble", { role: "alert" });
  const go = /** @type {HTMLButtonElement} */ (button("button.main", "Start", () => void begin()));

  async function begin() {
    if (!task.value.trim()) return task.focus();
    go.disabled = true;
    say(trouble, "");
    sessionStorage.setItem(KEY, workflow.value);
    const wishes = { approve: approve.checked, direct: direct.checked, fresh: fresh.checked ? ["everything"] : [] };
    const wanted = Object.fromEntries(Object.entries(wishes).filter(([, wish]) => wish));
    try {
      const body = { workflow: workflow.value, task: task.value, ...wanted };
      const { run } = await asked("/api/runs", { method: "POST", body, headers: { "idempotency-key": unique() } });
      location.assign(`/runs/${encodeURIComponent(run)}`);
    } catch (error) {
      say(trouble, error instanceof Error ? error.message : String(error));
    }
    go.disabled = false;
  }

  task.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void begin();
  });
  void offered(workflow, trouble);
  return h("section.start", { "aria-label": "A new run" }, task,
    h("div.bar", {}, workflow, showFirst, oneCall, anew, go), trouble);
}

/**
 * The workflows that are served; single calls are no runs of their own.
 *
 * @param {HTMLSelectElement} workflow
 * @param {HTMLElement} trouble
 */
async function offered(workflow, trouble) {
  try {
    const { data } = await asked("/v1/models");
    const names = data.map((/** @type {{id: string}} */ each) => each.id).filter((/** @type {string} */ name) => !name.includes(":"));
    workflow.replaceChildren(...names.map((/** @type {string} */ name) => h("option", { value: name }, name)));
    const last = sessionStorage.getItem(KEY);
    if (!names.length) say(trouble, "No workflow is served here, so no run can be started; runs can be looked at.");
    workflow.value = names.includes(last) ? last : names.includes("general") ? "general" : (names[0] ?? "");
  } catch (error) {
    say(trouble, error instanceof Error ? error.message : String(error));
  }
}

/**
 * @param {string} label
 * @param {string} title
 * @returns {[HTMLInputElement, HTMLElement]}
 */
function box(label, title) {
  const input = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox" }));
  return [input, h("label", { title }, input, ` ${label}`)];
}

/** What no other request is called, so that one that is sent twice begins one run. */
function unique() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
