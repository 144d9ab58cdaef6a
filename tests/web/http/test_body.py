"""A body that comes in pieces: it is whole, too long, or its client has left."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import RequestTooLarge
from arouter.web.http.body import LineBody
from arouter.web.inference.body import ClientLeft


@given(st.lists(st.binary(max_size=5)), st.integers(0, 30))
def test_what_belongs_to_the_body_is_taken_and_the_rest_comes_back(pieces: list[bytes], length: int) -> None:
    said = b"".join(pieces)
    body = LineBody(length)
    rest = b"".join(body.take(piece) for piece in pieces)
    assert (rest, body.missing) == (said[length:], max(0, length - len(said)))
    if not body.missing:
        assert asyncio.run(body.read(length)) == said[:length]


def test_a_body_that_is_there_is_read_at_once() -> None:
    body = LineBody(5)
    body.take(b"hello")
    assert asyncio.run(body.read(5)) == b"hello"
    assert asyncio.run(LineBody(0).read(0)) == b""


def test_who_reads_waits_for_the_last_piece() -> None:
    async def play() -> bytes:
        body = LineBody(5)
        reading = asyncio.ensure_future(body.read(5))
        for piece in (b"he", b"ll"):
            await asyncio.sleep(0)
            assert body.take(piece) == b""
        await asyncio.sleep(0)
        assert not reading.done()
        assert body.take(b"o, and more") == b", and more"
        return await reading

    assert asyncio.run(play()) == b"hello"


def test_a_body_over_the_limit_is_refused_before_it_comes_and_nothing_of_it_is_kept() -> None:
    async def play() -> None:
        body = LineBody(1_000_000)
        body.take(b"x" * 1000)
        with pytest.raises(RequestTooLarge):
            await body.read(999_999)
        assert body.take(b"x" * 500_000) == b""
        assert body._pieces == []
        assert body.missing == 499_000

    asyncio.run(play())


@pytest.mark.parametrize("early", [True, False])
def test_a_client_that_leaves_before_the_end(early: bool) -> None:
    async def play() -> None:
        body = LineBody(5)
        body.take(b"he")
        if early:
            body.leave()
        reading = asyncio.ensure_future(body.read(5))
        await asyncio.sleep(0)
        body.leave()
        body.leave()
        with pytest.raises(ClientLeft):
            await reading

    asyncio.run(play())


def test_a_client_that_leaves_after_the_end_is_none_of_its_business() -> None:
    body = LineBody(5)
    body.take(b"hello")
    body.leave()
    assert asyncio.run(body.read(5)) == b"hello"
