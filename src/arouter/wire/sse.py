"""Server-sent events, read in pieces of any size and written.

The rules, from the WHATWG specification (https://html.spec.whatwg.org/multipage/server-sent-events.html):

1. A line ends with CR LF, LF or CR, and with nothing else: U+2028, U+2029 and U+0085 are text, which is why
   `str.splitlines` may not be used here.
2. An empty line ends an event. What the stream ends with before one is not an event.
3. A line `data: x` adds a line to the event's data, with one leading space removed; `event: x` names it; a line
   that begins with a colon is a comment; other fields do not matter here.
4. A byte order mark at the very start is not part of the first line.
"""

import re

from arouter.domain.value import value

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""An image in one event fits; a peer that never ends its event does not get all our memory."""

_END_OF_EVENT = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CARRIAGE_RETURN = ord("\r")
"""As a number: `in` finds one at a quarter of the price of `find`."""

DONE = b"[DONE]"
"""The data of the last event of an OpenAI stream."""


class EventTooLarge(ValueError):
    """An event is longer than `MAX_EVENT_BYTES`."""


@value(frozen=True, slots=True, kw_only=False)
class ServerEvent:
    """One event as it came."""

    raw: bytes
    """Its bytes, with the empty line that ends it: what a relay forwards."""
    data: bytes
    """The joined data lines; empty where there were none (a comment, a lone `event:` line)."""
    name: bytes = b""
    """The `event:` field; empty where there was none."""


class Splitter:
    """Cuts a byte stream into events: feed it what arrives, get the events that are complete."""

    __slots__ = ("_buffer", "_fresh", "_line_feed_may_follow", "_stray")

    def __init__(self) -> None:
        self._buffer = b""
        self._fresh = True
        self._line_feed_may_follow = False
        self._stray = b""
        """The second half of a CR LF that came apart: it stands before the next event, so that no byte is lost."""

    @property
    def pending(self) -> bytes:
        """What arrived and does not yet make an event."""
        return self._stray + self._buffer

    def only_event(self, data: bytes) -> bytes | None:
        """The data of the event, if `data` is exactly one in a plain form.

        None if it is anything else: then it is for `feed`, and nothing has changed.
        """
        if self._buffer or self._line_feed_may_follow or self._stray:
            return None
        said = _plain_data(data)
        if not said:
            return None
        self._fresh = False
        return said

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that `data` completes, in order. EventTooLarge if one never ends."""
        return [read_event(block) for block in self.cut(data)]

    def cut(self, data: bytes) -> list[bytes]:
        """As `feed`, the events as they came: for `read_event`."""
        if self._fresh:
            data = self._buffer + data
            self._buffer = b""
            if len(data) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(data):
                self._buffer = data
                return []
            self._fresh = False
            data = data.removeprefix(_BYTE_ORDER_MARK)
        if self._line_feed_may_follow and data:
            # The carriage return that ended the last event may have been the first half of a CR LF.
            self._line_feed_may_follow = False
            if data.startswith(b"\n"):
                self._stray, data = b"\n", data[1:]
        buffer = self._buffer + data if self._buffer else data
        if _CARRIAGE_RETURN not in buffer:
            blocks = self._cut_plain(buffer, b"\n\n")
        elif buffer.count(b"\r\n") == buffer.count(b"\r") == buffer.count(b"\n"):
            blocks = self._cut_plain(buffer, b"\r\n\r\n")
        else:
            blocks = self._cut(buffer)
        if len(self._buffer) > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")
        if self._stray and blocks:
            blocks[0] = self._stray + blocks[0]
            self._stray = b""
        return blocks

    def _cut_plain(self, buffer: bytes, end: bytes) -> list[bytes]:
        """The common cases: line feeds only, or CR LF only."""
        *blocks, self._buffer = buffer.split(end)
        return [block + end for block in blocks]

    def _cut(self, buffer: bytes) -> list[bytes]:
        blocks = []
        start = 0
        for match in _END_OF_EVENT.finditer(buffer):
            blocks.append(buffer[start : match.end()])
            start = match.end()
        self._buffer = buffer[start:]
        self._line_feed_may_follow = not self._buffer and buffer.endswith(b"\r") and bool(blocks)
        return blocks


def data_of(block: bytes) -> bytes:
    """The data alone of an event that a splitter has cut off."""
    said = _plain_data(block)
    return read_event(block).data if said is None else said


def _plain_data(event: bytes) -> bytes | None:
    """The data of exactly one event in one of the forms that providers send nearly always: a line `data: `, behind one
    `event: ` or none, and line feeds; or that line alone, and CR LF. None for any other form, or number of events."""
    if event.endswith(b"\n\n"):
        start = event.find(b"\n") + 1 if event.startswith(b"event: ") else 0
        if (
            event.startswith(b"data: ", start)
            and event.find(b"\n", start) == len(event) - 2
            and _CARRIAGE_RETURN not in event
        ):
            return event[start + 6 : -2]
    elif (
        event.startswith(b"data: ")
        and event.endswith(b"\r\n\r\n")
        and event.find(b"\r") == len(event) - 4
        and event.find(b"\n") == len(event) - 3
    ):
        return event[6:-4]
    return None


def read_event(block: bytes) -> ServerEvent:
    """An event that a splitter has cut off."""
    if _CARRIAGE_RETURN not in block:
        # The two forms that providers send nearly always, without a search for lines.
        end = block.find(b"\n", 0, -2)
        if end < 0 and block.startswith(b"data: "):
            return ServerEvent(block, block[6:-2])
        if block.startswith(b"event: ") and block.startswith(b"data: ", end + 1) and block.find(b"\n", end + 1, -2) < 0:
            return ServerEvent(block, block[end + 7 : -2], block[7:end])
    elif (said := _plain_data(block)) is not None:
        return ServerEvent(block, said)
    lines: list[bytes] = []
    name = b""
    for line in _LINE_END.split(block):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return ServerEvent(block, b"\n".join(lines), name)


def encode(data: bytes, name: bytes = b"") -> bytes:
    """One event. `data` must not hold a line end, which JSON as we write it never does."""
    if name:
        return b"event: " + name + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


def comment(text: bytes) -> bytes:
    """A comment: it keeps the connection alive and every client skips it."""
    return b": " + text + b"\n\n"
