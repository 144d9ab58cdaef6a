"""Events that differ from the one before within a string only: they are read as that one was, without a parser.

A provider says the same object over and over, and only the text in it is another one each time – with OpenAI the
padding behind it too, which hides the text's length. Where the bytes around those strings are the bytes of the event
before, and what is between them is what one JSON string can hold, the event is the same JSON but for the two strings.
"""

import re
from typing import Final

_TEXT: Final = b'"content":'
_PADDING: Final = b'"obfuscation":"'
_end_of_text: Final = re.compile(rb'["\\\x00-\x1f]').search
"""The first byte that a JSON string cannot hold as it is."""
_is_text: Final = re.compile(rb'[^"\\\x00-\x1f]*(?:\\["\\/bfnrt][^"\\\x00-\x1f]*)*').fullmatch
"""Whether a stretch of bytes has none of them but in escapes of one letter; it does not end before it begins."""


class Likeness:
    """What one event says around its text."""

    __slots__ = ("_before", "_before_bytes", "_behind", "_behind_bytes")

    def __init__(self, before: bytes, behind: bytes) -> None:
        """The bytes in front of the text, and behind it."""
        self._before = before
        self._before_bytes = len(before)
        self._behind = behind
        self._behind_bytes = len(behind)

    def text_bytes(self, event: bytes) -> int | None:
        """How long the text of an event is, as it is written; None if the event differs in anything else."""
        if not (event.startswith(self._before) and event.endswith(self._behind)):
            return None
        start, end = self._before_bytes, len(event) - self._behind_bytes
        return end - start if _is_text(event, start, end) else None


class PaddedLikeness(Likeness):
    """Of an event with padding behind the text."""

    __slots__ = ("_between",)

    def __init__(self, before: bytes, between: bytes, behind: bytes) -> None:
        """The bytes in front of the text, behind it, and behind the padding."""
        super().__init__(before, behind)
        self._between = between

    def text_bytes(self, event: bytes) -> int | None:
        if not (event.startswith(self._before) and event.endswith(self._behind)):
            return None
        start, between = self._before_bytes, self._between
        end = event.find(between, start)
        if end < 0 or not _is_text(event, start, end):
            return None
        return end - start if _is_text(event, end + len(between), len(event) - self._behind_bytes) else None


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
        return PaddedLikeness(before, behind[:padding], behind[found.start() :])
    return Likeness(before, behind)
