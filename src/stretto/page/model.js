/** What a page knows of a run, and what somebody has chosen to look at. */

/** @typedef {[kind: string, start: number, end: number, reason: string]} Span */
/**
 * @typedef {object} Call
 * @property {string} id
 * @property {string} state `running`, `done`, `failed`, `reused` or `stopped`
 * @property {string} model
 * @property {number | null} start
 * @property {number | null} end
 * @property {string} [part]
 * @property {Span[]} [spans]
 * @property {number} [input]
 * @property {number} [output]
 * @property {string | null} [cost]
 * @property {string} [finish]
 * @property {number} [attempts]
 * @property {string} [error]
 * @property {string} [answered_by]
 * @property {[role: string, text: number][]} [messages]
 * @property {number | null} [reasoning]
 * @property {number | null} [reply]
 */
/**
 * @typedef {object} Row
 * @property {string} key
 * @property {string} id
 * @property {string} state
 * @property {string} [type]
 * @property {string} [about]
 * @property {string[]} [needs] keys
 * @property {number} [round]
 * @property {number | null} [queued]
 * @property {number | null} [since]
 * @property {number | null} [until]
 * @property {number | null} [elapsed]
 * @property {number} [input]
 * @property {number} [output]
 * @property {string | null} [cost]
 * @property {string} [verdict]
 * @property {string} [remark]
 * @property {string} [error]
 * @property {string} [twin]
 * @property {number | null} [result]
 * @property {Call[]} [calls]
 */
/** @typedef {string | (Tree | Record<string, string>)[]} Tree a text, or an element: its name, attributes if any, what is in it */
/**
 * @typedef {object} Note
 * @property {string} number
 * @property {string} source
 * @property {string} [key]
 * @property {string} [name]
 * @property {string} [lines]
 * @property {string} [quote]
 * @property {boolean | null} [verified]
 */
/**
 * @typedef {object} Facts what is told of a run but for its rows and texts
 * @property {string} id
 * @property {string} task
 * @property {string} status
 * @property {boolean} simulated
 * @property {string} started
 * @property {number} now
 * @property {number} alone
 * @property {number} executions
 * @property {number} input
 * @property {number} output
 * @property {string | null} cost
 * @property {string} [analysis]
 * @property {string} [error]
 * @property {string[]} [missing]
 * @property {string[]} [degraded]
 * @property {string[]} [remarks]
 * @property {Tree[]} [answer]
 * @property {Note[]} [notes]
 * @property {{id: string, name: string, text: number | null}[]} [inputs]
 */
/** @typedef {Facts & {rows: Row[], texts: string[]}} Content */
/** @typedef {Partial<Content>} Piece what has changed; rows by their keys, texts that follow on those there are */

/** @typedef {"content" | "choice" | "filter"} Change what is another than before */

const WAITS = new Set(["waiting", "queued"]);
export const GROUPS = ["all", "not done", "running", "waiting", "done"];

/**
 * Which group a row counts to.
 *
 * @param {Row} row
 */
export function groupOf(row) {
  if (row.state === "running") return "running";
  if (WAITS.has(row.state)) return "waiting";
  return row.state === "done" && row.verdict !== "fails" ? "done" : "not done";
}

export class Model {
  constructor() {
    /** @type {Facts | null} */
    this.facts = null;
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    /** @type {string[]} */
    this.texts = [];
    this.selected = "";
    this.call = "";
    this.group = "all";
    this.wanted = "";
    /** @type {Set<(change: Change) => void>} */
    this.listeners = new Set();
  }

  /**
   * Learn a piece of the run, the whole of it the first time.
   *
   * @param {Piece} piece
   */
  take(piece) {
    const { rows = [], texts = [], ...facts } = piece;
    this.facts = /** @type {Facts} */ ({ ...this.facts, ...facts });
    this.texts.push(...texts);
    for (const row of rows) this.rows.set(row.key, row);
    this.tell("content");
  }

  /**
   * Look at a row, and at one of its calls.
   *
   * @param {string} key
   * @param {string} call
   */
  select(key, call = "") {
    const known = this.rows.has(key) ? key : "";
    if (known === this.selected && call === this.call) return;
    this.selected = known;
    this.call = call;
    this.tell("choice");
  }

  /**
   * Show the rows of a group in which these words stand.
   *
   * @param {string} group
   * @param {string} wanted
   */
  filter(group, wanted) {
    this.group = group;
    this.wanted = wanted.trim().toLowerCase();
    this.tell("filter");
  }

  /** The rows that are to be shown, in the order of the plan. */
  shown() {
    const all = [...this.rows.values()];
    if (this.group === "all" && !this.wanted) return all;
    return all.filter((row) => (this.group === "all" || groupOf(row) === this.group) && this.fits(row));
  }

  /** How many rows there are of each group. */
  counts() {
    /** @type {Record<string, number>} */
    const counts = { all: this.rows.size };
    for (const row of this.rows.values()) counts[groupOf(row)] = (counts[groupOf(row)] ?? 0) + 1;
    return counts;
  }

  /** @param {number | null | undefined} place */
  text(place) {
    return place === null || place === undefined ? "" : (this.texts[place] ?? "");
  }

  /** @param {(change: Change) => void} listener */
  listen(listener) {
    this.listeners.add(listener);
  }

  /** @param {Change} change */
  tell(change) {
    for (const listener of this.listeners) listener(change);
  }

  /** @param {Row} row */
  fits(row) {
    const said = [row.id, row.type, row.about, row.state, row.error, row.remark, ...(row.calls ?? []).map((call) => call.model)];
    return said.join("\n").toLowerCase().includes(this.wanted);
  }
}
