"""A translated answer: what is told of it so far. What a provider cannot be told is refused by the place where the
client said it."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from arouter.domain.errors import InvalidRequest
from arouter.domain.usage import Usage
from arouter.engine.call import Call, Ingress
from arouter.engine.dialects.chat import Chat
from arouter.engine.dialects.generate import Generate
from arouter.engine.dialects.messages import Messages
from arouter.engine.dialects.responses import Responses
from arouter.engine.exchange import TranslatedExchange, clients_place
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.base import Adapter
from arouter.providers.converse import ConverseAdapter
from arouter.providers.gemini import GeminiAdapter
from arouter.providers.openai_chat import ChatAdapter
from arouter.providers.told import Told
from arouter.providers.vendors import BY_NAME
from tests.engine.samples import call, route

ADDRESS = "https://x.example/a.pdf"
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "[]"}}

ASKED = {"messages": [{"role": "user", "content": "Hi"}], "input": "Hi", "max_tokens": 5}

TOLD: list[tuple[Ingress, dict[str, Any], Adapter, str]] = [
    (
        Chat(),
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [CALL]}]},
        AnthropicAdapter(),
        "messages[1].tool_calls[0].function.arguments",
    ),
    (
        Responses(),
        {
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": [{"type": "input_file", "file_url": ADDRESS}]}],
        },
        ChatAdapter(BY_NAME["openai"]),
        "input",
    ),
    (
        Responses(),
        {"input": [{"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "[]"}]},
        GeminiAdapter(),
        "input",
    ),
    (
        Messages(),
        {
            "max_tokens": 5,
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": ADDRESS}}]},
            ],
        },
        ConverseAdapter(),
        "messages",
    ),
    (
        Generate(),
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"parts": [{"fileData": {"fileUri": "https://x.example/a", "mimeType": "video/mp4"}}]}],
        },
        AnthropicAdapter(),
        "contents",
    ),
]


@pytest.mark.parametrize(("ingress", "fields", "adapter", "param"), TOLD)
def test_the_place_is_one_of_the_clients(
    ingress: Ingress, fields: dict[str, Any], adapter: Adapter, param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        TranslatedExchange(asked(ingress, fields), route(), adapter, None)
    assert refused.value.param == param


def asked(ingress: Ingress, fields: dict[str, Any]) -> Call:
    plain = call(**{"messages": None, **fields})
    return replace(plain, ingress=ingress)


@pytest.mark.parametrize(
    ("param", "conversation", "place"),
    [
        ("messages", "input", "input"),
        ("messages[4].content", "input", "input"),
        ("messages.name", "contents", "contents"),
        ("messages[4].content", "messages", "messages"),
        ("messages[4].content", None, "messages[4].content"),
        ("messages_of_old", "input", "messages_of_old"),
        ("tools[0].messages", "input", "tools[0].messages"),
        ("model", "input", "model"),
        (None, "input", None),
    ],
)
def test_a_place(param: str | None, conversation: str | None, place: str | None) -> None:
    assert clients_place(param, conversation) == place


# ---------------------------------------------------------------- what is told so far


def gemini_chunk(text: str, tokens: int, **candidate: Any) -> bytes:
    said = {"content": {"parts": [{"text": text}]}, **candidate}
    used = {"promptTokenCount": 7, "candidatesTokenCount": tokens}
    return b"data: " + msgspec.json.encode({"candidates": [said], "usageMetadata": used}) + b"\r\n\r\n"


INGRESSES: list[Ingress] = [Chat(), Messages(), Responses()]


@pytest.mark.parametrize("ingress", INGRESSES)
def test_a_stream_that_breaks_off_has_told_the_last_usage(ingress: Ingress) -> None:
    exchange = TranslatedExchange(asked(ingress, ASKED), route(), GeminiAdapter(), None)
    for number in (1, 2, 3):
        assert exchange.feed(gemini_chunk("é", number))
    exchange.end()
    told = exchange.told
    assert not told.complete
    assert told.usage == Usage(input_tokens=7, output_tokens=3)
    assert told.raw_usage == b'{"promptTokenCount":7,"candidatesTokenCount":3}'
    assert told.output_bytes == 6


def test_the_end_of_a_stream_without_a_price_tells_the_last_usage() -> None:
    exchange = TranslatedExchange(asked(Messages(), ASKED), route(), GeminiAdapter(), None)
    for number in (1, 2, 3):
        exchange.feed(gemini_chunk("a", number))
    assert exchange.told.usage == Usage(input_tokens=7, output_tokens=3)
    assert b'"usage":{"input_tokens":7,"output_tokens":3}' in exchange.last(None)


def test_a_stream_that_never_began_is_not_complete() -> None:
    exchange = TranslatedExchange(asked(Chat(), ASKED), route(), GeminiAdapter(), None)
    exchange.end()
    assert exchange.told == Told()
