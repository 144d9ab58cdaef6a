"""OpenAI's SDK: chat completions, Responses and embeddings."""

import json
from functools import cache
from typing import Any, Literal

import openai
from pydantic import BaseModel

from tests.sdks.scripts.talk import PNG, WEATHER_SAYS, by_dialect, heard, serve

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
FUNCTION: dict[str, Any] = {"name": "get_weather", "description": "The weather in a city.", "parameters": PARAMETERS}


class Forecast(BaseModel):
    """What the model is made to say."""

    city: str
    sky: Literal["clear", "cloudy"]
    degrees: int


@cache
def sdk(url: str, key: str, timeout_s: float) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, timeout=timeout_s, max_retries=0)


# ---------------------------------------------------------------- chat completions


def chat(
    *, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool, image: str | None = None
) -> dict[str, Any]:
    client = sdk(url, key, timeout_s)
    content: Any = "Hello!"
    if image is not None:
        content = [{"type": "text", "text": content}, {"type": "image_url", "image_url": {"url": PNG + image}}]
    messages: Any = [{"role": "user", "content": content}]
    if not stream:
        return _completion(client.chat.completions.create(model=model, messages=messages, user=user))
    with client.chat.completions.stream(model=model, messages=messages, user=user) as events:
        pieces = sum(event.type == "content.delta" for event in events)
        return {**_completion(events.get_final_completion()), "pieces": pieces}


def tools(*, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool) -> list[dict[str, Any]]:
    client = sdk(url, key, timeout_s)
    offered: Any = [{"type": "function", "function": {**FUNCTION, "strict": True}}]
    messages: Any = [{"role": "user", "content": "How is the weather in Paris?"}]
    answers = []
    for _ in range(2):
        if stream:
            with client.chat.completions.stream(model=model, messages=messages, tools=offered, user=user) as events:
                completion: Any = events.get_final_completion()
        else:
            completion = client.chat.completions.create(model=model, messages=messages, tools=offered, user=user)
        answers.append(_completion(completion))
        message = completion.choices[0].message
        messages.append(message.to_dict())
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": WEATHER_SAYS} for call in message.tool_calls or []
        ]
    return answers


def structured(*, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool) -> dict[str, Any]:
    client = sdk(url, key, timeout_s)
    messages: Any = [{"role": "user", "content": "How is the weather in Paris?"}]
    if stream:
        with client.chat.completions.stream(
            model=model, messages=messages, response_format=Forecast, user=user
        ) as events:
            forecast = events.get_final_completion().choices[0].message.parsed
    else:
        answer = client.chat.completions.parse(model=model, messages=messages, response_format=Forecast, user=user)
        forecast = answer.choices[0].message.parsed
    assert forecast is not None
    return forecast.model_dump()


def _completion(completion: Any) -> dict[str, Any]:
    [choice] = completion.choices
    return heard(
        text=choice.message.content or "",
        # The SDK keeps the fields that it does not know. The first is how the sandbox calls it, the other is ours.
        thought=getattr(choice.message, "reasoning_content", None) or getattr(choice.message, "reasoning", None) or "",
        calls=[(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []],
        input_tokens=completion.usage.prompt_tokens if completion.usage else None,
        output_tokens=completion.usage.completion_tokens if completion.usage else None,
        finish=choice.finish_reason,
    )


# ---------------------------------------------------------------- Responses


def responses_chat(
    *, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool, image: str | None = None
) -> dict[str, Any]:
    client = sdk(url, key, timeout_s)
    asked: Any = "Hello!"
    if image is not None:
        parts = [{"type": "input_text", "text": asked}, {"type": "input_image", "image_url": PNG + image}]
        asked = [{"role": "user", "content": parts}]
    if not stream:
        return _response(client.responses.create(model=model, input=asked, user=user))
    with client.responses.stream(model=model, input=asked, user=user) as events:
        pieces = sum(event.type == "response.output_text.delta" for event in events)
        return {**_response(events.get_final_response()), "pieces": pieces}


def responses_tools(
    *, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool
) -> list[dict[str, Any]]:
    client = sdk(url, key, timeout_s)
    offered: Any = [{"type": "function", **FUNCTION, "strict": True}]
    items: Any = [{"role": "user", "content": "How is the weather in Paris?"}]
    answers = []
    for _ in range(2):
        asked: Any = {
            "model": model,
            "input": items,
            "tools": offered,
            "user": user,
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }
        if stream:
            with client.responses.stream(**asked) as events:
                response: Any = events.get_final_response()
        else:
            response = client.responses.create(**asked)
        answers.append(_response(response))
        items += [item.to_dict() for item in response.output]
        items += [
            {"type": "function_call_output", "call_id": item.call_id, "output": WEATHER_SAYS}
            for item in response.output
            if item.type == "function_call"
        ]
    return answers


def responses_structured(
    *, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool
) -> dict[str, Any]:
    client = sdk(url, key, timeout_s)
    text = "How is the weather in Paris?"
    if stream:
        with client.responses.stream(model=model, input=text, text_format=Forecast, user=user) as events:
            forecast = events.get_final_response().output_parsed
    else:
        forecast = client.responses.parse(model=model, input=text, text_format=Forecast, user=user).output_parsed
    assert forecast is not None
    return forecast.model_dump()


def _response(response: Any) -> dict[str, Any]:
    thoughts = [item for item in response.output if item.type == "reasoning"]
    parts = [part for item in thoughts for part in (item.summary or item.content or [])]
    calls = [item for item in response.output if item.type == "function_call"]
    return heard(
        text=response.output_text,
        thought="".join(part.text for part in parts),
        calls=[(item.name, json.loads(item.arguments)) for item in calls],
        input_tokens=response.usage.input_tokens if response.usage else None,
        output_tokens=response.usage.output_tokens if response.usage else None,
        finish=response.status,
    )


# ---------------------------------------------------------------- embeddings


def embed(*, url: str, key: str, timeout_s: float, model: str, user: str, texts: list[str]) -> dict[str, Any]:
    answer = sdk(url, key, timeout_s).embeddings.create(model=model, input=texts, user=user)
    return {"vectors": [one.embedding for one in answer.data], "input_tokens": answer.usage.prompt_tokens}


if __name__ == "__main__":
    serve(
        {
            "chat": by_dialect(chat=chat, responses=responses_chat),
            "tools": by_dialect(chat=tools, responses=responses_tools),
            "structured": by_dialect(chat=structured, responses=responses_structured),
            "embed": by_dialect(chat=embed),
        }
    )
