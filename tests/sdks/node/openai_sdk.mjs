// OpenAI's SDK for Node: chat completions, Responses and embeddings.
import OpenAI from "openai";

import { FORECAST, heard, PARAMETERS, PNG, QUESTION, serve, WEATHER_SAYS } from "./talk.mjs";

const FUNCTION = { name: "get_weather", description: "The weather in a city.", strict: true, parameters: PARAMETERS };

function sdk({ url, key, timeout_s }) {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: key, timeout: timeout_s * 1000, maxRetries: 0 });
}

const asked = ({ model, user }) => ({ model, user });

// ---------------------------------------------------------------- chat completions

async function completed(where, body) {
  const client = sdk(where);
  if (!where.stream) return completion(await client.chat.completions.create(body));
  const stream = client.chat.completions.stream(body);
  let pieces = 0;
  let thought = "";
  stream.on("content", () => (pieces += 1));
  // The SDK puts together what it knows, and of any other field keeps the last piece.
  stream.on("chunk", ({ choices }) => (thought += thoughtOf(choices[0]?.delta)));
  return { ...completion(await stream.finalChatCompletion()), pieces, thought };
}

// The first is how the sandbox calls it, the other is ours.
function thoughtOf(message) {
  return message?.reasoning_content ?? message?.reasoning ?? "";
}

function completion(told) {
  const [choice] = told.choices;
  const { message } = choice;
  return {
    ...heard({
      text: message.content ?? "",
      thought: thoughtOf(message),
      calls: (message.tool_calls ?? []).map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
      input_tokens: told.usage?.prompt_tokens ?? null,
      output_tokens: told.usage?.completion_tokens ?? null,
      finish: choice.finish_reason,
    }),
    message,
  };
}

async function chat(where) {
  const text = { type: "text", text: "Hello!" };
  const image = { type: "image_url", image_url: { url: PNG + where.image } };
  const messages = [{ role: "user", content: where.image ? [text, image] : text.text }];
  return completed(where, { ...asked(where), messages });
}

async function tools(where) {
  const messages = [{ role: "user", content: QUESTION }];
  const answers = [];
  for (let turn = 0; turn < 2; turn += 1) {
    const tools = [{ type: "function", function: FUNCTION }];
    const { message, ...answer } = await completed(where, { ...asked(where), messages: [...messages], tools });
    answers.push(answer);
    messages.push(message);
    for (const call of message.tool_calls ?? []) {
      messages.push({ role: "tool", tool_call_id: call.id, content: WEATHER_SAYS });
    }
  }
  return answers;
}

async function structured(where) {
  const response_format = { type: "json_schema", json_schema: { name: "forecast", strict: true, schema: FORECAST } };
  const messages = [{ role: "user", content: QUESTION }];
  return JSON.parse((await completed(where, { ...asked(where), messages, response_format })).text);
}

// ---------------------------------------------------------------- Responses

async function responded(where, body) {
  const client = sdk(where);
  if (!where.stream) return response(await client.responses.create(body));
  const stream = client.responses.stream(body);
  let pieces = 0;
  stream.on("response.output_text.delta", () => (pieces += 1));
  return { ...response(await stream.finalResponse()), pieces };
}

function response(told) {
  const thoughts = told.output.filter((item) => item.type === "reasoning");
  const calls = told.output.filter((item) => item.type === "function_call");
  return {
    ...heard({
      text: told.output_text,
      thought: thoughts.flatMap((item) => [...item.summary, ...(item.content ?? [])].map((part) => part.text)).join(""),
      calls: calls.map((call) => [call.name, JSON.parse(call.arguments)]),
      input_tokens: told.usage?.input_tokens ?? null,
      output_tokens: told.usage?.output_tokens ?? null,
      finish: told.status,
    }),
    output: told.output,
  };
}

async function responsesChat(where) {
  const text = { type: "input_text", text: "Hello!" };
  const image = { type: "input_image", detail: "auto", image_url: PNG + where.image };
  return responded(where, {
    ...asked(where),
    input: where.image ? [{ role: "user", content: [text, image] }] : text.text,
  });
}

async function responsesTools(where) {
  const input = [{ role: "user", content: QUESTION }];
  const answers = [];
  for (let turn = 0; turn < 2; turn += 1) {
    const body = { ...asked(where), store: false, include: ["reasoning.encrypted_content"] };
    const told = await responded(where, { ...body, input: [...input], tools: [{ type: "function", ...FUNCTION }] });
    const { output, ...answer } = told;
    answers.push(answer);
    for (const { parsed_arguments, ...item } of output) input.push(item);
    for (const call of output.filter((item) => item.type === "function_call")) {
      input.push({ type: "function_call_output", call_id: call.call_id, output: WEATHER_SAYS });
    }
  }
  return answers;
}

async function responsesStructured(where) {
  const text = { format: { type: "json_schema", name: "forecast", strict: true, schema: FORECAST } };
  return JSON.parse((await responded(where, { ...asked(where), input: QUESTION, text })).text);
}

// ---------------------------------------------------------------- embeddings

async function embed(where) {
  const told = await sdk(where).embeddings.create({ ...asked(where), input: where.texts });
  return { vectors: told.data.map((one) => one.embedding), input_tokens: told.usage.prompt_tokens };
}

const BY_DIALECT = {
  chat: { chat: chat, responses: responsesChat },
  tools: { chat: tools, responses: responsesTools },
  structured: { chat: structured, responses: responsesStructured },
  embed: { chat: embed },
};

await serve(
  Object.fromEntries(
    Object.entries(BY_DIALECT).map(([verb, dialects]) => [verb, (where) => dialects[where.dialect](where)]),
  ),
);
