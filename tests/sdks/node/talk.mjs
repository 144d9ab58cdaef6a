// The script's side of a test, as `scripts/talk.py` is for Python: a line of JSON asks, a line tells.
import { createInterface } from "node:readline";

export const PNG = "data:image/png;base64,";
export const QUESTION = "How is the weather in Paris?";
export const WEATHER_SAYS = "Sunny, 25 degrees.";

export const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};

export const FORECAST = {
  type: "object",
  properties: {
    city: { type: "string" },
    sky: { type: "string", enum: ["clear", "cloudy"] },
    degrees: { type: "integer" },
  },
  required: ["city", "sky", "degrees"],
  additionalProperties: false,
};

export function heard(told) {
  return { text: "", thought: "", calls: [], input_tokens: null, output_tokens: null, pieces: 1, finish: null, ...told };
}

export function total(...counts) {
  return counts.reduce((sum, count) => sum + (count ?? 0), 0);
}

function classes(error) {
  const names = [];
  for (let kind = error?.constructor; kind?.name; kind = Object.getPrototypeOf(kind)) names.push(kind.name);
  return names;
}

function described(error) {
  const causes = [];
  for (let cause = error; cause; cause = cause.cause ?? cause.lastError) causes.push(...classes(cause), cause.name);
  const status = error?.status ?? error?.statusCode;
  return {
    kind: classes(error)[0] ?? typeof error,
    kinds: classes(error),
    causes,
    status: typeof status === "number" ? status : null,
    message: String(error?.message ?? error),
    body: JSON.stringify(error?.error ?? error?.responseBody ?? null) ?? "null",
  };
}

export async function serve(verbs) {
  console.log = console.info = console.error; // What an SDK prints is not an answer.
  for await (const line of createInterface({ input: process.stdin })) {
    const { verb, arguments: told } = JSON.parse(line);
    let answer;
    try {
      answer = { answer: await verbs[verb](told) };
    } catch (error) {
      answer = { error: described(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}
