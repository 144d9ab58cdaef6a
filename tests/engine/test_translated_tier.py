"""The service tier of a translated answer reaches the ledger, wherever the provider tells it."""

import json

import pytest

from arouter.engine.exchange import TranslatedExchange
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.base import Adapter
from arouter.providers.openai_chat import ChatAdapter
from arouter.providers.openai_responses import ResponsesAdapter
from arouter.providers.vendors import BY_NAME
from tests.engine.samples import call, route

OPENAI = BY_NAME["openai"]
CHAT = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "service_tier": "flex"}
RESPONSE = {"output": [], "status": "completed", "usage": {"input_tokens": 1}, "service_tier": "flex"}
MESSAGE = {"content": [], "usage": {"input_tokens": 1, "output_tokens": 1, "service_tier": "flex"}}


@pytest.mark.parametrize(
    ("adapter", "body"),
    [(ChatAdapter(OPENAI), CHAT), (ResponsesAdapter(OPENAI), RESPONSE), (AnthropicAdapter(), MESSAGE)],
    ids=["chat", "responses", "messages"],
)
def test_of_a_whole_answer(adapter: Adapter, body: dict[str, object]) -> None:
    exchange = TranslatedExchange(call(), route(), adapter, None)
    exchange.read_answer(json.dumps(body).encode())
    assert exchange.told.service_tier == "flex"


@pytest.mark.parametrize(
    ("adapter", "event"),
    [
        (ChatAdapter(OPENAI), CHAT),
        (ResponsesAdapter(OPENAI), {"type": "response.completed", "response": RESPONSE}),
    ],
    ids=["chat", "responses"],
)
def test_of_a_stream(adapter: Adapter, event: dict[str, object]) -> None:
    exchange = TranslatedExchange(call(stream=True), route(), adapter, None)
    exchange.feed(f"data: {json.dumps(event)}\n\n".encode())
    assert exchange.told.service_tier == "flex"
