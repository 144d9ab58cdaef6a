"""Agents of pydantic-ai, which speak all four dialects."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterable, Callable, Coroutine
from typing import Any, Literal

from anthropic import AsyncAnthropic
from google.genai import Client
from google.genai.types import HttpOptions
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, Embedder, NativeOutput, ToolOutput
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.embeddings.google import GoogleEmbeddingModel
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, TextPartDelta, ThinkingPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.sdks.scripts.talk import WEATHER_SAYS, heard, serve

QUESTION = "How is the weather in Paris?"


class Forecast(BaseModel):
    """What the model is made to say."""

    city: str
    sky: Literal["clear", "cloudy"]
    degrees: int


def get_weather(city: str, unit: Literal["celsius", "fahrenheit"]) -> str:
    """The weather in a city."""
    return WEATHER_SAYS


def _model(dialect: str, *, url: str, key: str, model: str) -> Model:
    match dialect:
        case "messages":
            client = AsyncAnthropic(base_url=url, api_key=key, max_retries=0)
            return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))
        case "gemini":
            return GoogleModel(model, provider=GoogleProvider(base_url=url, api_key=key))
        case _:
            provider = OpenAIProvider(openai_client=AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0))
            return (
                OpenAIResponsesModel(model, provider=provider)
                if dialect == "responses"
                else OpenAIChatModel(model, provider=provider)
            )


def _settings(dialect: str, *, timeout_s: float, user: str) -> Any:
    told: dict[str, Any] = {"timeout": timeout_s}
    match dialect:
        case "messages":
            return {**told, "anthropic_metadata": {"user_id": user}}
        case "gemini":
            header = {"X-ARouter-User": user}
            return {**told, "extra_headers": header, "google_thinking_config": {"include_thoughts": True}}
        case _:
            return {**told, "openai_user": user}


async def _run(
    dialect: str, question: Any, stream: bool, *, timeout_s: float, user: str, agent: dict[str, Any], **where: Any
) -> Any:
    """The end of a run of an agent, which the agent asked for in streams if it was told to."""
    asked = Agent(_model(dialect, **where), **agent)
    settings = _settings(dialect, timeout_s=timeout_s, user=user)
    if not stream:
        return await asked.run(question, model_settings=settings), 1
    pieces = 0

    async def count(_: Any, events: AsyncIterable[Any]) -> None:
        nonlocal pieces
        async for event in events:
            pieces += _is_text(event)

    return await asked.run(question, model_settings=settings, event_stream_handler=count), pieces


def _is_text(event: Any) -> bool:
    part = getattr(event, "part", None) if event.event_kind == "part_start" else getattr(event, "delta", None)
    return isinstance(part, TextPart | TextPartDelta)


async def chat(*, dialect: str, stream: bool, image: str | None = None, **where: Any) -> dict[str, Any]:
    said: Any = "Hello!"
    if image is not None:
        said = [said, BinaryContent(b64decode(image), media_type="image/png")]
    result, pieces = await _run(dialect, said, stream, agent={}, **where)
    [response] = _responses(result)
    return {**response, "pieces": pieces}


async def read(*, dialect: str, stream: bool, timeout_s: float, user: str, **where: Any) -> dict[str, Any]:
    """One answer of a model, without an agent that would carry out the calls in it."""
    model = _model(dialect, **where)
    settings = _settings(dialect, timeout_s=timeout_s, user=user)
    question = [ModelRequest.user_text_prompt("Hello!")]
    if not stream:
        return _heard(await model_request(model, question, model_settings=settings))
    async with model_request_stream(model, question, model_settings=settings) as events:
        pieces = sum([_is_text(event) async for event in events])
        return {**_heard(events.get()), "pieces": pieces}


async def tools(*, dialect: str, stream: bool, **where: Any) -> list[dict[str, Any]]:
    result, _ = await _run(dialect, QUESTION, stream, agent={"tools": [get_weather]}, **where)
    return _responses(result)


async def structured(*, dialect: str, stream: bool, **where: Any) -> dict[str, Any]:
    """As the answer's format; of Anthropic's models it knows by their names which have one, so there by a tool."""
    wanted = ToolOutput(Forecast) if dialect == "messages" else NativeOutput(Forecast)
    result, _ = await _run(dialect, QUESTION, stream, agent={"output_type": wanted}, **where)
    return dict(result.output.model_dump())


def _responses(result: Any) -> list[dict[str, Any]]:
    return [_heard(message) for message in result.all_messages() if isinstance(message, ModelResponse)]


def _heard(response: ModelResponse) -> dict[str, Any]:
    thoughts = [part.content for part in response.parts if isinstance(part, ThinkingPart)]
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    return heard(
        text="".join(part.content for part in response.parts if isinstance(part, TextPart)),
        thought="".join(thoughts),
        calls=[(call.tool_name, call.args_as_dict()) for call in calls],
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        finish=response.finish_reason,
    )


async def embed(*, dialect: str, texts: list[str], timeout_s: float, user: str, **where: Any) -> dict[str, Any]:
    url, key, model = where["url"], where["key"], where["model"]
    if dialect == "gemini":
        options = HttpOptions(base_url=url, headers={"X-ARouter-User": user})
        google = GoogleProvider(client=Client(api_key=key, http_options=options))
        made: Any = GoogleEmbeddingModel(model, provider=google)
    else:
        client = AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, default_headers={"X-ARouter-User": user})
        made = OpenAIEmbeddingModel(model, provider=OpenAIProvider(openai_client=client))
    answer = await Embedder(made).embed_documents(texts)
    # Of Gemini's it reads the counts of Vertex AI only.
    tokens = None if dialect == "gemini" else answer.usage.input_tokens
    return {"vectors": [list(one) for one in answer.embeddings], "input_tokens": tokens}


def awaited(runner: asyncio.Runner, verb: Callable[..., Coroutine[Any, Any, object]]) -> Callable[..., object]:
    return lambda **arguments: runner.run(verb(**arguments))


if __name__ == "__main__":
    with asyncio.Runner() as one_loop:
        serve(
            {
                "chat": awaited(one_loop, chat),
                "read": awaited(one_loop, read),
                "tools": awaited(one_loop, tools),
                "structured": awaited(one_loop, structured),
                "embed": awaited(one_loop, embed),
            }
        )
