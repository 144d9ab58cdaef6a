"""A JSON array that streams, cut into its elements without a byte lost.

That is how Google's APIs stream where nobody asks for server-sent events. The elements are objects (or arrays); what
stands between them, white space and commas, belongs to the element behind it.
"""

import re

from arouter.domain.value import value
from arouter.wire.sse import MAX_EVENT_BYTES

_OUTSIDE = re.compile(rb'["\[\]{}]')
_INSIDE = re.compile(rb'["\\]')
_SPACE = b" \t\r\n"
_BETWEEN = b"[, \t\r\n"
_OPENING = b"[{"


class NotAnArray(ValueError):
    """The stream is no array of objects, or an element is longer than `MAX_EVENT_BYTES`."""


@value(frozen=True, slots=True, kw_only=False)
class Element:
    """One element as it came."""

    raw: bytes
    """Its bytes, with what stands before it: what a relay forwards."""
    data: bytes
    """The element alone."""


class ArraySplitter:
    """Cuts a byte stream into elements: feed it what arrives, get the elements that are complete."""

    __slots__ = ("_at", "_buffer", "_depth", "_in_string", "_start", "complete")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        """Up to where it was looked at."""
        self._start = 0
        """Where the element begins."""
        self._depth = 0
        self._in_string = False
        self.complete = False
        """The closing bracket came."""

    @property
    def pending(self) -> bytes:
        """What arrived and does not make an element: the end of the array, once it is complete."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Element]:
        """The elements that `data` completes, in order. NotAnArray if it is none."""
        self._buffer += data
        elements: list[Element] = []
        while not self.complete:
            found = (_INSIDE if self._in_string else _OUTSIDE).search(self._buffer, self._at)
            if found is None:
                self._at = max(self._at, len(self._buffer))
                break
            self._at = found.end()
            if self._read(found[0]):
                elements.append(self._cut())
        if self._depth == 0 and not self.complete and self._buffer.strip(_SPACE):
            raise NotAnArray("the stream does not begin with a bracket")
        if len(self._buffer) > MAX_EVENT_BYTES:
            raise NotAnArray(f"an element of more than {MAX_EVENT_BYTES} bytes")
        return elements

    def _read(self, mark: bytes) -> bool:
        """Takes one character that structures the text; whether it ends an element."""
        if mark == b"\\":
            self._at += 1
        elif mark == b'"':
            if self._depth < 2:
                raise NotAnArray("an element is no object")
            self._in_string = not self._in_string
        elif self._depth == 0:
            if mark != b"[" or self._buffer[: self._at - 1].strip(_SPACE):
                raise NotAnArray("the stream does not begin with a bracket")
            self._depth = 1
        elif mark in _OPENING:
            self._depth += 1
            if self._depth == 2:
                self._check_between()
                self._start = self._at - 1
        else:
            self._depth -= 1
            if self._depth == 0:
                self._check_between()
                self.complete = True
            return self._depth == 1
        return False

    def _check_between(self) -> None:
        """What stands before an element, or before the end, holds no value of another kind."""
        if self._buffer[: self._at - 1].strip(_BETWEEN):
            raise NotAnArray("an element is no object")

    def _cut(self) -> Element:
        raw = bytes(self._buffer[: self._at])
        del self._buffer[: self._at]
        element = Element(raw, raw[self._start :])
        self._at = self._start = 0
        return element
