"""What a provider cannot be told is refused by the place where the client said it."""

from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.errors import InvalidRequest
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
from arouter.providers.vendors import BY_NAME
from tests.engine.samples import call, route

ADDRESS = "https://x.example/a.pdf"
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "[]"}}

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
