"""Two gateways with two workers each on one PostgreSQL server, 200 clients, budgets shared; a gateway, a worker or the
server is killed, a network falls silent, the server is away: nothing lost, nothing doubled, no budget passed.

Each fault once and short is part of `make test`; `make test-faults` (`AROUTER_FAULTS_KILLS`) goes on for longer and
prints figures.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from arouter.domain.keys import digest
from arouter.domain.record import Record
from tests.faults.budgets import HELD, TARGETS
from tests.faults.client import Heard
from tests.faults.cluster import CLIENTS, PICO, USER, Cluster, Contents, Load, cluster
from tests.faults.processes import sandbox_process, wait_until
from tests.postgres_server import running_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")

KILLS = int(os.environ.get("AROUTER_FAULTS_KILLS", "1"))
IS_LONG = KILLS > 1
AWAY_S = 60.0 if IS_LONG else 2.0
SILENT_S = 10.0 if IS_LONG else 3.0
"""Longer than a record waits for the server before it goes to the journal."""
OUTAGE_LIMIT_S = AWAY_S + 10
# With `lost_after_s` as it is by default: what was killed is found dead by who shares its journals.
STORAGE: dict[str, object] = {"outage_limit_s": OUTAGE_LIMIT_S}
PATIENCE_S = OUTAGE_LIMIT_S + 30
BUDGET = 2
"""Dollars for each round."""
BETWEEN = 100
"""Answers before a fault, and after it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all faults: what one leaves behind, the next would find."""
    folder = tmp_path_factory.mktemp("cluster")
    with sandbox_process() as sandbox, running_server() as server, cluster(folder, sandbox, server, STORAGE) as found:
        own = found.manage(found.limited, "GET", f"/v1/keys/{digest(found.limited.live)}")
        target_ids = {"workspace": own["workspace_id"], "key": own["hash"]}
        for target in TARGETS:
            named = {"target_id": target_ids[target]} if target in target_ids else {}
            body = {"target": target, "limit": 0, "name": f"budget of {target}", **named}
            found.manage(found.limited, "POST", "/v1/guardrails", body)
        yield found


# ---------------------------------------------------------------- the faults


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What breaks, while everybody asks, and is mended again."""

    name: str
    strike: Callable[[Cluster, int], None]
    """The number says which of the two gateways."""
    lasts_s: float = 0.0
    mend: Callable[[Cluster, int], None] = lambda made, number: None
    times: int = 1
    ends_answers: bool = False
    """Whether requests die with it."""


def _kill_server(made: Cluster, number: int) -> None:
    made.server.kill()


def _start_server(made: Cluster, number: int) -> None:
    made.server.start()


FAULTS = (
    Fault(
        name="a gateway is killed",
        strike=lambda made, number: made.sides[number].kill(),
        mend=lambda made, number: made.sides[number].start_again(),
        times=KILLS,
        ends_answers=True,
    ),
    Fault(
        name="a worker is killed",
        strike=lambda made, number: made.sides[number].kill_a_worker(),
        times=KILLS,
        ends_answers=True,
    ),
    Fault(name="PostgreSQL is killed and starts again", strike=_kill_server, mend=_start_server, times=KILLS),
    Fault(
        name="a gateway's network falls silent",
        strike=lambda made, number: made.sides[number].proxy.fall_silent(),
        lasts_s=SILENT_S,
        mend=lambda made, number: made.sides[number].proxy.heal(),
    ),
    Fault(
        name="a gateway's connections are cut",
        strike=lambda made, number: made.sides[number].proxy.cut(),
        lasts_s=SILENT_S,
        mend=lambda made, number: made.sides[number].proxy.heal(),
    ),
    Fault(name="PostgreSQL is away", strike=_kill_server, lasts_s=AWAY_S, mend=_start_server),
)


@pytest.mark.slow
@pytest.mark.timeout(120 if not IS_LONG else 900)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_nothing_is_lost_or_doubled_and_no_budget_is_passed(made: Cluster, fault: Fault) -> None:
    before = made.contents()
    with_budgets(made, spent=before.spent)
    load = Load(made)
    asyncio.run(go_through(made, load, fault))
    wait_until(lambda: all(side.is_whole() for side in made.sides), PATIENCE_S)
    # What the killed left behind is closed and given back.
    wait_until(lambda: made.open_records() == 0 and not any(held for _, held in figures(made)), PATIENCE_S)
    rest = spend_the_rest(made)
    after = made.contents()
    new = {record_id: record for record_id, record in after.records.items() if record_id not in before.records}
    whole = check_answers([*load.heard, *rest], new)
    if not fault.ends_answers:
        assert whole == sum(record.status == "success" for record in new.values())
        assert not any(record.status == "interrupted" for record in new.values())
    spent = check_budgets(made, before, after)
    check_refused_until_raised(made, after.spent)
    tell(fault, whole, new, spent, after.overage - before.overage)


async def go_through(made: Cluster, load: Load, fault: Fault) -> None:
    """Whatever happens, the clients ask on: until the money has gone, if there was not enough."""
    async with load.running():
        await load.answers(BETWEEN)
        for turn in range(fault.times):
            number = turn % len(made.sides)
            await asyncio.to_thread(fault.strike, made, number)
            await asyncio.sleep(fault.lasts_s)
            await asyncio.to_thread(fault.mend, made, number)
            await load.answers(BETWEEN)
        await load.no_money(CLIENTS // 2)


# ---------------------------------------------------------------- what must hold then


def with_budgets(made: Cluster, *, spent: int) -> None:
    """All four allow so much more. It counts in every worker within a second."""
    limit = float(Decimal(spent) / PICO + BUDGET)
    for guardrail in made.manage(made.limited, "GET", "/v1/guardrails"):
        made.manage(made.limited, "PATCH", f"/v1/guardrails/{guardrail['id']}", {"limit": limit})


def figures(made: Cluster) -> list[tuple[Decimal, Decimal]]:
    """Used and held, of every budget."""
    path = f"/v1/guardrails/explain?api_key_hash={digest(made.limited.live)}&user={USER}"
    return [(one["used"], one["held"]) for one in made.manage(made.limited, "GET", path)["limits"]]


def check_answers(heard: list[Heard], records: dict[str, Record]) -> int:
    """Each whole answer has its record, with the usage and the cost that the client was told; how many there are."""
    whole = {answer.id: answer for answer in heard if answer.success}
    assert len(whole) == sum(answer.success for answer in heard)
    assert not whole.keys() - records.keys(), "records are lost"
    for record_id, answer in whole.items():
        assert record_id is not None
        record, usage = records[record_id], answer.usage
        assert usage is not None
        assert record.status == "success"
        assert record.usage.completion_tokens == usage["completion_tokens"]
        assert record.usage.prompt_tokens == usage["prompt_tokens"]
        assert record.cost == usage["total_tokens"] * PICO // 10_000
    # What was refused is there at most once, and as what it was.
    refused = [answer.id for answer in heard if answer.whole and not answer.success and answer.status in (402, 503)]
    assert all(records[one].status == "rejected" for one in refused if one in records)
    return len(whole)


def spend_the_rest(made: Cluster) -> list[Heard]:
    """Until both gateways refuse while nothing runs: what one has leased and does not use comes back in a moment. What
    was answered."""
    heard = ask_both(made)
    while any(one.success for one in heard[-len(made.sides) :]):
        wait_until(lambda: not any(held for _, held in figures(made)))
        heard += ask_both(made)
    return heard


def check_budgets(made: Cluster, before: Contents, after: Contents) -> int:
    """No budget was passed but by overages, nothing is held back, and all say the same as the records; what this round
    spent."""
    spent = after.spent - before.spent
    assert BUDGET * PICO - HELD * PICO < spent <= BUDGET * PICO + after.overage - before.overage
    assert figures(made) == [(Decimal(after.spent) / PICO, Decimal(0))] * len(TARGETS)
    return spent


def check_refused_until_raised(made: Cluster, spent: int) -> None:
    """Each gateway refuses the next request, and lets it pass when the budgets are raised."""
    for refused in ask_both(made):
        assert (refused.status, refused.errors[0]["code"]) == (402, "credit_limit_exceeded")
    with_budgets(made, spent=spent)
    wait_until(lambda: all(heard.success for heard in ask_both(made)))


def ask_both(made: Cluster) -> list[Heard]:
    """One request to each gateway, at once."""

    async def ask() -> list[Heard]:
        return await asyncio.gather(*(made.ask(number) for number in range(len(made.sides))))

    return asyncio.run(ask())


def tell(fault: Fault, whole: int, records: dict[str, Record], spent: int, overage: int) -> None:
    statuses = Counter(record.status for record in records.values())
    told: dict[str, Any] = {
        "whole answers": whole,
        "records": len(records),
        **{f"of them {status}": count for status, count in sorted(statuses.items())},
        "lost": 0,
        "doubled": 0,
        f"spent of ${BUDGET}": f"{Decimal(spent) / PICO:.4f}",
        "of that told overage": f"{Decimal(overage) / PICO:.4f}",
    }
    sys.stdout.write(f"{fault.name} ({fault.times}x)\n")
    sys.stdout.write("".join(f"{name:>26}  {figure}\n" for name, figure in told.items()))
