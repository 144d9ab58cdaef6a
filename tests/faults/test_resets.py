"""Windows that really end, for two gateways on one database whose clocks are moved to shortly before: the day, the week
and the month end at the same moment, a minute at another."""

import asyncio
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.keys import digest
from tests.faults.budgets import (
    ALLOWED_TOKENS,
    CONTENT,
    HELD,
    LIMIT,
    PRICES,
    REQUESTS,
    ask_all,
    check_refused,
    figures,
    manage,
    overage,
    settings,
    spend_the_rest,
    with_budgets,
)
from tests.faults.client import Heard, ask
from tests.faults.processes import Gateway, Place, place, sandbox_process, wait_until
from tests.faults.shifted_launcher import set_clock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="clocks are moved by a mapped file")

MIDNIGHT = datetime(2027, 2, 1, tzinfo=UTC)
"""A Monday."""
RESETS = {"organization": "monthly", "workspace": "weekly", "key": "daily", "every_user": "daily"}
SLOW = "openai/sandbox?prompt_tokens=20&tokens=40&token_ms=100"
MORE_THAN_A_MINUTE_ALLOWS = 40
LONG_S = 30
"""After so long it is said that something never happens."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


@pytest.fixture
def home(sandbox: str, tmp_path: Path) -> Iterator[Place]:
    slow = {f'prices."{SLOW}"': next(iter(PRICES.values()))}
    with place(tmp_path, {**settings(sandbox, 1), **slow}, module="tests.faults.shifted_launcher") as made:
        yield made


def move_clock(home: Place, at: datetime) -> None:
    set_clock(home.folder, int(at.timestamp() * 1_000_000))


def created(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["created_at"])


def spent(gateway: Gateway, *, after: bool) -> Decimal:
    """The costs of the requests that began before, or after, midnight."""
    costs = [
        Decimal(repr(one["cost"]))
        for one in gateway.records()
        if one["cost"] is not None and (created(one) >= MIDNIGHT) == after
    ]
    return sum(costs, Decimal(0))


def slow_request(gateway: Gateway) -> Heard:
    asking = ask(gateway.url, gateway.live, SLOW, stream=True, user="u", content=CONTENT, max_tokens=ALLOWED_TOKENS)
    return asyncio.run(asking)


@pytest.mark.parametrize("killed", [False, True], ids=["in peace", "one is killed"])
def test_when_its_windows_end_a_spent_budget_starts_again(home: Place, killed: bool) -> None:
    move_clock(home, MIDNIGHT - timedelta(minutes=1))
    one, other = home.start(), home.start()
    with_budgets(one, RESETS)

    async def ask_both() -> None:
        asking = asyncio.gather(*(ask_all(gateway, "u", REQUESTS // 2) for gateway in (one, other)))
        if killed:
            await asyncio.sleep(0.15)
            other.kill()
        await asking

    with ThreadPoolExecutor() as threads:
        across = threads.submit(slow_request, one)
        wait_until(lambda: one.metric("arouter_upstream_open") >= 1)
        asyncio.run(ask_both())
        if killed:
            other = home.start()
        for gateway in (one, other):
            spend_the_rest(gateway, "u")
            check_refused(gateway, "u")

        # The last of the window, then the first of the next one, without a pause.
        move_clock(home, MIDNIGHT - timedelta(seconds=1))
        heard: list[Heard] = []
        until_s = time.monotonic() + LONG_S
        while not all(any(past.success for past in heard[at::2]) for at in (0, 1)):
            heard += [asyncio.run(ask_all(gateway, "u", 1))[0] for gateway in (one, other)]
            assert time.monotonic() < until_s, "nobody may ask again"
        assert across.result().success, "it began before midnight, and ended after it"
    records = {record["id"]: record for record in one.records()}
    for past in heard:
        assert past.success == (created(records[str(past.id)]) >= MIDNIGHT), past
        assert past.status in (200, 402)
    assert created(records[str(across.result().id)]) < MIDNIGHT
    before, after = spent(one, after=False), spent(one, after=True)
    assert LIMIT - HELD < before <= LIMIT + overage(one)
    assert after > 0
    wait_until(lambda: figures(other, "u")["user"][1] == 0)
    for gateway in (one, other):
        scopes = ("organization", "workspace", "key", "user")
        assert figures(gateway, "u") == dict.fromkeys(scopes, (after, Decimal(0)))


def test_in_each_minute_exactly_so_many_pass(home: Place) -> None:
    allowed = 20
    move_clock(home, MIDNIGHT + timedelta(seconds=30))
    gateways = home.start(), home.start()
    path = f"/v1/keys/{digest(gateways[0].live)}"
    manage(gateways[0], "PATCH", path, {"rate_limit": {"requests_per_minute": allowed}})
    asyncio.run(asyncio.sleep(1))  # It holds everywhere within a second.
    turn = MIDNIGHT + timedelta(minutes=1)
    move_clock(home, turn - timedelta(seconds=2))

    async def ask_through() -> list[Heard]:
        """More than a minute allows in the last two seconds of one, and again in the next one."""
        asked = []
        for _ in range(MORE_THAN_A_MINUTE_ALLOWS):
            asked += [asyncio.ensure_future(ask_all(gateway, None, 1)) for gateway in gateways]
            await asyncio.sleep(4 / MORE_THAN_A_MINUTE_ALLOWS)
        return [heard for one in asked for heard in await one]

    heard = asyncio.run(ask_through())
    records = {record["id"]: record for record in gateways[0].records()}
    minutes = [[one for one in heard if (created(records[str(one.id)]) >= turn) == after] for after in (False, True)]
    for minute, end in zip(minutes, (turn, turn + timedelta(minutes=1)), strict=True):
        assert len(minute) > allowed
        assert sum(one.success for one in minute) == allowed
        for one in minute:
            assert int(one.headers["x-ratelimit-reset"]) == end.timestamp() * 1000
            if not one.success:
                wait_s = end - created(records[str(one.id)])
                assert int(one.headers["retry-after"]) == -(-wait_s // timedelta(seconds=1))
