"""Words for canonical requests, and what Gemini is sent for them."""

from typing import Any

import msgspec

from arouter.domain.chat import ChatRequest, Message, Reasoning, Text, Tool, ToolCall
from arouter.providers.base import Prepared
from arouter.providers.gemini import GeminiAdapter

Body = dict[str, Any]

GEMINI = "google-gemini-v1"


def user(text: str) -> Message:
    return Message(role="user", parts=(Text(text=text),))


HELLO = (user("Hello"),)
HELLO_TURN: Body = {"role": "user", "parts": [{"text": "Hello"}]}


def prepare(*messages: Message, model: str = "gemini-2.5-flash", **rest: Any) -> Prepared:
    return GeminiAdapter().prepare(ChatRequest(model=model, messages=messages or HELLO, **rest))


def body(*messages: Message, **rest: Any) -> Body:
    written: Body = msgspec.json.decode(prepare(*messages, **rest).body)
    return written


def parts(message: Message, **rest: Any) -> list[Body]:
    """The parts of the turn that one message becomes."""
    [turn] = body(message, **rest)["contents"]
    written: list[Body] = turn["parts"]
    return written


def calls(*called: ToolCall, said: tuple[Text | Reasoning, ...] = ()) -> Message:
    return Message(role="assistant", parts=said, tool_calls=called)


def result(call_id: str, text: str, **rest: Any) -> Message:
    return Message(role="tool", tool_call_id=call_id, parts=(Text(text=text),), **rest)


SCHEMA: Body = {"type": "object", "properties": {"city": {"type": ["string", "null"]}}, "additionalProperties": False}
WEATHER = Tool(name="weather", description="Tells the weather.", parameters=SCHEMA)
CLOCK = Tool(name="clock")
