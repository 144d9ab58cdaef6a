"""Google's SDK."""

from base64 import b64decode
from functools import cache
from typing import Any

from google import genai
from google.genai import types

from tests.sdks.scripts.openai_sdk import PARAMETERS, Forecast
from tests.sdks.scripts.talk import WEATHER_SAYS, by_dialect, heard, serve, total

DECLARATION: Any = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters_json_schema": PARAMETERS,
}


@cache
def sdk(url: str, key: str, timeout_s: float) -> genai.Client:
    return genai.Client(
        api_key=key,
        http_options=types.HttpOptions(
            base_url=url, timeout=round(timeout_s * 1000), retry_options=types.HttpRetryOptions(attempts=1)
        ),
    )


def asked(user: str, **config: Any) -> types.GenerateContentConfig:
    """The API has no field for a user that the SDK sends to it: there is the header."""
    return types.GenerateContentConfig(
        http_options=types.HttpOptions(headers={"X-ARouter-User": user}),
        thinking_config=types.ThinkingConfig(include_thoughts=True),
        **config,
    )


def chat(
    *, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool, image: str | None = None
) -> dict[str, Any]:
    contents: Any = "Hello!"
    if image is not None:
        contents = [contents, types.Part.from_bytes(data=b64decode(image), mime_type="image/png")]
    return _answer(sdk(url, key, timeout_s), model, contents, asked(user), stream)


def tools(*, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool) -> list[dict[str, Any]]:
    """By the SDK's chat, which keeps the conversation by itself."""
    client = sdk(url, key, timeout_s)
    conversation = client.chats.create(
        model=model, config=asked(user, tools=[{"function_declarations": [DECLARATION]}])
    )
    said: Any = "How is the weather in Paris?"
    answers = []
    for _ in range(2):
        parts = list(conversation.send_message_stream(said)) if stream else [conversation.send_message(said)]
        answers.append(_heard(parts))
        said = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": WEATHER_SAYS})
            )
            for part in parts
            for call in part.function_calls or []
        ]
    return answers


def structured(*, url: str, key: str, timeout_s: float, model: str, user: str, stream: bool) -> dict[str, Any]:
    client = sdk(url, key, timeout_s)
    text = "How is the weather in Paris?"
    config = asked(user, response_mime_type="application/json", response_schema=Forecast)
    if stream:
        said = _answer(client, model, text, config, stream)["text"]
        return Forecast.model_validate_json(said).model_dump()
    answer = client.models.generate_content(model=model, contents=text, config=config)
    assert isinstance(answer.parsed, Forecast)
    return answer.parsed.model_dump()


def _answer(
    client: Any, model: str, contents: Any, config: types.GenerateContentConfig, stream: bool
) -> dict[str, Any]:
    if stream:
        return _heard(list(client.models.generate_content_stream(model=model, contents=contents, config=config)))
    return _heard([client.models.generate_content(model=model, contents=contents, config=config)])


def _heard(answers: list[types.GenerateContentResponse]) -> dict[str, Any]:
    candidates = [candidate for answer in answers for candidate in answer.candidates or []]
    parts = [part for candidate in candidates if candidate.content for part in candidate.content.parts or []]
    texts = [part.text for part in parts if part.text and not part.thought]
    calls = [part.function_call for part in parts if part.function_call]
    usage = next((answer.usage_metadata for answer in reversed(answers) if answer.usage_metadata), None)
    assert usage is not None
    finish = candidates[-1].finish_reason
    return heard(
        text="".join(texts),
        thought="".join(part.text or "" for part in parts if part.thought),
        calls=[(call.name or "", call.args) for call in calls],
        input_tokens=usage.prompt_token_count,
        output_tokens=total(usage.candidates_token_count, usage.thoughts_token_count),
        pieces=len(texts),
        finish=None if finish is None else finish.value,
    )


def embed(*, url: str, key: str, timeout_s: float, model: str, user: str, texts: list[str]) -> dict[str, Any]:
    config = types.EmbedContentConfig(http_options=types.HttpOptions(headers={"X-ARouter-User": user}))
    contents: Any = texts
    answer = sdk(url, key, timeout_s).models.embed_content(model=model, contents=contents, config=config)
    return {"vectors": [one.values for one in answer.embeddings or []], "input_tokens": None}


def count(*, url: str, key: str, timeout_s: float, model: str, text: str) -> int | None:
    return sdk(url, key, timeout_s).models.count_tokens(model=model, contents=text).total_tokens


if __name__ == "__main__":
    serve(
        {
            "chat": by_dialect(gemini=chat),
            "tools": by_dialect(gemini=tools),
            "structured": by_dialect(gemini=structured),
            "embed": by_dialect(gemini=embed),
            "count": by_dialect(gemini=count),
        }
    )
