// Vercel's AI SDK with its providers for OpenAI (both dialects), for compatible ones, for Anthropic and for Google.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";

import { FORECAST, heard, PARAMETERS, QUESTION, serve, WEATHER_SAYS } from "./talk.mjs";

function languageModel({ dialect, url, key, model, user }) {
  switch (dialect) {
    case "messages":
      return createAnthropic({ baseURL: `${url}/v1`, apiKey: key })(model);
    case "gemini":
      return createGoogleGenerativeAI({
        baseURL: `${url}/v1beta`,
        apiKey: key,
        headers: { "X-ARouter-User": user },
      })(model);
    case "compatible":
      return createOpenAICompatible({
        name: "arouter",
        baseURL: `${url}/v1`,
        apiKey: key,
        includeUsage: true,
        supportsStructuredOutputs: true,
      })(model);
    case "responses":
      return createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).responses(model);
    default:
      return createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).chat(model);
  }
}

const THINKING = { thinking: { type: "enabled", budgetTokens: 1024 } };

function attributed({ dialect, user }, settings) {
  switch (dialect) {
    case "messages":
      // A form is a tool that must be called, which Anthropic's models do not do when they think.
      return { anthropic: { metadata: { userId: user }, ...("output" in settings ? {} : THINKING) } };
    case "gemini":
      return { google: { thinkingConfig: { includeThoughts: true } } };
    case "compatible":
      return { arouter: { user } };
    default:
      // What OpenAI keeps no other provider can look up.
      return { openai: { user, store: false } };
  }
}

async function run(where, settings) {
  const asked = {
    model: languageModel(where),
    providerOptions: attributed(where, settings),
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(where.timeout_s * 1000),
    ...settings,
  };
  if (!where.stream) {
    const told = await generateText(asked);
    return { told, steps: told.steps, pieces: 1 };
  }
  let pieces = 0;
  // The SDK tells errors of a stream as parts of it.
  const told = streamText({ ...asked, onError: () => {} });
  for await (const part of told.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw asked.abortSignal.reason;
    if (part.type === "text-delta") pieces += 1;
  }
  return { told, steps: await told.steps, pieces };
}

function step(told) {
  return heard({
    text: told.text,
    thought: told.reasoningText ?? "",
    calls: told.toolCalls.map((call) => [call.toolName, call.input]),
    input_tokens: told.usage.inputTokens ?? null,
    output_tokens: told.usage.outputTokens ?? null,
    finish: told.finishReason,
  });
}

async function chat(where) {
  const text = { type: "text", text: "Hello!" };
  const image = { type: "image", image: where.image, mediaType: "image/png" };
  const messages = [{ role: "user", content: where.image ? [text, image] : text.text }];
  const { steps, pieces } = await run(where, { messages });
  return { ...step(steps[0]), pieces };
}

async function tools(where) {
  const get_weather = tool({
    description: "The weather in a city.",
    inputSchema: jsonSchema(PARAMETERS),
    execute: async () => WEATHER_SAYS,
  });
  const { steps } = await run(where, { prompt: QUESTION, tools: { get_weather }, stopWhen: stepCountIs(5) });
  return steps.map(step);
}

async function structured(where) {
  const { told } = await run(where, {
    prompt: QUESTION,
    output: Output.object({ schema: jsonSchema(FORECAST), name: "forecast" }),
  });
  return await told.output;
}

async function embed({ dialect, url, key, model, user, texts }) {
  const settings = { apiKey: key, headers: { "X-ARouter-User": user } };
  const made =
    dialect === "gemini"
      ? createGoogleGenerativeAI({ ...settings, baseURL: `${url}/v1beta` }).textEmbeddingModel(model)
      : dialect === "compatible"
        ? createOpenAICompatible({ ...settings, name: "arouter", baseURL: `${url}/v1` }).textEmbeddingModel(model)
        : createOpenAI({ ...settings, baseURL: `${url}/v1` }).textEmbeddingModel(model);
  const told = await embedMany({ model: made, values: texts, maxRetries: 0 });
  return { vectors: told.embeddings, input_tokens: told.usage?.tokens ?? null };
}

await serve({ chat, tools, structured, embed });
