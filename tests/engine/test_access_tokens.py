"""Access tokens: one fetch for all who wait, ahead of the end, over the real client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import msgspec
import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.engine.access_tokens import AHEAD_US, MARGIN_US, REST_US, AccessTokens
from arouter.engine.credentials import Unsigned
from arouter.engine.upstream import Upstream
from arouter.providers.service_account import ServiceAccount
from tests.engine.scripted_clock import NOON_US
from tests.engine.scripted_peer import Peer, Visit, on_each_loop
from tests.service_accounts import key_file

REQUEST = Unsigned(method="POST", path="/x", query="", host="x.example", body=b"{}")
HOUR_US = 3_600_000_000


class Endpoint:
    """A token endpoint that answers as a test says, and counts."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._arrivals: asyncio.Queue[int] = asyncio.Queue()
        self.status = 200
        self.expires_in = 3600
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def was_asked(self, times: int) -> None:
        """Returns when it has been, so many times in all."""
        while await self._arrivals.get() < times:
            pass

    async def play(self, visit: Visit) -> None:
        while True:
            head = await visit.head()
            self.asked.append(head + await visit.body(head))
            number = len(self.asked)
            self._arrivals.put_nowait(number)
            await self.may_answer.wait()
            body = msgspec.json.encode({"access_token": f"token-{number}", "expires_in": self.expires_in})
            if self.status != 200:
                body = b'{"error":"invalid_grant","error_description":"No."}'
            await visit.say(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (self.status, len(body), body))


class Setting:
    """The tokens of an account whose endpoint is on this machine, and the client that fetches them."""

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        self.endpoint = endpoint
        self.client = Upstream()
        account = ServiceAccount(key_file(token_uri=f"http://127.0.0.1:{port}/oauth2/token"))
        self.tokens = AccessTokens(account)

    async def token(self, at_us: int = NOON_US) -> str:
        ((name, text),) = await self.tokens.headers(REQUEST, self.client, at_us)
        assert name == "Authorization"
        return text.removeprefix("Bearer ")

    @property
    def fetches(self) -> int:
        return len(self.endpoint.asked)


@asynccontextmanager
async def setting() -> AsyncIterator[Setting]:
    endpoint = Endpoint()
    async with asyncio.timeout(10), Peer(endpoint.play) as peer:
        here = Setting(endpoint, peer.port)
        yield here
        await here.client.aclose()


@on_each_loop
async def test_a_token_is_fetched_once_and_kept() -> None:
    async with setting() as here:
        assert [await here.token(), await here.token(), await here.token(NOON_US + HOUR_US // 2)] == ["token-1"] * 3
        (asked,) = here.endpoint.asked
        head, _, body = asked.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /oauth2/token HTTP/1.1\r\n")
        assert b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" in head
        assert parse_qs(body.decode())["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


@on_each_loop
async def test_a_hundred_who_wait_are_served_by_one_fetch() -> None:
    async with setting() as here:
        here.endpoint.may_answer.clear()
        waiting = [asyncio.ensure_future(here.token()) for _ in range(100)]
        await here.endpoint.was_asked(1)
        here.endpoint.may_answer.set()
        assert set(await asyncio.gather(*waiting)) == {"token-1"}
        assert here.fetches == 1


@on_each_loop
async def test_a_hundred_who_wait_share_one_failure_and_the_next_one_tries_again() -> None:
    async with setting() as here:
        here.endpoint.status = 400
        here.endpoint.may_answer.clear()
        waiting = [asyncio.ensure_future(here.token()) for _ in range(100)]
        await here.endpoint.was_asked(1)
        here.endpoint.may_answer.set()
        failures = await asyncio.gather(*waiting, return_exceptions=True)
        assert here.fetches == 1
        assert len({id(failure) for failure in failures}) == 100
        for failure in failures:
            assert isinstance(failure, UpstreamFailed)
            assert failure.message.startswith("The gateway got no access token for the provider: ")
            assert failure.detail == "invalid_grant: No."
        here.endpoint.status = 200
        assert await here.token() == "token-2"


@on_each_loop
async def test_who_leaves_while_fetching_passes_the_fetch_on() -> None:
    async with setting() as here:
        here.endpoint.may_answer.clear()
        leaves, stays = (asyncio.ensure_future(here.token()) for _ in range(2))
        await here.endpoint.was_asked(1)
        leaves.cancel()
        here.endpoint.may_answer.set()
        assert await stays == "token-2"
        assert leaves.cancelled()


@on_each_loop
async def test_one_request_fetches_ahead_of_the_end_and_the_others_go_on() -> None:
    async with setting() as here:
        assert await here.token() == "token-1"
        soon_us = NOON_US + HOUR_US - AHEAD_US
        assert await here.token(soon_us - 1) == "token-1"
        here.endpoint.may_answer.clear()
        fetching = asyncio.ensure_future(here.token(soon_us))
        await here.endpoint.was_asked(2)
        assert [await here.token(soon_us + 1) for _ in range(10)] == ["token-1"] * 10
        here.endpoint.may_answer.set()
        assert await fetching == "token-2"
        assert await here.token(soon_us + 2) == "token-2"
        assert here.fetches == 2


@on_each_loop
async def test_a_failure_ahead_of_the_end_reaches_nobody_and_is_not_repeated_at_once() -> None:
    async with setting() as here:
        await here.token()
        here.endpoint.status = 503
        soon_us = NOON_US + HOUR_US - AHEAD_US
        assert [await here.token(soon_us + after) for after in (0, 1, REST_US - 1)] == ["token-1"] * 3
        assert here.fetches == 2
        assert await here.token(soon_us + REST_US) == "token-1"
        assert here.fetches == 3
        with pytest.raises(UpstreamFailed):
            await here.token(NOON_US + HOUR_US - MARGIN_US)


@on_each_loop
async def test_a_token_that_has_ended_is_never_sent() -> None:
    async with setting() as here:
        await here.token()
        assert await here.token(NOON_US + HOUR_US - MARGIN_US - 1) == "token-2"
        assert await here.token(NOON_US + 10 * HOUR_US) == "token-3"


@on_each_loop
async def test_a_token_of_a_second_is_used_while_it_lasts() -> None:
    async with setting() as here:
        here.endpoint.expires_in = 1
        assert await here.token() == "token-1"
        assert await here.token(NOON_US + 499_999) == "token-1"
        assert await here.token(NOON_US + 500_000) == "token-2"


def unreachable(script: Callable[[Visit], Awaitable[None]]) -> Callable[[str], None]:
    """A test that an endpoint which does so is a failure that another provider may not have."""

    async def dialogue() -> None:
        async with asyncio.timeout(10), Peer(script) as peer:
            client = Upstream()
            account = ServiceAccount(key_file(token_uri=f"http://127.0.0.1:{peer.port}/token"))
            with pytest.raises(UpstreamFailed) as failed:
                await AccessTokens(account).headers(REQUEST, client, NOON_US)
            assert failed.value.retryable
            await client.aclose()

    return on_each_loop(dialogue)


async def _hangs_up(visit: Visit) -> None:
    await visit.request()


async def _says_nonsense(visit: Visit) -> None:
    await visit.request()
    await visit.say(b"nonsense\r\n\r\n")


test_an_endpoint_that_hangs_up = unreachable(_hangs_up)
test_an_endpoint_that_says_nonsense = unreachable(_says_nonsense)


def test_an_address_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="http"):
        AccessTokens(ServiceAccount(key_file(token_uri="ftp://x/token")))
