"""LiteLLM's SDK, as a client of the dialects that it knows the gateway's models by."""

import json
from typing import Any, Literal

import litellm
from pydantic import BaseModel

from tests.sdks.scripts.talk import PNG, WEATHER_SAYS, heard, serve

QUESTION = "How is the weather in Paris?"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
        },
    },
}


class Forecast(BaseModel):
    """What the model is made to say."""

    city: str
    sky: Literal["clear", "cloudy"]
    degrees: int


def _asked(dialect: str, *, url: str, key: str, timeout_s: float, model: str, user: str) -> dict[str, Any]:
    shared = {"api_key": key, "timeout": timeout_s, "max_retries": 0}
    told: dict[str, Any]
    match dialect:
        case "messages":
            told = {"model": f"anthropic/{model}", "api_base": url, "user": user}
        case "gemini":
            told = {"model": f"gemini/{model}", "api_base": f"{url}/v1beta"}
            told["extra_headers"] = {"X-ARouter-User": user}
        case _:
            told = {"model": f"openai/{model}", "api_base": f"{url}/v1", "user": user}
            # It leaves the user out of requests for models that it does not know to be OpenAI's.
            told["allowed_openai_params"] = ["user"]
    return {**shared, **told}


def chat(*, dialect: str, stream: bool, image: str | None = None, **where: Any) -> dict[str, Any]:
    asked = _asked(dialect, **where)
    if dialect == "responses":
        return _responses(asked, stream, image)
    content: Any = "Hello!"
    if image is not None:
        content = [{"type": "text", "text": content}, {"type": "image_url", "image_url": {"url": PNG + image}}]
    messages = [{"role": "user", "content": content}]
    if not stream:
        return _heard(litellm.completion(messages=messages, **asked))
    chunks, whole = _streamed(messages, asked)
    pieces = sum(bool(choice.delta.content) for chunk in chunks for choice in chunk.choices)
    return {**_heard(whole), "pieces": pieces}


def _streamed(messages: list[Any], asked: dict[str, Any]) -> tuple[list[Any], Any]:
    options = {"include_usage": True}
    chunks = list(litellm.completion(messages=messages, stream=True, stream_options=options, **asked))
    return chunks, litellm.stream_chunk_builder(chunks, messages=messages)


def _responses(asked: dict[str, Any], stream: bool, image: str | None) -> dict[str, Any]:
    said: Any = "Hello!"
    if image is not None:
        parts = [{"type": "input_text", "text": said}, {"type": "input_image", "image_url": PNG + image}]
        said = [{"role": "user", "content": parts}]
    pieces = 1
    if stream:
        events = list(litellm.responses(input=said, stream=True, **asked))
        pieces = sum(event.type == "response.output_text.delta" for event in events)
        response: Any = events[-1].response
    else:
        response = litellm.responses(input=said, **asked)
    thoughts = [item for item in response.output if item.type == "reasoning"]
    return heard(
        text="".join(part.text for item in response.output if item.type == "message" for part in item.content),
        thought="".join(_field(part, "text") for item in thoughts for part in item.summary or item.content or []),
        calls=[(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"],
        input_tokens=response.usage.input_tokens if response.usage else None,
        output_tokens=response.usage.output_tokens if response.usage else None,
        pieces=pieces,
        finish=response.status,
    )


def _field(part: Any, name: str) -> str:
    return str(part[name] if isinstance(part, dict) else getattr(part, name))


def tools(*, dialect: str, stream: bool, **where: Any) -> list[dict[str, Any]]:
    asked = {**_asked(dialect, **where), "tools": [TOOL]}
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    answers = []
    for _ in range(2):
        answer: Any = _streamed(messages, asked)[1] if stream else litellm.completion(messages=messages, **asked)
        answers.append(_heard(answer))
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": WEATHER_SAYS} for call in message.tool_calls or []
        ]
    return answers


def structured(*, dialect: str, stream: bool, **where: Any) -> dict[str, Any]:
    asked = {**_asked(dialect, **where), "response_format": Forecast}
    messages = [{"role": "user", "content": QUESTION}]
    answer: Any = _streamed(messages, asked)[1] if stream else litellm.completion(messages=messages, **asked)
    return Forecast.model_validate_json(answer.choices[0].message.content).model_dump()


def _heard(answer: Any) -> dict[str, Any]:
    [choice] = answer.choices
    message = choice.message
    return heard(
        text=message.content or "",
        thought=getattr(message, "reasoning_content", None) or "",
        calls=[(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []],
        input_tokens=answer.usage.prompt_tokens,
        output_tokens=answer.usage.completion_tokens,
        finish=choice.finish_reason,
    )


def embed(*, dialect: str, texts: list[str], **where: Any) -> dict[str, Any]:
    answer = litellm.embedding(input=texts, **_asked(dialect, **where))
    # Of Gemini's it counts the tokens itself, whatever the answer says.
    tokens = None if dialect == "gemini" else answer.usage.prompt_tokens
    return {"vectors": [list(one["embedding"]) for one in answer.data], "input_tokens": tokens}


if __name__ == "__main__":
    litellm.telemetry = False
    serve({"chat": chat, "tools": tools, "structured": structured, "embed": embed})
