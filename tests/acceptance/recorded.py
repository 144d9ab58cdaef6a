"""A recorded answer, taken apart: its events, what it says, and what it used."""

import json
from collections.abc import Mapping
from typing import Any

from tests.acceptance import counts as count
from tests.acceptance import said as say
from tests.acceptance.counts import Counts
from tests.acceptance.said import Said
from tests.recordings import Recording, recordings

Json = dict[str, Any]

DIALECTS: Mapping[str, str] = {
    "openai.chat": "chat",
    "compatible.chat": "chat",
    "openrouter.chat": "chat",
    "openai.responses": "responses",
    "anthropic.messages": "messages",
    "google.generate": "generate",
}
"""What the recordings of each API speak."""


def dialect_of(recording: Recording) -> str:
    """OpenRouter's recordings are of two APIs."""
    return "responses" if recording.path.endswith("/responses") else DIALECTS[recording.api]


def of_dialect(dialect: str) -> list[Recording]:
    """The recordings that speak it, errors among them."""
    return [one for api in DIALECTS for one in recordings(api) if dialect_of(one) == dialect]


# ---------------------------------------------------------------- events


def events(text: str) -> list[str]:
    """The server-sent events of a stream, each without the empty line that ends it."""
    separator = "\r\n\r\n" if "\r\n\r\n" in text else "\n\n"
    assert text.endswith(separator)
    return text.removesuffix(separator).split(separator)


def data(event: str) -> str | None:
    """The JSON of an event; None for a comment and for the end mark."""
    lines = [line for line in event.split("\n") if line.startswith("data:")]
    if not lines or lines == ["data: [DONE]"]:
        return None
    [line] = lines
    return line.removeprefix("data:").strip()


def written(recording: Recording) -> list[str]:
    """The JSON of the answer as it is written; of a stream, that of each event."""
    if not recording.stream:
        return [recording.response_text]
    return [written for event in events(recording.response_text) if (written := data(event)) is not None]


def told(recording: Recording) -> list[Json]:
    """The same, decoded."""
    return [json.loads(text) for text in written(recording)]


# ---------------------------------------------------------------- what was said and used


def said(recording: Recording) -> Said:
    """By the provider."""
    dialect = dialect_of(recording)
    if recording.stream:
        return say.STREAMED[dialect](told(recording))
    return say.WHOLE[dialect](recording.body)


def counts(recording: Recording, usage: Json) -> Counts:
    """What the provider's own usage object means."""
    return count.IN[dialect_of(recording)](usage)
