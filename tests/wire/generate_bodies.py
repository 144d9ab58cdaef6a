"""generateContent bodies, read as the router reads them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from arouter.domain.chat import ChatRequest, Message
from arouter.wire.gemini_generate.request import read_generate

Body = dict[str, Any]

HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]


def read_bytes(body: bytes) -> ChatRequest:
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return read_generate(fields, model="m", identity=None, stream=False)


def read(body: Mapping[str, object]) -> ChatRequest:
    return read_bytes(msgspec.json.encode(body))


def read_with(**fields: object) -> ChatRequest:
    """A request that says hello, with some more fields."""
    return read({"contents": HELLO, **fields})


def configured(**config: object) -> ChatRequest:
    """A request that says hello, with a `generationConfig`."""
    return read_with(generationConfig=config)


def messages(*turns: Body) -> tuple[Message, ...]:
    return read({"contents": list(turns)}).messages


def user(*parts: Body) -> Body:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Body) -> Body:
    return {"role": "model", "parts": list(parts)}
