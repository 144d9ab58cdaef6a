"""Names: those that nobody knows, that change, that have several addresses, and that nobody answers for."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from arouter.domain.errors import UpstreamFailed, UpstreamTimeout
from arouter.engine.upstream import Origin, PoolLimits, Timeouts
from tests.engine.dialogue import NOTHING_LEFT, OK, ONE_IDLE, client, counts, keeps_answering, saying, until, whole
from tests.engine.scripted_peer import LOOPS, Peer, run_on

NAME = "api.example.com"
CLOSING = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")


class ScriptedNames(asyncio.SelectorEventLoop):
    """An event loop whose look-ups a test decides: addresses in their order, a failure, or no end."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] | None = []
        """None: nobody ever answers."""
        self.asked: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, **rest: Any) -> Any:
        assert isinstance(host, str)
        if host != NAME:
            return await super().getaddrinfo(host, port, **rest)
        self.asked.append(host)
        if self.addresses is None:
            await asyncio.Event().wait()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses or ()]


def run(dialogue: Callable[[ScriptedNames], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=ScriptedNames) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, ScriptedNames)
        runner.run(dialogue(loop))


def named(port: int) -> Origin:
    return Origin(scheme="http", host=NAME, port=port, path="/v1")


def test_a_name_that_changes_is_looked_up_for_each_new_connection() -> None:
    async def dialogue(names: ScriptedNames) -> None:
        async with (
            Peer(saying(CLOSING.replace(b"ok", b"01"))) as first,
            Peer(saying(CLOSING.replace(b"ok", b"02")), host="127.0.0.2", port=first.port) as second,
            client() as upstream,
        ):
            names.addresses = ["127.0.0.1"]
            assert await whole(upstream, named(first.port)) == b"01"
            names.addresses = ["127.0.0.2"]
            assert await whole(upstream, named(first.port)) == b"02"
            assert (first.visits, second.visits, len(names.asked)) == (1, 1, 2)

    run(dialogue)


def test_a_kept_connection_outlives_the_change_of_its_name_no_longer_than_it_is_used() -> None:
    async def dialogue(names: ScriptedNames) -> None:
        async with (
            Peer(keeps_answering(OK.replace(b"ok", b"01"))) as first,
            Peer(keeps_answering(OK.replace(b"ok", b"02")), host="127.0.0.2", port=first.port),
            client(PoolLimits(idle_expiry_s=0.1)) as upstream,
        ):
            names.addresses = ["127.0.0.1"]
            assert await whole(upstream, named(first.port)) == b"01"
            names.addresses = ["127.0.0.2"]
            assert await whole(upstream, named(first.port)) == b"01"
            await until(lambda: counts(upstream) == NOTHING_LEFT)
            assert await whole(upstream, named(first.port)) == b"02"

    run(dialogue)


def test_the_next_address_is_tried_when_one_refuses() -> None:
    async def dialogue(names: ScriptedNames) -> None:
        async with Peer(keeps_answering()) as peer, client() as upstream:
            names.addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
            assert await whole(upstream, named(peer.port)) == b"ok"
            assert counts(upstream) == ONE_IDLE
            names.addresses = ["127.0.0.2", "127.0.0.3"]
        async with client() as upstream:
            with pytest.raises(UpstreamFailed) as caught:
                await whole(upstream, named(peer.port))
            assert caught.value.retryable
            assert counts(upstream) == NOTHING_LEFT

    run(dialogue)


def test_a_name_that_is_unknown_now_may_be_known_later() -> None:
    async def dialogue(names: ScriptedNames) -> None:
        async with Peer(keeps_answering()) as peer, client() as upstream:
            for _ in range(2):
                with pytest.raises(UpstreamFailed, match=rf"^{NAME}: the name is not known$") as caught:
                    await whole(upstream, named(peer.port))
                assert caught.value.retryable
                assert counts(upstream) == NOTHING_LEFT
            names.addresses = ["127.0.0.1"]
            assert await whole(upstream, named(peer.port)) == b"ok"

    run(dialogue)


def test_a_name_that_nobody_answers_for_is_a_timeout_and_holds_no_place() -> None:
    async def dialogue(names: ScriptedNames) -> None:
        names.addresses = None
        async with Peer(keeps_answering()) as peer, client(PoolLimits(max_connections=1)) as upstream:
            limited = Timeouts(connect_s=0.05)
            origin = named(peer.port)
            with pytest.raises(UpstreamTimeout, match=r"no connection within 0\.05 s"):
                await upstream.send(origin, b"POST / HTTP/1.1\r\nHost: a\r\n", b"", timeouts=limited)
            asking = asyncio.ensure_future(whole(upstream, origin))
            await until(lambda: len(names.asked) == 2)
            waiting = asyncio.ensure_future(whole(upstream, origin))
            await until(lambda: counts(upstream).waiting == 1)
            names.addresses = ["127.0.0.1"]
            asking.cancel()
            assert await waiting == b"ok"
            assert asking.cancelled()
            assert counts(upstream) == ONE_IDLE

    run(dialogue)


@pytest.mark.parametrize("name", [".".join(["a" * 63] * 5), "-", "xn--"])
def test_a_name_that_cannot_be_one_is_a_failure_like_any_other(name: str) -> None:
    async def dialogue() -> None:
        async with client() as upstream:
            with pytest.raises(UpstreamFailed, match="the name is not known"):
                await whole(upstream, Origin.from_url(f"http://{name}:1"))
            assert counts(upstream) == NOTHING_LEFT

    for loop in LOOPS:
        run_on(loop, dialogue)
