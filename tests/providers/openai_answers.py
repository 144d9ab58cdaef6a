"""What an upstream of OpenAI's dialects said, as one value for each choice, however its events were cut."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from arouter.domain.chat import (
    Annotated,
    Event,
    Failed,
    Finished,
    ImageMade,
    Json,
    LogprobsTold,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallArguments,
    ToolCallStarted,
    UsageReported,
)
from arouter.providers.base import Adapter

CUTS = [1, 7, 37]


@dataclass
class Said:
    """One choice."""

    text: str = ""
    thought: str = ""
    refusal: str = ""
    proofs: list[tuple[str | None, str | None, str | None]] = field(default_factory=list)
    """Format, signature, data."""
    calls: list[list[str]] = field(default_factory=list)
    """Id, name, arguments."""
    citations: list[Json] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    finished: list[tuple[str, str | None]] = field(default_factory=list)


@dataclass
class Fold:
    """An answer."""

    started: list[tuple[str | None, str | None]] = field(default_factory=list)
    choices: dict[int, Said] = field(default_factory=dict)
    usage: UsageReported | None = None
    failed: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def only(self) -> Said:
        [said] = self.choices.values()
        return said


def fold(events: Sequence[Event]) -> Fold:
    whole = Fold()
    for event in events:
        match event:
            case Started():
                whole.started.append((event.id, event.model))
            case UsageReported():
                whole.usage = event
            case Failed():
                whole.failed.append((event.message, event.code))
            case _:
                _add(whole.choices.setdefault(event.choice, Said()), event)
    return whole


def _add(said: Said, event: Event) -> None:
    match event:
        case TextDelta():
            said.text += event.text
        case RefusalDelta():
            said.refusal += event.text
        case ReasoningDelta():
            said.thought += event.text
            if event.signature is not None or event.data is not None:
                said.proofs.append((event.format, event.signature, event.data))
        case ToolCallStarted():
            assert event.index == len(said.calls)
            said.calls.append([event.id, event.name, ""])
        case ToolCallArguments():
            said.calls[event.index][2] += event.fragment
        case Annotated():
            said.citations.append(event.annotation)
        case ImageMade():
            said.images.append(event.url)
        case LogprobsTold():
            said.logprobs += event.content
        case Finished():
            said.finished.append((event.reason, event.native_reason))


def in_pieces(adapter: Adapter, raw: bytes, size: int | None = None) -> list[Event]:
    """The events of a whole stream in pieces of `size`; None: at once."""
    reader = adapter.stream_reader()
    step = size or max(1, len(raw))
    told: list[Event] = []
    for start in range(0, len(raw), step):
        told.extend(reader.feed(raw[start : start + step]))
    assert reader.complete
    return told


def as_stream(chunks: Sequence[dict[str, Any] | str]) -> bytes:
    """Server-sent events of chunks; a string stands for itself."""
    return b"".join(f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\n\n".encode() for chunk in chunks)
