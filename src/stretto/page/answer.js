/** The answer, built of elements that are known to do nothing, and what its passages rest on. */
import { passage } from "./calls.js";
import { h, inner, later, say } from "./dom.js";
import { MANY } from "./graph.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Tree} Tree */
/** @typedef {import("./model.js").Note} Note */

const KNOWN = new Set(["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "s",
  "a", "hr", "br", "table", "thead", "tbody", "tr", "th", "td"]);
const LEADS = /^(?:https?|mailto):/i;
const SIDES = new Set(["left", "right", "center"]);

/** @param {Model} model */
export function answer(model) {
  const text = h("div.text");
  const writing = h("div.text.writing", { "aria-busy": "true" });
  const notes = h("div.notes");
  const section = h("section.answer", { "aria-labelledby": "answer-title" }, h("h2", { id: "answer-title" }, "Answer"), text, writing, notes);
  /** @type {Element[]} */
  let lit = [];
  /** @type {unknown} */
  let told = null;
  let timer = 0;

  /** The whole answer stands there. */
  function renew() {
    timer = 0;
    const facts = model.facts;
    const meant = new Map((facts?.notes ?? []).map((note) => [note.number, note]));
    text.replaceChildren(...(facts?.answer ?? []).map((tree) => built(tree, meant)));
    notes.replaceChildren(...noted(model));
    light();
  }

  /** What rests on the chosen row stands out. */
  function light() {
    for (const cite of lit) cite.classList.remove("lit");
    lit = model.selected ? [...section.querySelectorAll(`[data-key="${CSS.escape(model.selected)}"]`)] : [];
    for (const cite of lit) cite.classList.add("lit");
  }

  model.listen((change) => {
    if (change === "filter" || change === "frame") return;
    const facts = model.facts;
    const whole = Boolean(facts?.answer?.length);
    if (facts && facts.answer !== told) {
      const first = !told && !model.writing && model.rows.size > MANY;
      told = facts.answer;
      if (!first) renew();
      else timer ||= later(renew); // what stands above it comes first
    }
    text.hidden = !whole;
    writing.hidden = whole;
    say(writing, whole ? "" : model.writing);
    section.hidden = !whole && !model.writing;
    light();
  });
  return section;
}

/**
 * @param {Tree} tree
 * @param {Map<string, Note>} notes
 * @returns {Node}
 */
function built(tree, notes) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const [first, ...rest] = tree;
  const name = String(first);
  const attributes = rest.find((each) => typeof each === "object" && !Array.isArray(each)) ?? {};
  const children = /** @type {Tree[]} */ (rest.filter((each) => each !== attributes));
  if (name === "cite") return citation(notes.get(String(children[0])));
  const element = h(KNOWN.has(name) ? name : "span", {}, ...children.map((child) => built(child, notes)));
  const told = /** @type {Record<string, string>} */ (attributes);
  if (element instanceof HTMLAnchorElement && told["href"] && LEADS.test(told["href"])) {
    element.href = told["href"];
    element.target = "_blank";
    element.rel = "noopener noreferrer";
  }
  if (told["align"] && SIDES.has(told["align"])) element.style.textAlign = told["align"];
  if (element instanceof HTMLOListElement) element.start = Number(told["start"] ?? 1) || 0;
  return name === "table" ? h("div.wide", {}, element) : element;
}

/** @param {Note | undefined} note */
function citation(note) {
  if (!note) return document.createTextNode("");
  const label = `[${note.number}]`;
  const about = described(note);
  if (!note.key) return h("sup.cite", { title: about }, label);
  return h("sup", {}, inner("a.cite", note.key, label, { title: about, "aria-label": `${label} rests on ${about}`, "data-key": note.key }));
}

/** @param {Note} note */
function described(note) {
  if (!note.name) return note.source;
  const lines = note.lines ? `, line${note.lines.includes("-") ? "s" : ""} ${note.lines}` : "";
  const doubt = note.verified === false ? " (not found in the file)" : "";
  return `${note.name}${lines}${note.quote ? `: “${note.quote}”` : ""}${doubt}`;
}

/** @param {Model} model */
function noted(model) {
  const { notes = [], inputs = [] } = model.facts ?? {};
  /** @type {HTMLElement[]} */
  const parts = [];
  if (notes.length) {
    parts.push(h("h3", {}, "It rests on"), h("ol.list", {}, ...notes.map((note) => {
      const row = model.rows.get(note.key ?? "");
      const leads = row ? inner("a", row.key, row.id, { "data-key": row.key }) : described(note);
      return h("li", { class: note.verified === false ? "doubt" : "" }, `[${note.number}] `, leads, row ? `: ${[row.type, row.about].filter(Boolean).join(", ")}` : "");
    })));
  }
  for (const input of inputs) parts.push(attached(model, input));
  return parts;
}

/**
 * An input, whose text is there once it is opened.
 *
 * @param {Model} model
 * @param {{id: string, name: string, text: number | null}} input
 */
function attached(model, input) {
  const element = /** @type {HTMLDetailsElement} */ (h("details.passage", {}, h("summary", {}, `${input.id}: ${input.name}`)));
  element.addEventListener("toggle", async () => {
    if (element.open) element.replaceWith(passage(`${input.id}: ${input.name}`, await model.input(input), true));
  }, { once: true });
  return element;
}
