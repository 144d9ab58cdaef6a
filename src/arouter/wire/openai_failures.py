"""What ends a stream of OpenAI's that broke off, where the stream is not one of chat."""

from collections.abc import Mapping, Sequence

import msgspec

from arouter.domain.charge import Charge
from arouter.domain.chat import Event
from arouter.wire import sse
from arouter.wire.errors import error_object


class FailureWriter:
    """Implements `arouter.wire.answer.AnswerWriter`, as far as that is ever asked for: nothing is translated into these
    dialects, but a relayed stream may break off."""

    __slots__ = ("_choices",)

    def __init__(self, *, choices: bool = False) -> None:
        """`choices`: the stream consists of completions, and ends with `[DONE]`; else of named events."""
        self._choices = choices

    def encode(self, events: Sequence[Event]) -> bytes:
        return b""

    def last(self, charge: Charge | None) -> bytes:
        return b""

    def error(self, message: str, code: str, metadata: Mapping[str, object], *, type_: str) -> bytes:
        error = error_object(message=message, type_=type_, param=None, code=code, metadata=metadata)
        if not self._choices:
            return sse.encode(msgspec.json.encode({"type": "error", "error": error}), b"error")
        choices = [{"index": 0, "text": "", "finish_reason": "error"}]
        return sse.encode(msgspec.json.encode({"choices": choices, "error": error})) + sse.encode(sse.DONE)

    def whole(self, events: Sequence[Event], charge: Charge) -> bytes:
        return b""
