"""What the tests of this dialect share: streams to read, and what a sequence of events amounts to."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from arouter.domain.chat import (
    Annotated,
    Event,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.domain.usage import Usage
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.base import Adapter

ADAPTER: Adapter = AnthropicAdapter()


@dataclass
class Answer:
    """What a sequence of events amounts to."""

    id: str | None = None
    model: str | None = None
    text: str = ""
    thoughts: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """Text, signature and data by index."""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """Id, name and arguments."""
    citations: list[Any] = field(default_factory=list)
    refusal: str = ""
    finished: list[tuple[FinishReason, str | None]] = field(default_factory=list)
    usage: Usage | None = None
    raw_usage: Any = None
    failed: list[Failed] = field(default_factory=list)


def fold(events: Iterable[Event]) -> Answer:
    answer = Answer()
    for event in events:
        match event:
            case Started():
                answer.id, answer.model = event.id, event.model
            case TextDelta():
                answer.text += event.text
            case ReasoningDelta():
                assert event.format == "anthropic-claude-v1"
                text, signature, data = answer.thoughts.get(event.index, ("", "", ""))
                answer.thoughts[event.index] = (
                    text + event.text,
                    signature + (event.signature or ""),
                    data + (event.data or ""),
                )
            case ToolCallStarted():
                assert event.index == len(answer.calls)
                answer.calls.append((event.id, event.name, ""))
            case ToolCallArguments():
                call_id, name, arguments = answer.calls[event.index]
                answer.calls[event.index] = (call_id, name, arguments + event.fragment)
            case Annotated():
                answer.citations.append(event.annotation)
            case RefusalDelta():
                answer.refusal += event.text
            case Finished():
                answer.finished.append((event.reason, event.native_reason))
            case UsageReported():
                answer.usage, answer.raw_usage = event.usage, json.loads(event.raw)
            case Failed():
                answer.failed.append(event)
            case _:
                pytest.fail(f"an event that this provider has no source for: {event}")
    return answer


def streamed(data: bytes, size: int | None = None) -> list[Event]:
    """The events of a stream that arrives in pieces of `size` bytes; None is all at once."""
    reader = ADAPTER.stream_reader()
    step = size or len(data) or 1
    return [event for start in range(0, len(data), step) for event in reader.feed(data[start : start + step])]


def stream_of(*events: Any) -> bytes:
    """Events as the provider writes them."""
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def as_stream(message: dict[str, Any]) -> bytes:
    """A whole answer as the stream that it would have been, in pieces of seven characters."""
    return stream_of(*_events_of(message))


def _events_of(message: dict[str, Any]) -> Iterator[Any]:
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        start, deltas = _in_pieces(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {name: message.get(name) for name in ("stop_reason", "stop_details")}
    yield {"type": "message_delta", "delta": ended, "usage": message["usage"]}
    yield {"type": "message_stop"}


def _in_pieces(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "text":
            cited = [{"type": "citations_delta", "citation": one} for one in block.get("citations") or ()]
            said = [{"type": "text_delta", "text": piece} for piece in _cut(block["text"])]
            return {**block, "text": "", "citations": None}, cited + said
        case "thinking":
            thought = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(block["thinking"])]
            proof = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*thought, proof]
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            written = json.dumps(block["input"]) if block["input"] else ""
            arguments = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *_cut(written)]]
            return {**block, "input": {}}, arguments
    return block, []


def _cut(text: str) -> list[str]:
    return [text[start : start + 7] for start in range(0, len(text), 7)]
