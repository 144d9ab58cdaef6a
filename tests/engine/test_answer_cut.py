"""An answer is the same one wherever its bytes are cut on their way."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

from bench.provider_socket import ProviderSocket
from hypothesis import example, given
from hypothesis import strategies as st

from arouter.domain.errors import UpstreamFailed
from arouter.engine.connection import Connection
from arouter.engine.timeouts import Timeouts

LINES = st.lists(
    st.sampled_from(
        [
            b"Content-Type: application/json\r\n",
            b"content-length: 5\r\n",
            b"Content-Length:\t5 \r\n",
            b"Content-Length: 0\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"TRANSFER-ENCODING: gzip\r\n",
            b"Connection: keep-alive\r\n",
            b"Connection: close\r\n",
            b"X: \xff: y\r\n",
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
BODIES = st.sampled_from([b"", b"12345", b"5\r\n12345\r\n0\r\n\r\n", b"2\r\nab\r\n3;c=d\r\ncde\r\n0\r\nT: u\r\n\r\n"])
BEHIND = st.sampled_from([b"", b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
ANSWERS = st.builds(
    lambda before, status, lines, body, behind: b"".join((*before, status, *lines, b"\r\n", body, behind)),
    *(BEFORE, STATUSES, LINES, BODIES, BEHIND),
)
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345"


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
def test_cut_anywhere_it_is_the_same(answer: bytes, places: set[int]) -> None:
    assert asyncio.run(heard(cut(answer, places))) == asyncio.run(heard([answer]))


def test_a_plain_answer_is_whole_and_its_connection_kept() -> None:
    """So the comparison above is not one of failures alone."""
    assert asyncio.run(heard([WHOLE])) == Heard(200, WHOLE[: -len(b"\r\n12345")], b"12345", kept=True)
