// OpenAI's SDK for Node: https://github.com/openai/openai-node (README, helpers.md).

import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { brokenUrl, key, leave, slowUrl, task, tell, tellError, url, verdict } from "./client.mjs";

const client = new OpenAI({ baseURL: url, apiKey: key });
const asked = { model: "general", messages: [{ role: "user", content: task }] };
const asResponse = { model: "general", input: task };

async function streamed(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

const models = [];
for await (const model of client.models.list()) models.push(model.id);
tell("models", models);

const reply = await client.chat.completions.create(asked);
tell("plain", reply.choices[0].message.content);
tell("tokens", reply.usage.total_tokens);
tell("streamed", await streamed(await client.chat.completions.create({ ...asked, stream: true })));
const shaped = { ...asked, response_format: zodResponseFormat(verdict, "verdict") };
tell("structured", (await client.chat.completions.parse(shaped)).choices[0].message.parsed);
tell("structured streamed", (await client.chat.completions.stream(shaped).finalChatCompletion()).choices[0].message.parsed);
const calling = { ...asked, tools: [zodFunction({ name: "verdict", parameters: verdict })], tool_choice: "required" };
const called = (choice) => choice.message.tool_calls[0].function.parsed_arguments;
tell("called", called((await client.chat.completions.parse(calling)).choices[0]));
tell("called streamed", called((await client.chat.completions.stream(calling).finalChatCompletion()).choices[0]));

tell("response", (await client.responses.create(asResponse)).output_text);
tell("response streamed", (await client.responses.stream(asResponse).finalResponse()).output_text);
const text = { format: zodTextFormat(verdict, "verdict") };
tell("response structured", (await client.responses.parse({ ...asResponse, text })).output_parsed);

await tellError("unknown", () => client.chat.completions.create({ ...asked, model: "nobody" }));
const broken = new OpenAI({ baseURL: brokenUrl, apiKey: key });
await tellError("broken", async () => await streamed(await broken.chat.completions.create({ ...asked, stream: true })));
await leave(async (signal) => {
  const slow = new OpenAI({ baseURL: slowUrl, apiKey: key });
  await streamed(await slow.chat.completions.create({ ...asked, stream: true }, { signal }));
});
