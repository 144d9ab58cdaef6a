"""Exchanges recorded with real providers: what an upstream really sends.

The folder is `$AROUTER_RECORDINGS`, or `../shared/recordings` from the project's root; it holds one file of JSON
lines for each upstream API, and its README says what the fields mean. It is not a part of the project: where it is
missing, a test that needs it is skipped, and fails where `CI=true`.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest


@dataclass(frozen=True)
class Recording:
    """One request and its answer."""

    id: str
    api: str
    """`openai.chat`, `openai.responses`, `anthropic.messages`, `google.generate`, …"""
    host: str
    path: str
    request: dict[str, Any]
    status: int
    content_type: str
    stream: bool
    response: dict[str, Any] | str
    """The decoded JSON body; of a stream the raw text of its server-sent events."""
    response_text: str
    """The body as it is written in the recording, so that no number is re-serialised; of a stream its raw text."""
    recorded_in: str

    @property
    def body(self) -> dict[str, Any]:
        """The decoded JSON body of an answer that is not a stream."""
        assert isinstance(self.response, dict)
        return self.response


class _Line(msgspec.Struct):
    id: str
    api: str
    host: str
    path: str
    request: dict[str, Any]
    status: int
    content_type: str
    stream: bool
    response: msgspec.Raw
    recorded_in: str


def folder() -> Path:
    """Where the recordings are, whether or not they are there."""
    configured = os.environ.get("AROUTER_RECORDINGS")
    if configured:
        return Path(configured)
    return Path(__file__).resolve().parents[2] / "shared" / "recordings"


@cache
def _read(path: Path) -> tuple[Recording, ...]:
    decoder = msgspec.json.Decoder(_Line)
    return tuple(_recording(decoder.decode(line)) for line in path.read_bytes().split(b"\n") if line)


def _recording(line: _Line) -> Recording:
    raw = bytes(line.response)
    response = msgspec.json.decode(raw, type=dict[str, Any] | str)
    return Recording(
        id=line.id,
        api=line.api,
        host=line.host,
        path=line.path,
        request=line.request,
        status=line.status,
        content_type=line.content_type,
        stream=line.stream,
        response=response,
        response_text=response if isinstance(response, str) else raw.decode(),
        recorded_in=line.recorded_in,
    )


def recordings(api: str) -> list[Recording]:
    """All recordings of one upstream API, in the file's order; an empty list where the folder is missing.

    Made for `@pytest.mark.parametrize(…, recordings("openai.chat"), ids=lambda r: r.id)`. FileNotFoundError if the
    folder is there and does not know the API, so that a misspelt name is not a test that runs zero times.
    """
    if not folder().is_dir():
        return []
    return list(_read(folder() / f"{api}.jsonl"))


def need_recordings() -> None:
    """Skips the test where the folder is missing, and fails it where `CI=true`."""
    if folder().is_dir():
        return
    reason = f"no recordings at {folder()}; set AROUTER_RECORDINGS"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
