// Vercel's AI SDK, with its provider for OpenAI-compatible endpoints and with OpenAI's own, which speaks to /v1/responses:
// https://ai-sdk.dev/providers/openai-compatible-providers, https://ai-sdk.dev/providers/ai-sdk-providers/openai.

import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, streamText, tool } from "ai";
import { brokenUrl, key, leave, slowUrl, task, tell, tellError, url, verdict } from "./client.mjs";

const compatible = (baseURL) =>
  createOpenAICompatible({ name: "stretto", baseURL, apiKey: key, includeUsage: true, supportsStructuredOutputs: true });
const openai = createOpenAI({ baseURL: url, apiKey: key });
const chat = { model: compatible(url)("general"), prompt: task };
const response = { model: openai("general"), prompt: task };
const object = { output: Output.object({ schema: verdict }) };
const calling = { tools: { verdict: tool({ inputSchema: verdict }) }, toolChoice: "required" };
const raising = { onError: ({ error }) => { throw error; } };

async function readAll(options) {
  for await (const part of streamText({ ...chat, ...options }).fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "abort") return;
  }
}

const reply = await generateText(chat);
tell("plain", reply.text);
tell("tokens", reply.usage.totalTokens);
tell("thoughts", reply.reasoningText);
tell("streamed", await streamText({ ...chat, ...raising }).text);
tell("structured", (await generateText({ ...chat, ...object })).output);
tell("structured streamed", await streamText({ ...chat, ...object, ...raising }).output);
tell("called", (await generateText({ ...chat, ...calling })).toolCalls[0].input);
tell("called streamed", (await streamText({ ...chat, ...calling, ...raising }).toolCalls)[0].input);

tell("response", (await generateText(response)).text);
tell("response streamed", await streamText({ ...response, ...raising }).text);
tell("response thoughts", (await generateText(response)).reasoningText);
tell("response structured", (await generateText({ ...response, ...object })).output);
tell("response called", (await generateText({ ...response, ...calling })).toolCalls[0].input);
tell("response called streamed", (await streamText({ ...response, ...calling, ...raising }).toolCalls)[0].input);
tell("plain by openai", (await generateText({ ...chat, model: openai.chat("general") })).text);

await tellError("unknown", () => generateText({ ...chat, model: compatible(url)("nobody") }));
await tellError("broken", () => readAll({ model: compatible(brokenUrl)("general"), onError: () => {} }));
await leave((abortSignal) => readAll({ ...raising, model: compatible(slowUrl)("general"), abortSignal }));
