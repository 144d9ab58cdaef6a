"""Questions to the ledger, timed: `python -m bench.activity.asking --folder DIR --part pages|sums`.

They go through the store's protocol, in this process alone. It prints a line of JSON for each kind of question.
"""

import argparse
import asyncio
import dataclasses
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from arouter.domain.activity import ActivityQuery, Cursor, Dimension, Filters, Order, Scope, SummaryQuery
from arouter.domain.windows import DAY_US
from arouter.engine.clock import SystemClock
from arouter.sandbox.history.columns import History
from arouter.store.base import Ledger
from arouter.store.sqlite import SqliteStore
from arouter.wiring.heap import settle_heap
from bench.activity.world import DATABASE, NOTE, World, listed_prices

USERS = 200
"""Of whom a page is read, drawn in each way."""
HEAVY = 60
LIGHT = 100
REPEATED = 60
"""Times that the same question is asked."""
DEEP_PAGES = 1_000
PAGE = 100
_LEAST_QUESTIONS = 3
_WALKED = 1_000
_DEEP_PLACES = 40


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of question."""

    name: str
    what: str
    asked: int
    p50_ms: float
    p95_ms: float
    most_ms: float
    goal_ms: float | None = None
    """For p95."""

    @classmethod
    def of(cls, name: str, what: str, times_ms: list[float], goal_ms: float | None) -> "Answered":
        p50, p95 = np.percentile(times_ms, [50, 95], method="higher").tolist()
        return cls(
            name=name, what=what, asked=len(times_ms), p50_ms=p50, p95_ms=p95, most_ms=max(times_ms), goal_ms=goal_ms
        )


Question = Callable[[], Awaitable[object]]


class Asking:
    """Asks one question after the other, and times them."""

    def __init__(self, ledger: Ledger, world: World, seconds: float) -> None:
        self._ledger = ledger
        self._world = world
        self._seconds = seconds
        self._scope = Scope(organization_id=world.tenants[0].organization_id)
        history = History(world.plans[0], listed_prices())
        people = history.people
        days = world.size.days
        self._names = history.names
        there = np.minimum(people.last_day, days) - np.maximum(people.first_day, 0)
        self._expected = people.weight * np.maximum(there, 0)
        self._random = np.random.default_rng(world.size.seed)

    # ---------------------------------------------------------------- pages

    async def pages(self) -> None:
        """Newest first."""
        number = len(self._names)
        uniform = self._random.integers(0, number, USERS)
        weighted = self._random.choice(number, USERS, p=self._expected / self._expected.sum())
        for way, users, goal in (("as likely as any other", uniform, 10.0), ("drawn by weight", weighted, 10.0)):
            questions = [self._page(Filters(users=(self._names[user],))) for user in users]
            await self._time(f"user page, {way}", f"newest {PAGE} of a user {way}", questions, goal)
        heaviest = self._names[int(np.argmax(self._expected))]
        for name, filters in (("the organization", Filters()), ("the heaviest user", Filters(users=(heaviest,)))):
            newest = [self._page(filters)] * REPEATED
            await self._time(f"newest page, {name}", f"newest {PAGE} of {name}", newest, None)
            # What was recorded meanwhile is left out: a first page and a deep one of the same days are compared.
            past = dataclasses.replace(filters, end_us=self._world.end_us)
            first = [self._page(past)] * REPEATED
            await self._time(f"first page, {name}", f"newest {PAGE} of {name} in the past", first, None)
            places = await self._walk(past)
            if places:
                deep = [self._page(past, after) for after in places]
                what = f"{PAGE} of {name} in the past, {DEEP_PAGES:,} pages deep"
                await self._time(f"deep page, {name}", what, deep, None)

    def _page(self, filters: Filters, after: Cursor | None = None) -> Question:
        query = ActivityQuery(scope=self._scope, filters=filters, limit=PAGE, after=after)
        return lambda: self._ledger.page(query)

    async def _walk(self, filters: Filters) -> list[Cursor]:
        """Places that deep, and beyond; none if there are not so many records."""
        places: list[Cursor] = []
        query = ActivityQuery(scope=self._scope, filters=filters, limit=_WALKED)
        walked = 0
        while len(places) < _DEEP_PLACES:
            page = await self._ledger.page(query)
            walked += len(page.rows)
            if page.next_cursor is None:
                break
            query = dataclasses.replace(query, after=page.next_cursor)
            if walked >= DEEP_PAGES * PAGE:
                places.append(page.next_cursor)
        return places

    # ---------------------------------------------------------------- sums

    async def sums(self) -> None:
        """By users, days and hours."""
        start_us, end_us = self._world.start_us, self._world.end_us
        order = np.argsort(-self._expected)
        light = self._random.integers(0, len(order), LIGHT)
        for way, users in (("heavy", order[:HEAVY]), ("light", light)):
            questions = [
                self._summary(
                    Filters(users=(self._names[user],), start_us=start_us, end_us=end_us),
                    Dimension.DAY,
                    Dimension.MODEL,
                )
                for user in users
            ]
            what = f"one user by day and model over {self._world.size.days} days, {way} users"
            await self._time(f"user sums, {way}", what, questions, 50.0)
        lately = Filters(start_us=max(start_us, end_us - 30 * DAY_US), end_us=end_us)
        top = [self._summary(lately, Dimension.USER, limit=100)] * REPEATED
        await self._time("top users", "top 100 users by cost over 30 days", top, 300.0)
        hours = [self._summary(Filters(start_us=start_us, end_us=end_us), Dimension.HOUR)] * REPEATED
        await self._time("hours", f"hourly totals over {self._world.size.days} days", hours, 300.0)

    def _summary(self, filters: Filters, *group_by: Dimension, limit: int | None = None) -> Question:
        order = None if limit is None else Order(by="cost", descending=True)
        query = SummaryQuery(scope=self._scope, filters=filters, group_by=group_by, order=order, limit=limit)
        return lambda: self._ledger.summary(query)

    # ---------------------------------------------------------------- time

    async def _time(self, name: str, what: str, questions: Iterable[Question], goal_ms: float | None) -> None:
        """Ask until the questions or the time are over, and tell."""
        times_ms: list[float] = []
        end = time.monotonic() + self._seconds
        for question in questions:
            started = time.perf_counter()
            await question()
            times_ms.append((time.perf_counter() - started) * 1e3)
            if time.monotonic() > end and len(times_ms) >= _LEAST_QUESTIONS:
                break
        sys.stdout.buffer.write(msgspec.json.encode(Answered.of(name, what, times_ms, goal_ms)) + b"\n")
        sys.stdout.buffer.flush()


async def main(folder: Path, part: str, seconds: float) -> None:
    world = msgspec.json.decode((folder / NOTE).read_bytes(), type=World)
    store = SqliteStore.open(str(folder / DATABASE), clock=SystemClock().now_us)
    await store.start()
    asking = Asking(store.ledger, world, seconds)
    settle_heap()  # As a gateway does: the collector has nothing to walk through that was there before.
    await (asking.pages() if part == "pages" else asking.sums())
    await store.close()


def lines(output: Iterable[str]) -> Iterator[Answered]:
    """What such a process printed."""
    for line in output:
        yield msgspec.json.decode(line, type=Answered)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--part", required=True, choices=("pages", "sums"))
    parser.add_argument("--seconds", type=float, default=20.0, help="for each kind of question, at most")
    options = parser.parse_args()
    asyncio.run(main(options.folder, options.part, options.seconds))
