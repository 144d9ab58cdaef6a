"""What budgets and rates cost a request.

`python -m bench.guardrails` measures it with 10,000 keys, 1,000 guardrails and 1,000,000 users that have limits of
their own, in a database: the first request of a user, the following ones, and the refresh four times a second. A part
of `bench.path_cost` is the same path, counted.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import apsw
import msgspec

from arouter.domain.guardrails import Guardrail, Target
from arouter.domain.keys import Key
from arouter.domain.limits import Budget, LimitReset, Limits
from arouter.domain.money import Picodollars
from arouter.domain.price import Rate, RateCard
from arouter.domain.record import Record, Status
from arouter.domain.usage import Usage
from arouter.engine.call import Call, RateTold
from arouter.engine.estimates import Estimates
from arouter.engine.guardian import Guardian, Hold
from arouter.engine.leasing import Leasing
from arouter.engine.routing import Route
from arouter.engine.tasks import Tasks
from arouter.store.base import Counters, Directory
from arouter.store.memory import MemoryStore
from arouter.store.sqlite import SqliteStore
from arouter.web.inference.rate_headers import rate_lines

KEYS, USERS, GUARDRAILS = 10_000, 1_000_000, 1_000
ORGANIZATION = "org_1"
_MUCH = 10**15
_ASKED = 20_000
_AT_ONCE = 200
_HOT = 100

_CARD = RateCard(source="operator", version="1", rates={"input_tokens": Rate(base=1), "output_tokens": Rate(base=2)})


class Client:
    """The part of a reply that a hold talks to."""

    def __init__(self) -> None:
        self.lines = b""

    def tell_rates(self, rates: Callable[[], tuple[RateTold, ...]]) -> None:
        self.lines = rate_lines(rates())


class Limited:
    """Requests that are held and settled."""

    def __init__(self, directory: Directory, counters: Counters, *, now_us: Callable[[], int]) -> None:
        self.leasing = Leasing(counters, now_us=now_us, tasks=Tasks(_failed))
        self.guardian = Guardian(directory, self.leasing, Estimates(_card))
        self._client = Client()

    async def one(self, call: Call, routes: Sequence[Route]) -> None:
        """One request, from its guard to its end."""
        guardian = self.guardian
        user = call.opening.user
        guard = guardian.recall(call.key, user)
        if guard is None:
            guard = await guardian.find(call.key, user)
        if guard.slots:
            held: Hold = await guardian.hold(guard, call, routes, self._client)  # type: ignore[arg-type]
            held.settle(_ended(call))

    def again(self, call: Call, routes: Sequence[Route]) -> None:
        """The same, of one that waits for nothing, outside a loop."""
        work = self.one(call, routes)
        try:
            work.send(None)
        except StopIteration:
            return
        raise AssertionError("it waits")


def limited_part(call: Call, route: Route, limits: Limits | None) -> Callable[[], object]:
    """A part for `bench.path_cost`: a request with these limits on its organization, workspace, key and user."""
    store = MemoryStore(clock=lambda: call.opening.created_at_us)
    limited = Limited(store.directory, store.counters, now_us=lambda: call.opening.created_at_us)
    organization_id = call.opening.organization_id

    async def warm() -> None:
        if limits is not None:
            for target, target_id in (
                (Target.ORGANIZATION, None),
                (Target.WORKSPACE, call.key.workspace_id),
                (Target.KEY, call.key.hash),
                (Target.EVERY_USER, None),
            ):
                await store.directory.add_guardrail(_guardrail(target, target_id, limits, organization_id))
        await limited.guardian.refresh()
        await limited.one(call, [route])

    asyncio.run(warm())
    return lambda: limited.again(call, [route])


def _guardrail(target: Target, target_id: str | None, limits: Limits, organization_id: str = ORGANIZATION) -> Guardrail:
    return Guardrail(
        id=f"grl_{target}_{target_id}",
        organization_id=organization_id,
        name="bench",
        target=target,
        target_id=target_id,
        limits=limits,
        created_at_us=0,
    )


def budget(reset: LimitReset | None = LimitReset.MONTHLY) -> Limits:
    return Limits(budget=Budget(limit=Picodollars(_MUCH), reset=reset))


def _ended(call: Call) -> Record:
    return Record(
        opening=call.opening,
        completed_at_us=0,
        status=Status.SUCCESS,
        http_status=200,
        usage=Usage(input_tokens=10, output_tokens=20),
        cost=Picodollars(40),
    )


def _card(
    provider: str,
    model: str,
    at: datetime,
    service_tier: str | None = None,
    batch: bool = False,
    speed: str | None = None,
) -> RateCard:
    return _CARD


def _failed(name: str, failure: BaseException) -> None:
    raise failure


# ---------------------------------------------------------------- measured


async def _measure(sample: Call, route: Route, folder: Path, users: int) -> None:
    store = SqliteStore.open(str(folder / "arouter.db"), clock=_now_us, durability="relaxed")
    await store.start()
    await _fill(store, folder, users)
    limited = Limited(store.directory, store.counters, now_us=_now_us)
    started_s = time.perf_counter()
    await limited.guardian.refresh()
    _tell("the first refresh", (time.perf_counter() - started_s) * 1e6)
    started_s = time.perf_counter()
    await limited.guardian.refresh()
    _tell("a refresh when nothing has changed", (time.perf_counter() - started_s) * 1e6)
    calls = _calls(sample, users)
    cpu_s = time.process_time()
    for start in range(0, len(calls), _AT_ONCE):
        await asyncio.gather(*(limited.one(call, [route]) for call in calls[start : start + _AT_ONCE]))
    _tell("a user's first request, all threads", (time.process_time() - cpu_s) / len(calls) * 1e6)
    hot = calls[:_HOT]
    for _ in range(2):
        for call in hot:
            await limited.one(call, [route])
    best_s = float("inf")
    for _ in range(300):
        cpu_s = time.thread_time()
        for call in hot:
            await limited.one(call, [route])
        best_s = min(best_s, time.thread_time() - cpu_s)
    guard = await limited.guardian.find(hot[0].key, hot[0].opening.user)
    _tell(f"a following request, {len(guard.slots)} limits, headers included", best_s / _HOT * 1e6)
    await store.close()


async def _fill(store: SqliteStore, folder: Path, users: int) -> None:
    rules = Limits(budget=Budget(limit=Picodollars(_MUCH), reset=LimitReset.DAILY), requests_per_minute=10**6)
    for number in range(GUARDRAILS):
        target, target_id = (Target.KEY, f"key-{number}")
        if number < 3:
            target, target_id = (Target.ORGANIZATION, Target.WORKSPACE, Target.EVERY_USER)[number], ""
        named = target_id if target is Target.KEY else ("ws_1" if target is Target.WORKSPACE else None)
        await store.directory.add_guardrail(_guardrail(target, named, budget()))
    connection = apsw.Connection(str(folder / "arouter.db"))
    with connection:
        connection.executemany(
            "INSERT INTO user_rules (organization_id, name, limits, blocked, updated_at_us, changed)"
            " VALUES (?, ?, ?, 0, 1, ?)",
            (
                (ORGANIZATION, f"user-{number}", msgspec.json.encode(rules).decode(), number + 1)
                for number in range(users)
            ),
        )
    connection.close()


def _calls(sample: Call, users: int) -> list[Call]:
    chance = random.Random(1)
    rates = Limits(requests_per_minute=10**7, tokens_per_minute=10**10)
    keys: list[Key] = [
        replace(
            sample.key,
            hash=f"key-{number}",
            organization_id=ORGANIZATION,
            workspace_id="ws_1",
            limit=Picodollars(_MUCH),
            rate_limit=rates,
        )
        for number in range(KEYS)
    ]
    made = []
    for number in chance.sample(range(users), min(users, _ASKED)):
        key = keys[number % KEYS]
        opening = replace(
            sample.opening,
            created_at_us=_now_us(),
            organization_id=ORGANIZATION,
            workspace_id="ws_1",
            key_hash=key.hash,
            user=f"user-{number}",
        )
        made.append(replace(sample, key=key, opening=opening))
    return made


def _now_us() -> int:
    return time.time_ns() // 1000


def _tell(what: str, microseconds: float) -> None:
    sys.stdout.write(f"{what:55} {microseconds:12,.1f} µs\n")


def main() -> int:
    from bench.path_cost import Sample  # noqa: PLC0415  it imports the parts of this module

    parser = argparse.ArgumentParser(prog="python -m bench.guardrails", description=__doc__)
    parser.add_argument("--users", type=int, default=USERS)
    users = parser.parse_args().users
    from bench.cases import BY_NAME  # noqa: PLC0415

    sample = Sample(BY_NAME["json"], "openai/gpt-4o-mini")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(sample.call, sample.route, Path(folder), users))
    return 0


if __name__ == "__main__":
    sys.exit(main())
