"""AWS's event stream (`application/vnd.amazon.eventstream`), cut into messages.

    4 bytes   length of the whole message
    4 bytes   length of its header fields
    4 bytes   CRC-32 of these eight bytes
    …         header fields: length of the name (1 byte), name, type (1 byte), value
    …         payload
    4 bytes   CRC-32 of everything before

All numbers are big-endian. Source: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html
"""

import zlib
from collections.abc import Iterator
from struct import error as TooShort  # noqa: N812 – what it means here
from struct import unpack_from

from arouter.domain.value import value

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""As for server-sent events: an image fits, and a peer that never ends its message does not get all our memory."""

_PRELUDE_BYTES = 12
_CHECKSUM_BYTES = 4
_LEAST_BYTES = _PRELUDE_BYTES + _CHECKSUM_BYTES

_TEXT = 7
_BYTES = 6
_FIXED_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""The types of values (true, false, byte, short, integer, long, time, UUID) and their lengths."""


class Malformed(ValueError):
    """What came is no event stream, or was damaged on its way."""


@value(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it came."""

    headers: dict[str, str]
    """The header fields whose values are text; the others mean nothing to us."""
    payload: bytes


class Splitter:
    """Cuts a byte stream into messages: feed it what arrives, get the messages that are complete."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> bytes:
        """What arrived and does not yet make a message."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes, in order. Malformed once all that came before has been yielded."""
        self._buffer += data
        while len(self._buffer) >= _PRELUDE_BYTES:
            length, headers_length = _read_prelude(self._buffer)
            if len(self._buffer) < length:
                return
            raw = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield _message(raw, _PRELUDE_BYTES + headers_length)


def _read_prelude(buffer: bytearray) -> tuple[int, int]:
    length, headers_length, checksum = unpack_from(">III", buffer)
    if zlib.crc32(buffer[:8]) != checksum:
        raise Malformed("the checksum of a message's beginning is wrong")
    if not _LEAST_BYTES + headers_length <= length <= MAX_MESSAGE_BYTES:
        raise Malformed(f"a message of {length} bytes, {headers_length} of them header fields")
    return length, headers_length


def _message(raw: bytes, payload_at: int) -> Message:
    (checksum,) = unpack_from(">I", raw, len(raw) - _CHECKSUM_BYTES)
    if zlib.crc32(memoryview(raw)[:-_CHECKSUM_BYTES]) != checksum:
        raise Malformed("the checksum of a message is wrong")
    try:
        headers = dict(_headers(raw[_PRELUDE_BYTES:payload_at]))
    except (TooShort, UnicodeDecodeError) as exc:
        raise Malformed("the header fields of a message cannot be read") from exc
    return Message(headers=headers, payload=raw[payload_at:-_CHECKSUM_BYTES])


def _headers(raw: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(raw):
        name_end = at + 1 + raw[at]
        (kind,) = unpack_from(">B", raw, name_end)
        name = raw[at + 1 : name_end].decode()
        at = name_end + 1
        if kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        elif kind in (_BYTES, _TEXT):
            (length,) = unpack_from(">H", raw, at)
            (text,) = unpack_from(f">{length}s", raw, at + 2)
            at += 2 + length
            if kind == _TEXT:
                yield name, text.decode()
        else:
            raise Malformed(f"a header field of the unknown type {kind}")
    if at > len(raw):
        raise Malformed("the header fields of a message are longer than they say")
