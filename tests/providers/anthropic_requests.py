"""What the tests of request writing share: how a client's words become the body that is sent."""

import json
from typing import Any

from arouter.domain.chat import ChatRequest, Json, Message, Part, Text, ToolCall
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.base import Adapter, Prepared

ADAPTER: Adapter = AnthropicAdapter()

HELLO = Message(role="user", parts=(Text(text="Hello"),))
EPHEMERAL: Json = {"type": "ephemeral"}


def prepare(*messages: Message, model: str = "claude-sonnet-4-5", **said: Any) -> Prepared:
    return ADAPTER.prepare(ChatRequest(model=model, messages=messages or (HELLO,), **said))


def sent(*messages: Message, **said: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(prepare(*messages, **said).body)
    return body


def user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def assistant(*parts: Part, calls: tuple[ToolCall, ...] = ()) -> Message:
    return Message(role="assistant", parts=parts, tool_calls=calls)


def result(call_id: str, *parts: Part, is_error: bool = False) -> Message:
    return Message(role="tool", tool_call_id=call_id, parts=parts, is_error=is_error)


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def budget(tokens: int) -> Json:
    return {"type": "enabled", "budget_tokens": tokens}
