"""How fast summaries are, beside the roll-ups and columns of a hundred million records.

The records themselves are not made: of each closed day only its columns are, which is all that a summary over whole
days reads; of the last day, which is not closed, half is there as roll-ups, and
folded up to half an hour before. Run as `python -m bench.summaries`; with
`--days` and `--records-a-day` it is as small as you like. Needs the extra `analytics`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import apsw
import numpy as np

from arouter.domain.activity import Dimension, Filters, Order, Scope, SummaryQuery
from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.usage import Usage
from arouter.store.buckets import DAY_US, SLOTS_OF_DAY
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.columns.folding import Table, fold
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, ROLLUP_KEY, ROLLUP_SUMS

LAST_DAY = 20_770
MODELS, KEYS = 20, 5
REPEATS = 5
ORGANIZATION = "org_0123456789abcdef"

Columns = dict[str, np.ndarray]


def day_of(
    rng: np.random.Generator, day: int, records: int, users: np.ndarray, numbers: dict[str, list[int]]
) -> Columns:
    """The roll-ups of one day with so many records."""
    slots = rng.integers(0, SLOTS_OF_DAY, records)
    who = rng.choice(len(users), records, p=users) + 1
    model = np.minimum(rng.geometric(0.2, records), MODELS) - 1
    # A user is with one key, mostly.
    key = (who + (rng.random(records) < 0.1)) % KEYS
    status = (rng.random(records) < 0.02).astype(np.int64)
    prompt = rng.integers(10, 4_000, records)
    completion = rng.integers(1, 1_500, records)
    cost = prompt * 2_500_000 + completion * 10_000_000
    code = (((slots * (len(users) + 1) + who) * MODELS + model) * KEYS + key) * 2 + status
    order = np.argsort(code)
    code = code[order]
    starts = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))

    def added(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values[order], starts)

    first = order[starts]
    ones = np.ones(records, dtype=np.int64)
    size = len(starts)
    sums = {
        "requests": added(ones),
        "errors": added(status),
        "prompt_tokens": added(prompt),
        "completion_tokens": added(completion),
        "cached_tokens": added(prompt // 3),
        "reasoning_tokens": added(completion // 4),
        "total_tokens": added(prompt + completion),
        "cost_units": added(cost // 1_000_000),
        "cost_rest": added(cost % 1_000_000),
        "requests_without_usage": np.zeros(size, dtype=np.int64),
        "requests_without_price": np.zeros(size, dtype=np.int64),
        "latency_us": added(rng.integers(200_000, 9_000_000, records)),
        "requests_with_latency": added(ones),
    }
    keys = {
        "slot": slots[first] + day * SLOTS_OF_DAY,
        "organization_no": np.full(size, numbers["organization"][0]),
        "workspace_no": np.full(size, numbers["workspace"][0]),
        "key_no": np.array(numbers["key"])[key[first]],
        "user_no": who[first],
        "model_no": np.array(numbers["model"])[model[first]],
        "requested_model_no": np.array(numbers["model"])[model[first]],
        "provider_no": np.array(numbers["provider"])[model[first] % 4],
        "endpoint_no": np.full(size, numbers["endpoint"][0]),
        "status_no": np.array(numbers["status"])[status[first]],
    }
    assert (*keys,) == ROLLUP_KEY
    assert (*sums,) == ROLLUP_SUMS
    return keys | sums


def fill(path: str, days: int, records: int, user_count: int) -> None:
    """Names, users, the columns of all days but the last, and half of that."""
    connection = apsw.Connection(path)
    connection.execute("PRAGMA synchronous = OFF")
    names: dict[str, list[int]] = {}
    with connection:
        for kind, texts in {
            "organization": [ORGANIZATION],
            "workspace": ["ws_0123456789abcdef"],
            "key": [f"{number:064x}" for number in range(KEYS)],
            "model": [f"vendor/model-{number}" for number in range(MODELS)],
            "provider": [f"provider-{number}" for number in range(4)],
            "endpoint": ["/v1/chat/completions"],
            "status": ["success", "upstream_error", "rejected"],
        }.items():
            names[kind] = []
            for text in texts:
                connection.execute("INSERT INTO names (text) VALUES (?)", (text,))
                names[kind].append(connection.last_insert_rowid())
        connection.executemany(
            "INSERT INTO end_users (no, organization_no, name) VALUES (?, ?, ?)",
            ((number + 1, names["organization"][0], f"user_{number}") for number in range(user_count)),
        )
    weights = 1 / np.arange(1, user_count + 1)
    weights /= weights.sum()
    rng = np.random.default_rng(7)
    places = ", ".join("?" * len(ROLLUP_COLUMNS))
    sizes: dict[Table, list[int]] = {table: [0, 0] for table in Table}
    rollups = 0
    made_s = 0.0
    for day in range(LAST_DAY - days + 1, LAST_DAY + 1):
        columns = day_of(rng, day, records, weights, names)
        rollups += len(columns["slot"])
        keep = columns["slot"] < day * SLOTS_OF_DAY + (SLOTS_OF_DAY // 2 if day == LAST_DAY else 1)
        table = np.stack([columns[name][keep] for name in ROLLUP_COLUMNS], axis=1)
        if day < LAST_DAY:
            table = table[:1]
        with connection:
            connection.executemany(f"INSERT INTO rollups VALUES ({places})", map(tuple, table.tolist()))
            if day == LAST_DAY:
                break
            started = time.perf_counter()
            blocks = [*fold(columns)]
            made_s += time.perf_counter() - started
            for block in blocks:
                sizes[block.table][0] += 1
                sizes[block.table][1] += len(block.data)
                connection.execute(
                    "INSERT INTO day_blocks (claim, kind, first_user_no, data) VALUES (?, ?, ?, ?)",
                    (day, int(block.table), block.first_user_no, block.data),
                )
            connection.execute(
                "INSERT INTO folded_days VALUES (?, ?, ?, ?, 0, 1)",
                (day, names["organization"][0], day, SLOTS_OF_DAY),
            )
    connection.close()
    print(f"{days * records:,} records, {rollups:,} roll-ups, {made_s / (days - 1):.2f} s to fold a day in memory")
    for which, (count, size) in sizes.items():
        print(f"  {which.name.lower():8} {count / (days - 1):8,.0f} blocks, {size / (days - 1) / 1e6:7.2f} MB a day")


def queries(days: int) -> dict[str, SummaryQuery]:
    scope = Scope(organization_id=ORGANIZATION)
    last = LAST_DAY * DAY_US

    def since(count: int) -> Filters:
        return Filters(start_us=last - count * DAY_US)

    by_cost = Order(by="cost", descending=True)
    only_sums = frozenset({"requests", "cost"})
    of_user = {
        f"{name} by day and model, {days} days": SummaryQuery(
            scope=scope,
            filters=Filters(users=(user,), start_us=last - days * DAY_US, end_us=last),
            group_by=(Dimension.DAY, Dimension.MODEL),
        )
        for name, user in (
            ("the first user", "user_0"),
            ("the 1,000th user", "user_999"),
            ("the 100,000th", "user_99999"),
        )
    }
    return {
        **of_user,
        "top 100 users, 30 closed days": SummaryQuery(
            scope=scope,
            filters=Filters(start_us=last - 30 * DAY_US, end_us=last),
            group_by=(Dimension.USER,),
            order=by_cost,
            limit=100,
        ),
        "top 100 users, 30 days and today": SummaryQuery(
            scope=scope, filters=since(30), group_by=(Dimension.USER,), order=by_cost, limit=100
        ),
        f"hours, {days} closed days, without users": SummaryQuery(
            scope=scope,
            filters=Filters(start_us=last - days * DAY_US, end_us=last),
            group_by=(Dimension.HOUR,),
            metrics=only_sums,
        ),
        f"hours, {days} closed days, with users": SummaryQuery(
            scope=scope, filters=Filters(start_us=last - days * DAY_US, end_us=last), group_by=(Dimension.HOUR,)
        ),
        "hours in Kathmandu, 30 days and today, without users": SummaryQuery(
            scope=scope, filters=since(30), group_by=(Dimension.HOUR,), metrics=only_sums, timezone="Asia/Kathmandu"
        ),
        "models, 30 closed days, with users": SummaryQuery(
            scope=scope, filters=Filters(start_us=last - 30 * DAY_US, end_us=last), group_by=(Dimension.MODEL,)
        ),
        "days in Berlin, 30 closed days, with users": SummaryQuery(
            scope=scope,
            filters=Filters(start_us=last - 30 * DAY_US, end_us=last),
            group_by=(Dimension.DAY,),
            timezone="Europe/Berlin",
        ),
        "one key by day, 30 days and today, without users": SummaryQuery(
            scope=Scope(organization_id=ORGANIZATION, key_hash=f"{1:064x}"),
            filters=since(30),
            group_by=(Dimension.DAY,),
            metrics=only_sums,
        ),
        "everything, with users": SummaryQuery(scope=scope),
    }


async def busy(store: SqliteStore, a_second: int, waits: list[float]) -> None:
    """Records so many requests a second, and notes how long each waits."""
    number = 0
    started = time.perf_counter()
    pending: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        at = LAST_DAY * DAY_US + DAY_US // 2 + number * 1_000_000 // a_second
        opening = Opening(
            id=f"gen-{number}", request_id="req", created_at_us=at, organization_id=ORGANIZATION,
            workspace_id="ws_0123456789abcdef", key_hash=f"{number % KEYS:064x}", user=f"user_{number * 7919 % 5000}",
            endpoint="/v1/chat/completions", requested_model="vendor/model-1", streamed=False,
        )  # fmt: skip
        record = Record(
            opening=opening, completed_at_us=at, status=Status.SUCCESS, http_status=200, model="vendor/model-1",
            provider="provider-1", usage=Usage(input_tokens=9, output_tokens=5), usage_source=UsageSource.PROVIDER,
        )  # fmt: skip
        begun = time.perf_counter()
        await store.ledger.close(record)
        waits.append(time.perf_counter() - begun)

    while True:
        due = int((time.perf_counter() - started) * a_second)
        while number < due:
            task = asyncio.ensure_future(one(number))
            pending.add(task)
            task.add_done_callback(pending.discard)
            number += 1
        await asyncio.sleep(0.002)


async def measure(path: str, days: int, a_second: int) -> None:
    store = SqliteStore.open(path, clock=lambda: LAST_DAY * DAY_US + DAY_US // 2)
    await store.start()
    waits: list[float] = []
    writing = asyncio.ensure_future(busy(store, a_second, waits)) if a_second else None
    for day in await store.days_to_fold(LAST_DAY * DAY_US + DAY_US // 2):
        started = time.perf_counter()
        await store.fold(day, 0)
        print(f"{day.quarters} quarters of the last day folded in {time.perf_counter() - started:.2f} s")
    await asyncio.sleep(2 if a_second else 0)
    alone, waits[:] = [*waits], []
    print(f"{'summary':52} {'best':>7} {'median':>7}  ms; groups")
    for name, query in queries(days).items():
        took = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            answer = await store.ledger.summary(query)
            took.append((time.perf_counter() - started) * 1000)
        print(f"{name:52} {min(took):7.0f} {statistics.median(took):7.0f}  {answer.groups:,}")
    if writing is not None:
        writing.cancel()
        for what, each in (("alone", alone), ("beside them", waits)):
            cuts = statistics.quantiles(each, n=100)
            print(
                f"recording {a_second} a second {what}: wait p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms"
            )
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=91)
    parser.add_argument("--records-a-day", type=int, default=1_100_000)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--recording", type=int, default=0, metavar="N", help="records a second meanwhile")
    parser.add_argument("--keep", metavar="FILE", help="the database: used if it is there, else made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.keep or str(Path(folder) / "arouter.db")
        if not Path(path).exists():
            SqliteStore.open(path, clock=lambda: 0)
            fill(path, arguments.days, arguments.records_a_day, arguments.users)
        asyncio.run(measure(path, arguments.days - 1, arguments.recording))


if __name__ == "__main__":
    main()
