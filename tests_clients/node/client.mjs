// What the programs of all clients have in common; the protocol is that of ../programs/client.py.

import { createInterface } from "node:readline";
import { z } from "zod";

export const url = process.env.OPENAI_BASE_URL;
export const slowUrl = process.env.SLOW_BASE_URL;
export const brokenUrl = process.env.BROKEN_BASE_URL;
export const key = process.env.OPENAI_API_KEY;
export const task = "Compare tea and coffee in 3 subtasks";
export const verdict = z.object({ winner: z.string(), reasons: z.array(z.string()) });

/** Say what came of one thing. */
export function tell(what, told) {
  console.log(JSON.stringify({ [what]: told }));
}

/** Say what is raised. */
export async function tellError(what, asked) {
  try {
    tell(what, `no error: ${JSON.stringify(await asked())}`);
  } catch (error) {
    tell(what, `${error.constructor.name}: ${error.message}`);
  }
}

/** Read until the end, and abort when a line comes in; live on until there are no more. */
export async function leave(reading) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const aborting = new AbortController();
  const read = reading(aborting.signal);
  tell("reading", true);
  await lines.next();
  aborting.abort();
  await read.catch((error) => {
    if (!/abort/i.test(error.message)) throw error; // it may have been before the first byte
  });
  tell("left", true);
  await lines.next();
}
