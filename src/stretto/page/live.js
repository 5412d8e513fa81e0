/** A run as the server tells it, piece by piece, while it goes on and afterwards. */
import { ask, asked, Refused } from "./asking.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Piece} Piece */

const PATIENCE = 1000; // ms until a connection that broke is made again, at first
const MOST = 15_000;

/**
 * The source of a run; `told` is given what there is to say about the connection, or nothing.
 *
 * @param {Model} model
 * @param {string} run
 * @param {(trouble: string) => void} told
 * @returns {{source: import("./source.js").Source, again: () => void}} `again`: ask once more, for the run goes on
 */
export function following(model, run, told) {
  const path = `/page/runs/${encodeURIComponent(run)}`;
  model.said = (row) => asked(`${path}/said?row=${encodeURIComponent(row.key)}`).catch(() => ({}));
  model.input = async (input) => String((await asked(`${path}/said?input=${encodeURIComponent(input.id)}`)).text);
  let reading = false;
  let wanted = false;

  /** @param {(piece: Piece) => void} take */
  async function follow(take) {
    wanted = true;
    if (reading) return;
    reading = true;
    for (let patience = PATIENCE; ; patience = Math.min(MOST, patience * 2)) {
      wanted = false;
      try {
        await read(await ask(path), (piece) => {
          model.live = (piece.status ?? model.facts?.status) === "running";
          patience = PATIENCE;
          told("");
          take(piece);
        });
        if (wanted) continue; // who goes on with it may be quicker than the end of what was told before
        if (model.facts?.status !== "running") break;
      } catch (error) {
        if (error instanceof Refused && error.status < 500) {
          told(error.message);
          break;
        }
      }
      model.live = false;
      told("The server cannot be reached; what is shown is how it was. Trying again…");
      await new Promise((over) => setTimeout(over, patience));
    }
    reading = false;
  }

  /** @type {(piece: Piece) => void} */
  let taking = () => undefined;
  return {
    source: (take) => {
      taking = take;
      void follow(take);
    },
    again: () => void follow(taking),
  };
}

/**
 * Read server-sent events to their end.
 *
 * @param {Response} response
 * @param {(piece: Piece) => void} take
 */
async function read(response, take) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) if (event.startsWith("data: ")) take(JSON.parse(event.slice(6)));
  }
}
