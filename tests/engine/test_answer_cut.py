"""An answer is the same one wherever its bytes are cut on their way."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import pytest
from bench.provider_socket import ProviderSocket
from hypothesis import example, given
from hypothesis import strategies as st

from arouter.domain.errors import UpstreamFailed
from arouter.engine.connection import HEAD_LIMIT_BYTES, Connection
from arouter.engine.timeouts import Timeouts

LINES = st.lists(
    st.sampled_from(
        [
            b"Content-Type: application/json\r\n",
            b"content-length: 5\r\n",
            b"Content-Length:\t5 \r\n",
            b"Content-Length: 0\r\n",
            b"Content-Length: +5\r\n",
            b"Content-Length: 5, 5\r\n",
            b"Content-Length: 5\n",
            b" Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"TRANSFER-ENCODING: gzip\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n",
            b"Transfer-Encoding : chunked\r\n",
            b"Connection: keep-alive\r\n",
            b"Connection: close\r\n",
            b"X: \xff: y\r\n",
            b"X: \x00\r\n",
            b" folded\r\n",
        ]
    ),
    max_size=4,
)
STATUSES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 404 \r\n",
        b"HTTP/1.1 204 No\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 099 A\r\n",
    ]
)
BEFORE = st.lists(
    st.sampled_from([b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n"]), max_size=2
)
BODIES = st.sampled_from(
    [b"", b"12345", b"1234\n", b"5\r\n12345\r\n0\r\n\r\n", b"2\r\nab\r\n3;c=d\r\ncde\r\n0\r\nT: u\r\n\r\n"]
)
BEHIND = st.sampled_from([b"", b"H", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
ANSWERS = st.builds(
    lambda before, status, lines, body, behind: b"".join((*before, status, *lines, b"\r\n", body, behind)),
    *(BEFORE, STATUSES, LINES, BODIES, BEHIND),
)
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345"
INTERIM = b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: gzip\r\n\r\n"
CODED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Heard:
    """What the reader and the pool get of an answer, and of the end of the stream behind it."""

    status: int
    head: bytes | None
    said: bytes | str
    """The body, or what went wrong."""
    kept: bool
    """Whether the connection was fit for another request before the peer closed it."""


class Owner:
    def __init__(self) -> None:
        self.idle = False

    def returned(self, connection: Connection) -> None:
        self.idle = True

    def lost(self, connection: Connection) -> None:
        self.idle = False


async def heard(pieces: list[bytes]) -> Heard:
    owner = Owner()
    connection = Connection("peer", owner, asyncio.get_running_loop())
    connection.connection_made(ProviderSocket())
    answer = connection.start(b"POST / HTTP/1.1\r\n", b"{}", Timeouts())
    for piece in pieces:
        connection.data_received(piece)
    kept = owner.idle
    connection.eof_received()
    try:
        said: bytes | str = await answer.read(1000)
    except UpstreamFailed as failed:
        said = failed.message
    return Heard(answer.status, answer.head if answer.status else None, said, kept)


def cut(answer: bytes, places: set[int]) -> list[bytes]:
    edges = [0, *sorted(place for place in places if 0 < place < len(answer)), len(answer)]
    return [answer[start:end] for start, end in pairwise(edges)]


@given(answer=ANSWERS, places=st.sets(st.integers(1, 200)))
@example(answer=WHOLE, places=set(range(200)))
@example(answer=WHOLE + WHOLE, places={len(WHOLE)})
@example(answer=WHOLE, places={20})
@example(answer=WHOLE + b"H", places={len(WHOLE) - 1})
@example(answer=CODED, places={len(CODED) - 1})
@example(answer=CODED + b"5", places={len(CODED) - 1})
@example(answer=b"\r\n" + INTERIM + WHOLE, places={len(INTERIM)})
def test_cut_anywhere_it_is_the_same(answer: bytes, places: set[int]) -> None:
    assert asyncio.run(heard(cut(answer, places))) == asyncio.run(heard([answer]))


def test_a_plain_answer_is_whole_and_its_connection_kept() -> None:
    """So the comparison above is not one of failures alone."""
    assert asyncio.run(heard([WHOLE])) == Heard(200, WHOLE[: -len(b"\r\n12345")], b"12345", kept=True)


@pytest.mark.parametrize("before", [b"", b"\r\n\r\n", INTERIM, b"\r\n" + INTERIM + b"\r\n" + INTERIM])
def test_what_stands_before_a_head_is_no_part_of_it(before: bytes) -> None:
    assert asyncio.run(heard([before + WHOLE])) == asyncio.run(heard([WHOLE]))


@pytest.mark.parametrize("behind", [b"", b"}", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n}"])
def test_an_unknown_coding_is_refused_whatever_stands_behind(behind: bytes) -> None:
    """The last byte tells whether there can be one."""
    expected = Heard(200, CODED[: CODED.index(b"\r\n5")], "peer: the answer is not valid HTTP", kept=False)
    assert asyncio.run(heard([CODED + behind])) == expected


@pytest.mark.parametrize("padding_bytes", [HEAD_LIMIT_BYTES - 60, HEAD_LIMIT_BYTES])
def test_a_long_head_is_refused_in_one_piece_as_in_two(padding_bytes: int) -> None:
    answer = WHOLE.replace(b"OK\r\n", b"OK\r\nX: %b\r\n" % (b"y" * padding_bytes))
    in_one = asyncio.run(heard([answer]))
    assert in_one.kept == (padding_bytes < HEAD_LIMIT_BYTES)
    assert asyncio.run(heard([answer[:-1], answer[-1:]])) == in_one
