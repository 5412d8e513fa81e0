/** What a page knows of a run, and what somebody has chosen to look at. */

/** @typedef {[kind: string, start: number, end: number | null, reason: string]} Span with no end where it goes on */
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
 * @property {number | null} [end] how far the axis goes, if not to now
 * @property {number} alone
 * @property {number} executions
 * @property {number} input
 * @property {number} output
 * @property {string | null} cost
 * @property {string} [origin] the run that it was begun from
 * @property {string} [approval] `asked` while its plan waits to be approved
 * @property {{at: number, soon: number, late: number, known: number}} [foretold] when it will be done
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
/**
 * @typedef {Partial<Content> & {whole?: boolean, heard?: Record<string, number>, writing?: [anew: boolean, text: string]}} Piece
 * what has changed: all facts (with the `id`) or some, rows by their keys (`whole`: all there are), texts that follow on
 * those there are, tokens so far by row, and how the answer goes on
 */
/** @typedef {{messages?: [role: string, text: string][], reasoning?: string, reply?: string}} SaidCall */
/** @typedef {{result?: string, calls?: Record<string, SaidCall>}} Said what was said in a row */

/** @typedef {"content" | "choice" | "filter" | "frame"} Change what is another than before; `frame`: the time, while a run goes on */

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
    /** Rows that the last piece has changed, and whether there are others than before. @type {Set<string>} */
    this.changed = new Set();
    this.reshaped = false;
    /** Tokens so far of what is under way, about. @type {Map<string, number>} */
    this.heard = new Map();
    this.writing = "";
    this.live = false;
    this.told = 0; // when, by the browser's clock, `facts.now` was
    /** What can be done with a row, as elements. @type {(row: Row) => Node[]} */
    this.acts = () => [];
    /** @type {Set<(change: Change) => void>} */
    this.listeners = new Set();
  }

  /**
   * Learn a piece of the run, the whole of it the first time.
   *
   * @param {Piece} piece
   */
  take(piece) {
    const { rows = [], texts = [], heard, writing, whole = false, ...facts } = piece;
    this.facts = /** @type {Facts} */ ("id" in facts ? facts : { ...this.facts, ...facts });
    if ("now" in facts) this.told = performance.now();
    if (whole) this.rows.clear();
    this.texts = this.texts.concat(texts);
    this.reshaped = whole || rows.some((row) => !this.rows.has(row.key));
    this.changed = new Set(rows.map((row) => row.key));
    for (const row of rows) this.rows.set(row.key, row);
    if (heard) this.heard = new Map(Object.entries(heard));
    if (writing) this.writing = (writing[0] ? "" : this.writing) + writing[1];
    this.tell("content");
  }

  /** The second that it is: it passes while the run goes on. */
  now() {
    const now = this.facts?.now ?? 0;
    return this.live ? now + (performance.now() - this.told) / 1000 : now;
  }

  /** How far the axis of time goes. */
  end() {
    return Math.max(this.facts?.end ?? 0, this.facts?.now ?? 0);
  }

  /**
   * Seconds that a row took, or takes so far.
   *
   * @param {Row} row
   * @returns {number | null}
   */
  elapsed(row) {
    if (row.elapsed !== null && row.elapsed !== undefined) return row.elapsed;
    return row.state === "running" && row.since !== null && row.since !== undefined ? Math.max(0, this.now() - row.since) : null;
  }

  /**
   * What was said in a row.
   *
   * @param {Row} row
   * @returns {Promise<Said>}
   */
  said(row) {
    const calls = (row.calls ?? []).map((call) => /** @type {const} */ ([call.id, {
      messages: /** @type {[string, string][]} */ ((call.messages ?? []).map(([role, text]) => [role, this.text(text)])),
      reasoning: this.text(call.reasoning),
      reply: this.text(call.reply),
    }]));
    return Promise.resolve({ result: this.text(row.result), calls: Object.fromEntries(calls) });
  }

  /**
   * What an input says.
   *
   * @param {{id: string, text: number | null}} input
   */
  input(input) {
    return Promise.resolve(this.text(input.text));
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
