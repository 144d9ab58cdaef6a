"""LangChain's classes for OpenAI (both of its dialects), Anthropic and Google."""

from typing import Any, Literal

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.sdks.scripts.talk import WEATHER_SAYS, heard, serve

QUESTION = "How is the weather in Paris?"


class Forecast(BaseModel):
    """What the model is made to say."""

    city: str
    sky: Literal["clear", "cloudy"]
    degrees: int


@tool
def get_weather(city: str, unit: Literal["celsius", "fahrenheit"]) -> str:
    """The weather in a city."""
    return WEATHER_SAYS


def _model(dialect: str, *, url: str, key: str, timeout_s: float, model: str, user: str) -> BaseChatModel:
    match dialect:
        case "messages":
            return ChatAnthropic(
                model_name=model,
                base_url=url,
                api_key=SecretStr(key),
                timeout=timeout_s,
                max_retries=0,
                max_tokens_to_sample=2000,
                stop=None,
                # What LangChain calls metadata is its own, and never sent.
                default_headers={"X-ARouter-User": user},
            )
        case "gemini":
            return ChatGoogleGenerativeAI(
                model=model,
                base_url=url,
                api_key=SecretStr(key),
                timeout=timeout_s,
                max_retries=1,
                include_thoughts=True,
                additional_headers={"X-ARouter-User": user},
            )
        case _:
            return ChatOpenAI(
                model=model,
                base_url=f"{url}/v1",
                api_key=SecretStr(key),
                timeout=timeout_s,
                max_retries=0,
                use_responses_api=dialect == "responses",
                model_kwargs={"user": user},
            )


def chat(*, dialect: str, stream: bool, image: str | None = None, **where: Any) -> dict[str, Any]:
    model = _model(dialect, **where)
    content: Any = "Hello!"
    if image is not None:
        content = [{"type": "text", "text": content}, {"type": "image", "base64": image, "mime_type": "image/png"}]
    said = [HumanMessage(content=content)]
    if not stream:
        return _heard(model.invoke(said))
    chunks = list(model.stream(said))
    pieces = sum(bool(chunk.text) for chunk in chunks)
    return {**_heard(_whole(chunks)), "pieces": pieces}


def tools(*, dialect: str, stream: bool, **where: Any) -> list[dict[str, Any]]:
    model = _model(dialect, **where).bind_tools([get_weather])
    messages: list[Any] = [HumanMessage(QUESTION)]
    answers = []
    for _ in range(2):
        message: Any = _whole(list(model.stream(messages))) if stream else model.invoke(messages)
        answers.append(_heard(message))
        messages.append(message)
        messages += [
            ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"], name=call["name"])
            for call in message.tool_calls
        ]
    return answers


def structured(*, dialect: str, stream: bool, **where: Any) -> dict[str, Any]:
    model = _model(dialect, **where).with_structured_output(Forecast)
    if stream:
        *_, forecast = model.stream(QUESTION)
    else:
        forecast = model.invoke(QUESTION)
    assert isinstance(forecast, Forecast)
    return forecast.model_dump()


def _whole(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    first, *rest = chunks
    whole: AIMessageChunk = first + rest
    return whole


def _heard(message: AIMessage) -> dict[str, Any]:
    usage = message.usage_metadata
    thoughts = [block for block in message.content_blocks if block["type"] == "reasoning"]
    finish = message.response_metadata
    return heard(
        text=message.text,
        thought="".join(block.get("reasoning", "") for block in thoughts),
        calls=[(call["name"], call["args"]) for call in message.tool_calls],
        input_tokens=usage["input_tokens"] if usage is not None else None,
        output_tokens=usage["output_tokens"] if usage is not None else None,
        finish=finish.get("finish_reason") or finish.get("stop_reason") or finish.get("status"),
    )


def embed(
    *, dialect: str, url: str, key: str, timeout_s: float, model: str, user: str, texts: list[str]
) -> dict[str, Any]:
    if dialect == "gemini":
        made: Any = GoogleGenerativeAIEmbeddings(
            model=model, base_url=url, api_key=SecretStr(key), additional_headers={"X-ARouter-User": user}
        )
    else:
        made = OpenAIEmbeddings(
            model=model,
            base_url=f"{url}/v1",
            api_key=SecretStr(key),
            timeout=timeout_s,
            max_retries=0,
            # It would count tokens by a vocabulary that it has to download.
            check_embedding_ctx_length=False,
            model_kwargs={"user": user},
        )
    return {"vectors": made.embed_documents(texts), "input_tokens": None}


if __name__ == "__main__":
    serve({"chat": chat, "tools": tools, "structured": structured, "embed": embed})
