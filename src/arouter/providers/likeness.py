"""Events that differ from the one before within a string only: they are read as that one was, without a parser.

A provider says the same object over and over, and only the text in it is another one each time – with OpenAI the
padding behind it too, which hides the text's length. Where the bytes around those strings are the bytes of the event
before, and neither string has anything in it that could end it, the event is the same JSON but for the two strings.
"""

import re
from typing import Final

_TEXT: Final = b'"content":'
_PADDING: Final = b'"obfuscation":"'
_end_of_text: Final = re.compile(rb'["\\\x00-\x1f]').search
"""The first byte that a JSON string cannot hold as it is."""


class Likeness:
    """What one event says around its text."""

    __slots__ = ("_after", "_before", "_before_bytes", "_between", "_between_bytes")

    def __init__(self, before: bytes, between: bytes, after: bytes) -> None:
        """The bytes in front of the text, behind it, and behind the padding; no `after` where there is no padding."""
        self._before = before
        self._before_bytes = len(before)
        self._between = between
        self._between_bytes = len(between)
        self._after = after

    def text_bytes(self, event: bytes) -> int | None:
        """How long the text of an event is, as it is written; None if the event differs in anything else."""
        if not event.startswith(self._before):
            return None
        start = self._before_bytes
        found = _end_of_text(event, start)
        if found is None:
            return None
        end = found.start()
        if not event.startswith(self._between, end):
            return None
        rest = end + self._between_bytes
        if self._after:
            found = _end_of_text(event, rest)
            if found is None or event[found.start() :] != self._after:
                return None
        elif len(event) != rest:
            return None
        return end - start


def likeness_of(event: bytes, text: bytes) -> Likeness | None:
    """Of an event whose `content` is `text`, as it is written there; None if that is not to be told from the bytes.

    The event says nothing besides that the next one would have to be asked for.
    """
    member = _TEXT + text
    at = event.find(member)
    if at < 0 or event.find(member, at + 1) >= 0 or not text.startswith(b'"'):
        return None
    start = at + len(_TEXT) + 1
    before, behind = event[:start], event[at + len(member) - 1 :]
    padding = behind.find(_PADDING) + len(_PADDING)
    if padding >= len(_PADDING) and (found := _end_of_text(behind, padding)) is not None:
        return Likeness(before, behind[:padding], behind[found.start() :])
    return Likeness(before, behind, b"")
