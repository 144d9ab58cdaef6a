// Anthropic's SDK for Node.
import Anthropic from "@anthropic-ai/sdk";

import { FORECAST, heard, PARAMETERS, QUESTION, serve, total, WEATHER_SAYS } from "./talk.mjs";

const TOOL = { name: "get_weather", description: "The weather in a city.", input_schema: PARAMETERS };

function sdk({ url, key, timeout_s }) {
  return new Anthropic({ baseURL: url, apiKey: key, timeout: timeout_s * 1000, maxRetries: 0 });
}

const asked = ({ model, user }) => ({ model, max_tokens: 2000, metadata: { user_id: user } });

async function answered(where, body) {
  const client = sdk(where);
  if (!where.stream) return message(await client.messages.create(body));
  const stream = client.messages.stream(body);
  let pieces = 0;
  stream.on("text", () => (pieces += 1));
  return { ...message(await stream.finalMessage()), pieces };
}

function message(told) {
  const { usage, content } = told;
  const of = (type) => content.filter((block) => block.type === type);
  return {
    ...heard({
      text: of("text").map((block) => block.text).join(""),
      thought: of("thinking").map((block) => block.thinking).join(""),
      calls: of("tool_use").map((block) => [block.name, block.input]),
      input_tokens: total(usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens),
      output_tokens: usage.output_tokens,
      finish: told.stop_reason,
    }),
    content,
  };
}

async function chat(where) {
  const text = { type: "text", text: "Hello!" };
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: where.image } };
  const messages = [{ role: "user", content: where.image ? [text, image] : text.text }];
  return answered(where, { ...asked(where), messages });
}

async function tools(where) {
  const messages = [{ role: "user", content: QUESTION }];
  const answers = [];
  for (let turn = 0; turn < 2; turn += 1) {
    const thinking = { type: "enabled", budget_tokens: 1024 };
    const body = { ...asked(where), thinking, tools: [TOOL], messages: [...messages] };
    const { content, ...answer } = await answered(where, body);
    answers.push(answer);
    const calls = content.filter((block) => block.type === "tool_use");
    messages.push({ role: "assistant", content });
    messages.push({
      role: "user",
      content: calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: WEATHER_SAYS })),
    });
  }
  return answers;
}

async function structured(where) {
  const output_config = { format: { type: "json_schema", schema: FORECAST } };
  const messages = [{ role: "user", content: QUESTION }];
  return JSON.parse((await answered(where, { ...asked(where), messages, output_config })).text);
}

await serve({ chat, tools, structured });
