"""What the three dialects have in common: how a request is read, and the shape of what they give back."""

import re
from collections.abc import Sequence
from typing import NoReturn, Protocol, TypeVar

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.sandbox.answers import Ask, Counts, Reply
from arouter.sandbox.behaviour import UsageMode

_R = TypeVar("_R")
_WHERE = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"Object missing required field `(.*?)`")

Moments = Sequence[Sequence[bytes]]
"""The events of a stream, grouped by the moment at which they are sent: one token a moment, the opening events
with the first one and the closing events with the last."""


class Stamp(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What makes one answer different from the next."""

    serial: int
    created_s: int
    """Unix time."""


class Dialect(Protocol):
    """One of the modules `openai`, `anthropic` and `gemini`."""

    @property
    def REQUEST_ID(self) -> bytes:  # noqa: N802 - a constant of the module
        """The name of the response header with the id of the request."""

    def read(self, body: bytes) -> Ask:
        """The request. InvalidRequest, naming the param, if it is none. Gemini's lacks what stands in its path."""

    def whole(self, ask: Ask, reply: Reply, stamp: Stamp) -> bytes:
        """The body of an answer that is not streamed."""

    def stream(self, ask: Ask, reply: Reply, stamp: Stamp, usage: UsageMode) -> Moments:
        """The events of a streamed answer, each with the empty line that ends it."""

    def error(self, status: int, message: str, param: str | None, retry_after_s: int | None) -> bytes:
        """The body of an error answer."""

    def stream_error(self, message: str) -> bytes:
        """The event that reports an error in the middle of a stream."""


def decode(body: bytes, form: type[_R]) -> _R:
    """`body` as `form`. InvalidRequest, naming the param, if it is not JSON or of another form."""
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.ValidationError as error:
        _refuse(str(error), error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error


def _refuse(message: str, cause: Exception) -> NoReturn:
    found = _WHERE.search(message)
    where = found[1] if found is not None else ""
    message = _WHERE.sub("", message)
    missing = _MISSING.match(message)
    if missing is not None:
        where = f"{where}.{missing[1]}" if where else missing[1]
        message = "this field is required"
    raise InvalidRequest(f"{where}: {message}" if where else message, param=where or None) from cause


def group(opening: Sequence[bytes], tokens: Sequence[Sequence[bytes]], closing: Sequence[bytes]) -> Moments:
    """The moments of a stream; `tokens` has the events of each token."""
    if not tokens:
        return [[*opening, *closing]]
    moments = [list(events) for events in tokens]
    moments[0][:0] = opening
    moments[-1].extend(closing)
    return moments


def counts_after(reply: Reply, sent: int) -> Counts | None:
    """The usage when `sent` pieces, thoughts first, have been sent."""
    if reply.counts is None:
        return None
    return reply.counts.after(sent, min(sent, len(reply.thoughts)))
