"""What budgets and rates cost a request, and when a change of them holds in every worker.

`python -m bench.guardrails` measures it with 10,000 keys, 1,000 guardrails and 1,000,000 users that have limits of
their own, in a database: the first request of a user, the following ones, the refresh four times a second; and changes
over HTTP beside two workers (`bench.changes`). `python -m bench` runs it, too. A part of `bench.path_cost` is the same
path, counted.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import msgspec

from arouter.domain.guardrails import Target
from arouter.domain.keys import Key
from arouter.domain.limits import Budget, LimitReset, Limits
from arouter.domain.money import Picodollars
from arouter.engine.call import Call
from arouter.engine.routing import Route
from arouter.store.sqlite import SqliteStore
from arouter.wiring.heap import settle_heap
from bench.cases import BY_NAME
from bench.changes import Changes, measure_changes
from bench.limited import MUCH, ORGANIZATION, Limited, budget, make_guardrail
from bench.path_cost import Sample

KEYS, USERS, GUARDRAILS = 10_000, 1_000_000, 1_000
ROUNDS = 5
_ASKED = 20_000
_AT_ONCE = 200
_HOT = 100
_REPEATED = 300
_WRITER = "ledger-writer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """Times of a processor, in microseconds, but for the changes."""

    keys: int
    users: int
    guardrails: int
    first_us: float
    """Of a user's first request, all threads, the keys' first requests among them."""
    first_loop_us: float
    """The event loop's part of it, and the writer's."""
    first_writer_us: float
    leases: float
    """How many of them it needs, on average."""
    following_us: float
    """Of each request after that, headers included."""
    limits: int
    """How many apply to it."""
    refresh_us: float
    """When nothing has changed."""
    changes: Changes | None


def measure_guardrails(folder: Path, users: int, rounds: int) -> Guarded:
    """In this process, and in a gateway of two workers for `rounds` rounds of changes; 0 leaves them out."""
    sample = Sample(BY_NAME["json"], "openai/gpt-4o-mini")
    guarded = asyncio.run(_measure(sample.call, sample.route, folder, users))
    return replace(guarded, changes=measure_changes(folder / "changes", rounds)) if rounds else guarded


async def _measure(sample: Call, route: Route, folder: Path, users: int) -> Guarded:
    store = SqliteStore.open(str(folder / "arouter.db"), clock=_now_us, durability="relaxed")
    await store.start()
    await _fill(store, folder, users)
    limited = Limited(store.directory, store.counters, now_us=_now_us)
    calls = _calls(sample, users)
    await limited.guardian.refresh()
    settle_heap()  # As a gateway does.
    cpu_s = time.process_time()
    await limited.guardian.refresh()
    refresh_us = (time.process_time() - cpu_s) * 1e6
    cpu_s, before = time.process_time(), _of_threads()
    for start in range(0, len(calls), _AT_ONCE):
        await asyncio.gather(*(limited.one(call, [route]) for call in calls[start : start + _AT_ONCE]))
    first_us, after = (time.process_time() - cpu_s) / len(calls) * 1e6, _of_threads()
    leases = len(limited.leasing) / len(calls)
    hot = calls[:_HOT]
    for _ in range(2):
        for call in hot:
            await limited.one(call, [route])
    best_s = float("inf")
    for _ in range(_REPEATED):
        cpu_s = time.thread_time()
        for call in hot:
            await limited.one(call, [route])
        best_s = min(best_s, time.thread_time() - cpu_s)
    guard = await limited.guardian.find(hot[0].key, hot[0].opening.user)
    await limited.end()
    await store.close()

    def each_us(thread: str) -> float:
        return (after[thread] - before.get(thread, 0.0)) / len(calls) * 1e6

    return Guarded(
        keys=KEYS,
        users=users,
        guardrails=GUARDRAILS,
        first_us=first_us,
        first_loop_us=each_us(threading.current_thread().name),
        first_writer_us=each_us(_WRITER),
        leases=leases,
        following_us=best_s / _HOT * 1e6,
        limits=len(guard.slots),
        refresh_us=refresh_us,
        changes=None,
    )


def _of_threads() -> Mapping[str, float]:
    """The processor's time of each thread so far, in seconds."""
    clocks = {one.name: time.pthread_getcpuclockid(one.ident) for one in threading.enumerate() if one.ident is not None}
    return {name: time.clock_gettime(clock) for name, clock in clocks.items()}


async def _fill(store: SqliteStore, folder: Path, users: int) -> None:
    rules = Limits(budget=Budget(limit=Picodollars(MUCH), reset=LimitReset.DAILY), requests_per_minute=10**6)
    for number in range(GUARDRAILS):
        target, target_id = (Target.KEY, f"key-{number}")
        if number < 3:
            target, target_id = (Target.ORGANIZATION, Target.WORKSPACE, Target.EVERY_USER)[number], ""
        named = target_id if target is Target.KEY else ("ws_1" if target is Target.WORKSPACE else None)
        await store.directory.add_guardrail(make_guardrail(target, named, budget()))
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
            limit=Picodollars(MUCH),
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


def lines(guarded: Guarded) -> list[tuple[str, str]]:
    """What was found: in words, and the figure."""
    found = [
        (
            f"a user's first request ({guarded.leases:.1f} leases on average), all threads",
            f"{guarded.first_us:,.1f} µs",
        ),
        ("of that the event loop", f"{guarded.first_loop_us:,.1f} µs"),
        ("of that the database's writer", f"{guarded.first_writer_us:,.1f} µs"),
        (f"a following request, {guarded.limits} limits, headers included", f"{guarded.following_us:,.1f} µs"),
        ("a refresh when nothing has changed", f"{guarded.refresh_us:,.1f} µs"),
    ]
    if (changes := guarded.changes) is not None:
        found += [
            (f"a change holds in both workers, median of {changes.count}", f"{changes.median_s:.3f} s"),
            ("the same, the longest", f"{changes.worst_s:.3f} s"),
        ]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.guardrails", description=__doc__)
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of changes; 0 leaves them out")
    parser.add_argument("--json", action="store_true", help="the figures as JSON, and nothing else")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        guarded = measure_guardrails(Path(folder), options.users, options.rounds)
    if options.json:
        sys.stdout.write(msgspec.json.encode(guarded).decode() + "\n")
    else:
        for what, figure in lines(guarded):
            sys.stdout.write(f"{what:70} {figure:>12}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
