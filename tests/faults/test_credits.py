"""Three hundred requests at once against credits of one dollar, in two processes, in peace and with `kill -9` in the
middle: nothing is spent beyond them but overages that are told, and the balance is exact."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arouter.engine.leasing import REFUSED_US
from tests.faults.budgets import HELD, ask_all, costs, manage, overage, settings
from tests.faults.client import Heard
from tests.faults.processes import Gateway, place, sandbox_process, wait_until
from tests.faults.workers import worker_pids

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")

REQUESTS = 300
DOLLAR = Decimal(1)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


def pay(gateway: Gateway, reference: str) -> None:
    """A dollar; it counts in every worker within a second."""
    made = manage(gateway, "POST", "/v1/credits", {"amount": 1, "reference": reference})
    assert manage(gateway, "POST", "/v1/credits", {"amount": 1, "reference": reference}) == made
    time.sleep(1)


def answer(gateway: Gateway, path: str) -> Any:
    with gateway.client(gateway.management) as client:
        told = client.ask("GET", path)
    assert told.status == 200, told.body
    return json.loads(told.body, parse_float=Decimal, parse_int=Decimal)


def transactions(gateway: Gateway) -> Decimal:
    """What all of them add up to."""
    total, cursor = Decimal(0), ""
    while True:
        page = answer(gateway, f"/v1/billing/transactions?limit=1000{cursor}")
        total += sum((one["amount"] or Decimal(0) for one in page["transactions"]), Decimal(0))
        if not page["has_more"]:
            return total
        cursor = f"&cursor={page['next_cursor']}"


def told_overage(gateway: Gateway) -> Decimal:
    return Decimal(int(gateway.metric("arouter_overage_picodollars_total"))) / 10**12


def spent(gateway: Gateway, before: Decimal) -> Decimal:
    """Since there are credits."""
    return sum(costs(gateway), Decimal(0)) - before


def check_peace(gateway: Gateway, paid: Decimal, before: Decimal) -> Decimal:
    """Every hold is gone, the balance is the ledger's in every shape, and nobody passed it but by overages; what is
    left."""
    left = paid - spent(gateway, before)
    assert left >= -overage(gateway)
    pool = manage(gateway, "GET", "/v1/credits")
    assert answer(gateway, "/v1/balance")["balance"] == pool["balance"] == transactions(gateway) == left
    assert pool["total_credits"] - pool["total_usage"] == left
    own = answer(gateway, "/v1/keys")["data"]
    explained = [
        manage(gateway, "GET", f"/v1/guardrails/explain?api_key_hash={one['hash']}")["limits"][0]
        for one in own
        if one["key_type"] == "regular"
    ]
    (limit,) = explained
    assert (limit["said_by"], limit["held"]) == ("the organization's credits", 0)
    assert limit["limit"] - limit["used"] == left
    return left


def spend_the_rest(gateway: Gateway) -> Heard:
    """One after the other, until less is left than one may cost and the next is refused: that one. Where processes wait
    long for the machine, one may be refused before another worker gave back what it did not need."""
    for _ in range(REQUESTS):
        (one,) = asyncio.run(ask_all(gateway, "u", 1))
        if one.status != 200 and answer(gateway, "/v1/balance")["balance"] < HELD:
            # A refusal holds for those who come next at that worker, with the balance of its time: a new one is wanted.
            time.sleep(2 * REFUSED_US / 1e6)
            (one,) = asyncio.run(ask_all(gateway, "u", 1))
            return one
    raise AssertionError("nobody was refused")


def check_refused(gateway: Gateway, heard: Heard, left: Decimal) -> None:
    assert heard.status == 402
    (error,) = heard.errors
    assert (error["type"], error["code"]) == ("payment_required", "insufficient_credits")
    assert Decimal(repr(error["metadata"]["balance_usd"])) == left
    assert "POST /v1/credits" in error["message"]
    last = gateway.records()[-1]
    assert (last["id"], last["status"], last["error_code"]) == (heard.id, "rejected", "insufficient_credits")


def test_together_they_do_not_pass_a_dollar_and_a_top_up_lets_the_next_pass(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, settings(sandbox, 2)) as made:
        gateway = made.start()
        assert {one.status for one in asyncio.run(ask_all(gateway, "u", 3))} == {200}, "nobody has paid in yet"
        before, passed = sum(costs(gateway), Decimal(0)), overage(gateway)
        pay(gateway, "first")
        heard = asyncio.run(ask_all(gateway, "u", REQUESTS))
        assert {one.status for one in heard} == {200, 402}
        assert check_peace(gateway, DOLLAR, before) < DOLLAR / 2
        passed_by = overage(gateway) - passed
        assert passed_by > 0
        # None of those before the credits, and each once. A worker that is too busy to tell its metrics within a second
        # counts with what it told before.
        wait_until(lambda: told_overage(gateway) == passed_by)
        last = spend_the_rest(gateway)
        left = check_peace(gateway, DOLLAR, before)
        assert left < HELD
        check_refused(gateway, last, left)
        pay(gateway, "second")
        assert {one.status for one in asyncio.run(ask_all(gateway, "u", 20))} == {200}
        check_peace(gateway, 2 * DOLLAR, before)


def test_what_a_killed_worker_held_comes_back(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, settings(sandbox, 2)) as made:
        gateway = made.start()
        pay(gateway, "first")
        killed = worker_pids(gateway)[0]

        async def ask_and_kill() -> None:
            asking = asyncio.ensure_future(ask_all(gateway, "u", REQUESTS))
            await asyncio.sleep(0.3)
            os.kill(killed, signal.SIGKILL)
            await asking

        asyncio.run(ask_and_kill())
        wait_until(lambda: len(set(worker_pids(gateway)) - {killed}) == 2, timeout_s=40)
        wait_until(lambda: gateway.ready() == 200, timeout_s=40)
        check_peace(gateway, DOLLAR, Decimal(0))
        last = spend_the_rest(gateway)
        left = check_peace(gateway, DOLLAR, Decimal(0))
        assert left < HELD
        check_refused(gateway, last, left)
        pay(gateway, "second")
        asyncio.run(ask_all(gateway, "u", REQUESTS))
        check_peace(gateway, 2 * DOLLAR, Decimal(0))


def test_a_payment_is_there_once_whoever_is_killed(sandbox: str, tmp_path: Path) -> None:
    with place(tmp_path, settings(sandbox, 1)) as made:
        gateway = made.start()
        manage(gateway, "POST", "/v1/credits", {"amount": 1, "reference": "told"})
        gateway.kill()
        gateway = made.start()
        pay(gateway, "told")
        assert check_peace(gateway, DOLLAR, Decimal(0)) == 1
        assert [one["reference"] for one in answer(gateway, "/v1/credits/entries")["data"]] == ["told"]
