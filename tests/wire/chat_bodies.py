"""Chat completion bodies, read as the router reads them."""

from collections.abc import Mapping

import msgspec

from arouter.domain.chat import ChatRequest, Message
from arouter.wire.openai_chat.request import read_chat

HELLO = [{"role": "user", "content": "Hello"}]


def read_bytes(body: bytes) -> ChatRequest:
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return read_chat(fields, model="m", identity=None, stream=False)


def read(body: Mapping[str, object]) -> ChatRequest:
    return read_bytes(msgspec.json.encode(body))


def read_with(**fields: object) -> ChatRequest:
    """A request that says hello, with some more fields."""
    return read({"messages": HELLO, **fields})


def read_message(**fields: object) -> Message:
    """The last message of a request."""
    return read({"messages": [*HELLO, fields]}).messages[-1]
