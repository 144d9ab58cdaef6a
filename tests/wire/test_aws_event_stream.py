"""AWS's event stream: whole, in pieces, damaged."""

import zlib
from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.wire.aws_event_stream import MAX_MESSAGE_BYTES, Malformed, Message, Splitter
from tests.aws_event_stream import message

EMPTY = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")
"""The published encoding of a message with neither header fields nor payload."""
PLAIN = bytes.fromhex("0000001d 00000000 fd528c5a") + b"{'foo':'bar'}" + bytes.fromhex("c3653936")
"""And of one with a payload only."""
OTHER_TYPES = b"".join(
    (
        b"\x01a\x00",
        b"\x01b\x01",
        b"\x01c\x02\xff",
        b"\x01d\x03\xff\xff",
        b"\x01e\x04\xff\xff\xff\xff",
        b"\x01f\x05" + bytes(8),
        b"\x01g\x06\x00\x02\xff\xff",
        b"\x01h\x08" + bytes(8),
        b"\x01i\x09" + bytes(16),
    )
)


def split(*pieces: bytes) -> list[Message]:
    splitter = Splitter()
    return [found for piece in pieces for found in splitter.feed(piece)]


def test_the_published_messages() -> None:
    assert split(EMPTY) == [Message(headers={}, payload=b"")]
    assert split(PLAIN) == [Message(headers={}, payload=b"{'foo':'bar'}")]
    assert (message(), message(b"{'foo':'bar'}")) == (EMPTY, PLAIN)


def test_header_fields_of_every_type_are_stepped_over_and_text_is_kept() -> None:
    (found,) = split(message(b"x", {":event-type": "chunk", "ü": "é"}, raw_headers=OTHER_TYPES))
    assert found == Message(headers={":event-type": "chunk", "ü": "é"}, payload=b"x")


TEXT = st.text(max_size=20)
MESSAGES = st.lists(st.tuples(st.dictionaries(TEXT, TEXT, max_size=4), st.binary(max_size=60)), max_size=5)


@given(messages=MESSAGES, size=st.sampled_from((1, 7, 37, 10_000)))
def test_what_was_written_is_read_in_pieces_of_any_size(
    messages: list[tuple[dict[str, str], bytes]], size: int
) -> None:
    stream = b"".join(message(payload, headers) for headers, payload in messages)
    found = split(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert [(one.headers, one.payload) for one in found] == messages


def test_what_does_not_make_a_message_yet_is_kept() -> None:
    splitter = Splitter()
    assert list(splitter.feed(EMPTY + PLAIN[:-1])) == [Message(headers={}, payload=b"")]
    assert splitter.pending == PLAIN[:-1]


@given(at=st.integers(0, len(PLAIN) - 1), flip=st.integers(1, 255))
def test_a_single_damaged_byte_is_noticed_after_what_came_before(at: int, flip: int) -> None:
    damaged = bytearray(PLAIN)
    damaged[at] ^= flip
    splitter = Splitter()
    found = splitter.feed(EMPTY + bytes(damaged))
    assert next(found) == Message(headers={}, payload=b"")
    with pytest.raises(Malformed):
        next(found)


@pytest.mark.parametrize(
    "stream",
    [
        message(raw_headers=b"\x01a\x0a"),
        message(raw_headers=b"\x01a"),
        message(raw_headers=b"\xff"),
        message(raw_headers=b"\x01a\x07\x00\x09x"),
        message(raw_headers=b"\x01a\x09x"),
        message(raw_headers=b"\x01\xff\x00"),
        message(raw_headers=b"\x01a\x07\x00\x01\xff"),
        b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_what_is_no_event_stream_is_said_to_be_none(stream: bytes) -> None:
    with pytest.raises(Malformed):
        split(stream)


@pytest.mark.parametrize(("length", "headers_length"), [(15, 0), (16, 1), (0, 0), (MAX_MESSAGE_BYTES + 1, 0)])
def test_a_length_that_cannot_be_is_not_waited_for(length: int, headers_length: int) -> None:
    prelude = pack(">II", length, headers_length)
    with pytest.raises(Malformed):
        split(prelude + pack(">I", zlib.crc32(prelude)))


@given(garbage=st.binary(max_size=200))
def test_garbage_is_nothing_else_than_malformed(garbage: bytes) -> None:
    with suppress(Malformed):
        split(garbage)
