"""Five hundred requests at once against budgets of one dollar: of the organization, the workspace, the key and the user
together, in one process and in two, in peace and with `kill -9` in the middle."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from arouter.domain.keys import digest
from tests.faults.budgets import (
    HELD,
    LIMIT,
    ask_all,
    check_peace,
    check_refused,
    manage,
    overage,
    settings,
    spend_the_rest,
    with_budgets,
)
from tests.faults.client import Heard
from tests.faults.processes import place, sandbox_process, wait_until
from tests.faults.workers import worker_pids

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


@pytest.mark.parametrize("user", ["known", "never-seen"])
@pytest.mark.parametrize("workers", [1, 2])
def test_together_they_do_not_pass_a_dollar(sandbox: str, tmp_path: Path, workers: int, user: str) -> None:
    with place(tmp_path, settings(sandbox, workers)) as made:
        gateway = made.start()
        with_budgets(gateway)
        if user == "known":
            asyncio.run(ask_all(gateway, user, 1))
        heard = asyncio.run(ask_all(gateway, user))
        assert {one.status for one in heard} == {200, 402}
        assert check_peace(gateway, user) > LIMIT / 2
        assert overage(gateway) > 0
        told = Decimal(int(gateway.metric("arouter_overage_picodollars_total"))) / 10**12
        assert told == 4 * overage(gateway), "each of the four budgets tells it"
        spend_the_rest(gateway, user)
        assert check_peace(gateway, user) > LIMIT - HELD
        check_refused(gateway, user)
        # A change counts in every worker within a second.
        for guardrail in manage(gateway, "GET", "/v1/guardrails"):
            manage(gateway, "PATCH", f"/v1/guardrails/{guardrail['id']}", {"limit": 2})
        time.sleep(1)
        assert {one.status for one in asyncio.run(ask_all(gateway, user, 20))} == {200}
        for guardrail in manage(gateway, "GET", "/v1/guardrails"):
            manage(gateway, "PATCH", f"/v1/guardrails/{guardrail['id']}", {"limit": 0})
        time.sleep(1)
        assert {one.status for one in asyncio.run(ask_all(gateway, user, 20))} == {402}


def test_what_a_killed_gateway_held_comes_back(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, settings(sandbox, 1)) as made:
        gateway = made.start()
        with_budgets(gateway)

        async def ask_and_kill() -> list[Heard]:
            asking = asyncio.ensure_future(ask_all(gateway, "u"))
            await asyncio.sleep(0.15)
            gateway.kill()
            return await asking

        asyncio.run(ask_and_kill())
        gateway = made.start()
        before = check_peace(gateway, "u")
        assert {one.status for one in asyncio.run(ask_all(gateway, "u"))} <= {200, 402}
        spend_the_rest(gateway, "u")
        # On a fast machine all may have been spent before the kill.
        spent = check_peace(gateway, "u")
        assert spent >= before
        assert spent > LIMIT - HELD
        check_refused(gateway, "u")


def test_what_a_killed_worker_held_comes_back(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, settings(sandbox, 2)) as made:
        gateway = made.start()
        with_budgets(gateway)
        killed = worker_pids(gateway)[0]

        async def ask_and_kill() -> list[Heard]:
            asking = asyncio.ensure_future(ask_all(gateway, "u"))
            await asyncio.sleep(0.4)
            os.kill(killed, signal.SIGKILL)
            return await asking

        asyncio.run(ask_and_kill())
        wait_until(lambda: len(set(worker_pids(gateway)) - {killed}) == 2, timeout_s=40)
        wait_until(lambda: gateway.ready() == 200, timeout_s=40)
        check_peace(gateway, "u")
        asyncio.run(ask_all(gateway, "u"))
        spend_the_rest(gateway, "u")
        assert check_peace(gateway, "u") > LIMIT - HELD
        check_refused(gateway, "u")


@pytest.mark.parametrize("workers", [1, 2])
def test_exactly_so_many_pass_in_a_minute_in_all_workers_together(sandbox: str, tmp_path: Path, workers: int) -> None:
    allowed, asked = 100, 300
    with place(tmp_path, settings(sandbox, workers)) as made:
        gateway = made.start()
        manage(
            gateway,
            "PATCH",
            f"/v1/keys/{digest(gateway.live)}",
            {"rate_limit": {"requests_per_minute": allowed, "concurrent_requests": asked}},
        )
        time.sleep(1)
        heard = asyncio.run(ask_all(gateway, "u", asked))
        assert {one.status for one in heard} == {200, 429}
        minutes = Counter(one["created_at"][:16] for one in gateway.records() if one["status"] != "rejected")
        assert max(minutes.values()) == allowed, "and not less, unless the minute ended meanwhile"
        for one in heard:
            assert one.headers["x-ratelimit-limit-requests"] == str(allowed)
            assert 0 <= int(one.headers["x-ratelimit-remaining-requests"]) < allowed
            assert one.headers["ratelimit-policy"] == f'"requests-per-minute";q={allowed};w=60'
            if one.status == 429:
                assert 0 < int(one.headers["retry-after"]) <= 60
                assert one.headers["x-ratelimit-remaining"] == "0"
                (error,) = one.errors
                assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        told = manage(gateway, "GET", f"/v1/guardrails/explain?api_key_hash={digest(gateway.live)}")["limits"]
        assert {one["meter"]: one["held"] for one in told} == {"requests": 0, "concurrent": 0}
