"""`python -m bench.clickhouse`: the copy in ClickHouse at 50 million records, in the engine within this process.

A pretend past is generated day by day and inserted as the copier inserts it: the same columns, the same tables. The
sums are added up beside that from the generated numbers, without ClickHouse. Then the questions are asked as the
gateway asks them, and every sum and every page is compared, to the last digit. Exits with 1 if anything differs.
"""

import argparse
import asyncio
import math
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from arouter.domain.activity import ActivityQuery, Dimension, Filters, Order, Scope, Summary, SummaryQuery
from arouter.domain.record import Status
from arouter.domain.windows import DAY_US
from arouter.sandbox.history.columns import STATUSES, UNKNOWN, Day, History
from arouter.sandbox.history.population import APPLICATIONS, MODELS, WORKSPACES, Owner, Plan
from arouter.sandbox.history.texts import as_texts, generation_letters
from arouter.store.clickhouse.connections import Address, Client, Connections
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.clickhouse.rows import COLUMNS
from arouter.store.clickhouse.schema import ADDED, Place, Tables
from arouter.store.feed import BEGINNING, Position, Stretch
from arouter.store.memory import MemoryStore
from arouter.store.tally import MEASURES
from bench.activity.tables import Tables as ArrowTables
from bench.activity.world import listed_prices, today_us

FOLDER = Path("var/bench/clickhouse")
ORGANIZATION = "org_bench"
SCOPE = Scope(organization_id=ORGANIZATION)
SAMPLED = 40
PAGE = 100
REPEATS = 5
MOST_MEMORY_BYTES = 8_000_000_000
"""For the insert of a day."""

Numbers = np.ndarray[Any, np.dtype[np.int64]]


# ---------------------------------------------------------------- what must come out


@dataclass
class Expected:
    """Sums of what was generated, a value of `MEASURES` in each column."""

    users: int
    end_us: int = 0
    """Where the last day ends."""
    by_user: Numbers = field(init=False)
    by_model: Numbers = field(init=False)
    by_status: Numbers = field(init=False)
    by_day: dict[int, list[int]] = field(default_factory=dict)
    pages: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    """The records of some users, oldest first."""

    def __post_init__(self) -> None:
        # One place more, for none.
        self.by_user = np.zeros((self.users + 1, len(MEASURES)), np.int64)
        self.by_model = np.zeros((len(MODELS) + 1, len(MEASURES)), np.int64)
        self.by_status = np.zeros((len(STATUSES), len(MEASURES)), np.int64)

    def add(self, day: Day, measures: Numbers, sampled: Numbers) -> None:
        np.add.at(self.by_user, day.asked.user, measures)  # UNKNOWN is -1, the last place
        np.add.at(self.by_model, day.ended.model, measures)
        np.add.at(self.by_status, day.ended.status, measures)
        self.by_day[int(day.asked.created_at_us[0]) // DAY_US] = [int(each) for each in measures.sum(axis=0)]
        places = np.flatnonzero(np.isin(day.asked.user, sampled))
        ids = as_texts(generation_letters(day.id_high[places], day.id_low[places]))
        for user, at_us, record_id in zip(
            day.asked.user[places].tolist(), day.asked.created_at_us[places].tolist(), ids, strict=True
        ):
            self.pages.setdefault(user, []).append((at_us, record_id))

    def total(self) -> list[int]:
        return [sum(row[place] for row in self.by_day.values()) for place in range(len(MEASURES))]


def measures_of(day: Day) -> Numbers:
    """What each record adds to `MEASURES`: the rules of `arouter.store.tally`, on whole arrays."""
    meters = day.spent.meters

    def counted(*names: str) -> Numbers:
        made: Numbers = sum(
            (np.where(meters[name] == UNKNOWN, 0, meters[name]) for name in names if name in meters),
            np.zeros(len(day), np.int64),
        )
        return made

    prompt = counted("input_tokens", "cache_read_tokens", "cache_write_tokens")
    completion = counted("output_tokens")
    total = prompt + completion
    nothing_told = np.all([column == UNKNOWN for name, column in meters.items() if name != "reasoning_tokens"], axis=0)
    rejected = day.ended.status == STATUSES.index(Status.REJECTED)
    unpriced = day.cost == UNKNOWN
    latency = day.spent.latency_us
    columns = {
        "requests": np.ones(len(day), np.int64),
        "errors": day.ended.status != STATUSES.index(Status.SUCCESS),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cached_tokens": counted("cache_read_tokens"),
        "reasoning_tokens": counted("reasoning_tokens"),
        "total_tokens": total,
        "cost": np.where(unpriced, 0, day.cost),
        "requests_without_usage": nothing_told & ~rejected,
        "requests_without_price": unpriced & (total > 0),
        "latency_us": np.where(latency == UNKNOWN, 0, latency),
        "requests_with_latency": latency != UNKNOWN,
    }
    return np.stack([columns[name].astype(np.int64) for name in MEASURES], axis=1)


# ---------------------------------------------------------------- what goes in


def owner() -> Owner:
    return Owner(
        organization_id=ORGANIZATION,
        workspace_ids=tuple(f"ws_{number:016x}" for number in range(WORKSPACES)),
        key_hashes=tuple(f"{number:064x}" for number in range(len(APPLICATIONS))),
    )


def table_of(made: ArrowTables, day: Day, measures: Numbers) -> pa.Table:
    """A day as the copy's columns; what none of its records has is left out."""
    table = made.of(day)
    table = table.append_column("written_at_us", table.column("completed_at_us"))
    for name in ADDED:
        column = measures[:, MEASURES.index(name.removeprefix("added_"))]
        table = table.append_column(name, pa.array(np.ascontiguousarray(column)))
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        elif pa.types.is_dictionary(column.type):
            # A dictionary may have a text twice, which ClickHouse refuses.
            column = column.cast(pa.string())
        columns[name] = column
    assert set(columns) <= {*COLUMNS}, set(columns) - {*COLUMNS}
    return pa.table(columns)


def fill(client: Any, tables: Tables, plan: Plan, *, again: bool, most_s: float) -> tuple[Expected, list[str], float]:
    """The copy of a whole past, unless it is there; what must come out, the users' names, and the seconds that it
    took."""
    history = History(plan, listed_prices())
    names = history.names
    made = ArrowTables(history, owner())
    expected = Expected(plan.users)
    sampled = np.random.default_rng(7).choice(plan.users, SAMPLED, replace=False).astype(np.int64)
    count = 0
    started = time.monotonic()

    def insert(day: Day, table: pa.Table) -> None:
        client.insert_arrow(
            tables.records,
            table,
            database=tables.place.database,
            settings={
                "insert_deduplication_token": f"day-{day.number}",
                "async_insert": 0,
                "max_insert_threads": 2,
                "max_memory_usage": MOST_MEMORY_BYTES,
            },
        )

    with ThreadPoolExecutor(1) as pool:
        inserting: Future[None] | None = None
        for day in history:
            measures = measures_of(day)
            expected.add(day, measures, sampled)
            table = None if again else table_of(made, day, measures)
            if inserting is not None:
                inserting.result()
            if table is not None:
                # The next day is made meanwhile.
                inserting = pool.submit(insert, day, table)
            count += len(day)
            expected.end_us = plan.start_us + (day.number + 1) * DAY_US
            say(f"\r{count:,} records, {count / (time.monotonic() - started):,.0f} a second ", end="")
            if time.monotonic() - started > most_s:
                break
        if inserting is not None:
            inserting.result()
    say("")
    return expected, names, time.monotonic() - started


def say(text: str, end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


# ---------------------------------------------------------------- what is asked


def groups(summary: Summary) -> dict[str | None, list[int]]:
    return {row.group[0]: [getattr(row.totals, name) for name in MEASURES] for row in summary.rows}


def rows(sums: Numbers, names: Sequence[str | None]) -> dict[str | None, list[int]]:
    """Those that had any request."""
    return {name: [int(each) for each in row] for name, row in zip(names, sums, strict=True) if row[0]}


class Asking:
    def __init__(self, reader: ClickHouseReader, plan: Plan) -> None:
        self.reader = reader
        self.plan = plan
        self.differing: list[str] = []

    async def summary(self, query: SummaryQuery) -> Summary:
        (found,) = await self.reader.summaries(await self.reader.state(), [query])
        return found

    def compare(self, what: str, found: object, expected: object) -> None:
        say(f"{what}: {'equal' if found == expected else 'DIFFERENT'}")
        if found != expected:
            self.differing.append(what)

    async def timed(self, what: str, queries: Sequence[Callable[[], Any]]) -> None:
        times = []
        for query in queries:
            started = time.perf_counter()
            await query()
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
        say(f"{what}: median {statistics.median(times):.0f} ms, p99 {p99:.0f} ms, of {len(times)}")

    async def sums(self, expected: Expected, names: Sequence[str]) -> None:
        total = await self.summary(SummaryQuery(scope=SCOPE))
        self.compare("total", [getattr(total.totals, name) for name in MEASURES], expected.total())
        self.compare("users", total.totals.users, int((expected.by_user[:-1, 0] > 0).sum()))
        by = {
            Dimension.USER: rows(expected.by_user, [*names, None]),
            Dimension.MODEL: rows(expected.by_model, [*(model.id for model in MODELS), None]),
            Dimension.STATUS: rows(expected.by_status, [status.value for status in STATUSES]),
        }
        for dimension, wanted in by.items():
            found = await self.summary(SummaryQuery(scope=SCOPE, group_by=(dimension,)))
            self.compare(f"{len(wanted):,} sums by {dimension.value}", groups(found), wanted)
        for timezone in ("UTC", "Asia/Kolkata"):
            found = await self.summary(SummaryQuery(scope=SCOPE, group_by=(Dimension.DAY,), timezone=timezone))
            self.compare(
                f"sums by day in {timezone}",
                [sum(each) for each in zip(*groups(found).values(), strict=True)],
                expected.total(),
            )
            if timezone == "UTC":
                self.compare("each day", [*groups(found).values()], [row for _, row in sorted(expected.by_day.items())])
        costs = await self.reader.user_costs(await self.reader.state(), SCOPE, Filters())
        amounts = sorted((int(row[MEASURES.index("cost")]) for row in expected.by_user[:-1] if row[0]), reverse=True)
        self.compare("costs of users", [*costs], amounts)

    async def pages(self, expected: Expected, names: Sequence[str]) -> None:
        for user, records in expected.pages.items():
            query = ActivityQuery(scope=SCOPE, filters=Filters(users=(names[user],)), limit=PAGE)
            page = await self.reader.page(await self.reader.state(), query)
            newest = sorted(records, reverse=True)[:PAGE]
            if [(row.record.opening.created_at_us, row.record.opening.id) for row in page.rows] != newest:
                self.differing.append(f"the page of {names[user]}")
        self.compare(f"pages of {len(expected.pages)} users", bool(self.differing), False)

    async def speed(self, expected: Expected, names: Sequence[str]) -> None:
        state = await self.reader.state()
        busy = np.argsort(-expected.by_user[:-1, 0])[:SAMPLED].tolist()

        def page(user: int) -> Callable[[], Any]:
            query = ActivityQuery(scope=SCOPE, filters=Filters(users=(names[user],)), limit=PAGE)
            return lambda: self.reader.page(state, query)

        def summary(**wanted: Any) -> Callable[[], Any]:
            return lambda: self.summary(SummaryQuery(scope=SCOPE, **wanted))

        top = {"group_by": (Dimension.USER,), "order": Order(by="cost", descending=True), "limit": 20}
        end_us = expected.end_us
        month = Filters(start_us=end_us - 30 * DAY_US, end_us=end_us)
        zone = Filters(start_us=month.start_us and month.start_us + 19_800_000_000, end_us=end_us)
        for _ in range(2):  # the first time warms the caches up
            await self.timed(f"page of {PAGE} of any user", [page(user) for user in expected.pages])
        await self.timed(f"page of {PAGE} of the busiest users", [page(user) for user in busy])
        for what, filters in (("ever", Filters()), ("of 30 days", month), ("of 30 days that begin at 05:30", zone)):
            await self.timed(f"top users {what}", [summary(filters=filters, **top)] * REPEATS)
        by_day = (Dimension.MODEL, Dimension.DAY)
        await self.timed("sums by model and day", [summary(group_by=by_day)] * REPEATS)
        await self.timed("sums by model and day in Kolkata", [summary(group_by=by_day, timezone="Asia/Kolkata")] * 2)
        await self.timed(
            "cost by model and day",
            [summary(group_by=(Dimension.MODEL, Dimension.DAY), metrics=frozenset({"cost"}))] * REPEATS,
        )
        await self.timed(
            "newest records of all", [lambda: self.reader.page(state, ActivityQuery(scope=SCOPE))] * REPEATS
        )


# ---------------------------------------------------------------- all of it


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000_000)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--minutes", type=float, help="load for so long, and ask what is there then")
    parser.add_argument("--keep", action="store_true", help="leave the engine's files there")
    parser.add_argument("--again", action="store_true", help="ask those that were left there, of the same size")
    return parser.parse_args()


async def run(wanted: argparse.Namespace) -> int:
    engine = wanted.folder / "engine"
    if not wanted.again:
        shutil.rmtree(engine, ignore_errors=True)
        engine.mkdir(parents=True)
    plan = Plan(
        seed=wanted.seed,
        start_us=today_us() - wanted.days * DAY_US,
        days=wanted.days,
        users=wanted.users,
        records=wanted.records,
    )
    connections = Connections(Address(url=f"chdb:{engine.resolve()}"), threads=1)
    store = MemoryStore(clock=lambda: plan.end_us)
    copier = Copier(connections, Place(database="arouter"), store.feed)
    tables = (await (copier.state() if wanted.again else copier.make_anew())).tables

    def build(client: Client) -> tuple[Expected, list[str], float]:
        most_s = 60 * wanted.minutes if wanted.minutes else math.inf
        return fill(client._client, tables, plan, again=wanted.again, most_s=most_s)  # type: ignore[attr-defined]

    expected, names, taken = await connections.run(build)
    records = expected.total()[0]
    say(f"{records:,} records in {taken:,.0f} s")
    await connections.run(lambda client: settle(client, tables))
    stretch = Stretch(after=BEGINNING, until=Position(transaction=1), size=records, as_of_us=plan.end_us)
    if not wanted.again:
        await connections.run(lambda client: note(client, tables, stretch))
    size = sum(file.stat().st_size for file in engine.rglob("*") if file.is_file())
    say(f"{size / 1e9:.1f} GB on disk, {size / records:.0f} bytes a record")
    asking = Asking(ClickHouseReader(connections, copier, store.directory), plan)
    await asking.speed(expected, names)
    await asking.sums(expected, names)
    await asking.pages(expected, names)
    connections.close()
    if not wanted.keep:
        shutil.rmtree(engine, ignore_errors=True)
    say("all sums are equal" if not asking.differing else f"DIFFERENT: {', '.join(asking.differing)}")
    return 1 if asking.differing else 0


def settle(client: Client, tables: Tables) -> None:
    """Wait until the engine has merged what it merges by itself."""
    merges = f"SELECT count() FROM system.merges WHERE database = '{tables.place.database}'"
    while client.query(merges, {})[0][0]:
        time.sleep(1)
    parts = (
        f"SELECT count() FROM system.parts WHERE active AND database = '{tables.place.database}' "
        f"AND table = '{tables.records}'"
    )
    say(f"{client.query(parts, {})[0][0]} parts")


def note(client: Client, tables: Tables, stretch: Stretch) -> None:
    """What the copier notes of a stretch that is done."""
    until = stretch.until
    client.command(
        f"INSERT INTO {tables.place.database}.{tables.copied} VALUES "
        f"(1, 1, 0, 0, '', {until.transaction}, {until.record}, '', {stretch.size}, {stretch.as_of_us}, 'bench')",
        {"async_insert": 0},
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parsed())))
