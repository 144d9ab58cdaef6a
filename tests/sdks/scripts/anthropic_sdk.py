"""Anthropic's SDK."""

from functools import cache
from typing import Any

import anthropic

from tests.sdks.scripts.openai_sdk import PARAMETERS, Forecast
from tests.sdks.scripts.talk import WEATHER_SAYS, by_dialect, heard, serve, total

LIMIT = 2000
TOOL: Any = {"name": "get_weather", "description": "The weather in a city.", "input_schema": PARAMETERS}


@cache
def sdk(url: str, key: str, timeout_s: float) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=key, timeout=timeout_s, max_retries=0)


def chat(
    *, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool, image: str | None = None
) -> dict[str, Any]:
    client = sdk(url, key, timeout_s)
    content: Any = "Hello!"
    if image is not None:
        source = {"type": "base64", "media_type": "image/png", "data": image}
        content = [{"type": "text", "text": content}, {"type": "image", "source": source}]
    asked: Any = {
        "model": model,
        "max_tokens": LIMIT,
        "messages": [{"role": "user", "content": content}],
        "metadata": {"user_id": user},
    }
    if not stream:
        return _message(client.messages.create(**asked))
    with client.messages.stream(**asked) as events:
        pieces = sum(1 for _ in events.text_stream)
        return {**_message(events.get_final_message()), "pieces": pieces}


def tools(*, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool) -> list[dict[str, Any]]:
    client = sdk(url, key, timeout_s)
    messages: Any = [{"role": "user", "content": "How is the weather in Paris?"}]
    answers = []
    for _ in range(2):
        asked: Any = {
            "model": model,
            "max_tokens": LIMIT,
            "messages": messages,
            "tools": [TOOL],
            "metadata": {"user_id": user},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        }
        if stream:
            with client.messages.stream(**asked) as events:
                message: Any = events.get_final_message()
        else:
            message = client.messages.create(**asked)
        answers.append(_message(message))
        messages.append({"role": "assistant", "content": message.content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": WEATHER_SAYS}
            for block in message.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})
    return answers


def structured(*, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool) -> dict[str, Any]:
    client = sdk(url, key, timeout_s)
    asked: Any = {
        "model": model,
        "max_tokens": LIMIT,
        "messages": [{"role": "user", "content": "How is the weather in Paris?"}],
        "metadata": {"user_id": user},
        "output_format": Forecast,
    }
    if stream:
        with client.messages.stream(**asked) as events:
            forecast: Any = events.get_final_message().parsed_output
    else:
        forecast = client.messages.parse(**asked).parsed_output
    return dict(forecast.model_dump())


def _message(message: Any) -> dict[str, Any]:
    usage = message.usage
    return heard(
        text="".join(block.text for block in message.content if block.type == "text"),
        thought="".join(block.thinking for block in message.content if block.type == "thinking"),
        calls=[(block.name, block.input) for block in message.content if block.type == "tool_use"],
        input_tokens=total(usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens),
        output_tokens=usage.output_tokens,
        finish=message.stop_reason,
    )


def count(*, url: str, key: str, timeout_s: float, model: str, text: str) -> int:
    messages: Any = [{"role": "user", "content": text}]
    return sdk(url, key, timeout_s).messages.count_tokens(model=model, messages=messages).input_tokens


if __name__ == "__main__":
    serve(
        {
            "chat": by_dialect(messages=chat),
            "tools": by_dialect(messages=tools),
            "structured": by_dialect(messages=structured),
            "count": by_dialect(messages=count),
        }
    )
