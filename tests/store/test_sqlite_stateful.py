"""SQLite against the reference: the same operations in any order, the same answers to the last digit.

Operations are what happens to a ledger: requests opened and closed, closed twice, closed before they are opened or
after they were recovered, many at once, with some among them that cannot be stored, adjusted, corrected while others
adjust, processes that die, recoveries, a clock that jumps, and a disk that refuses for a while: what was closed
meanwhile is written when it is back, in its order, as if it had come then.
"""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from arouter.domain.activity import (
    METRICS,
    SUMMED_METRICS,
    ActivityQuery,
    Cursor,
    Dimension,
    Filters,
    Order,
    Scope,
    SummaryQuery,
)
from arouter.domain.adjustment import AdjustedMeanwhile, Adjustment, AdjustmentKind
from arouter.domain.attempt import Attempt
from arouter.domain.errors import StorageUnavailable
from arouter.domain.money import Picodollars
from arouter.domain.record import Opening, Record, Status
from arouter.domain.usage import Usage, UsageSource
from arouter.domain.users import UserCursor, UserOrder, UsersQuery
from arouter.store.sqlite import SqliteStore, disk
from tests.conformance.backends import Backend, memory, sqlite
from tests.faults.faulty_disk import FULL, SHORT_WRITE, SYNC_ERROR, WRITE_ERROR, FaultyFileSystem, FaultyOwnFiles

START_US = 1_792_876_500_000_000  # 2026-10-24T21:15Z: the clocks of Europe go back in the night after
HOUR_US = 3_600_000_000

IDS = st.integers(0, 30).map("gen-{:02}".format)
ORGANIZATIONS = st.sampled_from(["org_a", "org_a", "org_b"])
WORKSPACES = st.sampled_from(["ws_a", "ws_b"])
KEYS = st.sampled_from(["key-a", "key-b", "key-c"])
USERS = st.sampled_from([None, "", "alice", "ü", "u\u0308", "\x00", "🙂"])
MODELS = st.sampled_from([None, "openai/gpt-5.4", "anthropic/claude", "fast"])
TIMES = st.integers(0, 40 * 12).map(lambda slot: START_US + slot * HOUR_US // 12)
COUNTS = st.sampled_from([None, 0, 1, 1_000, 10**12])
COSTS = st.sampled_from([None, 0, 1, 999_999, 1_000_001, 2**63 - 1])
TAGS = st.lists(st.sampled_from(["x", "y", ""]), max_size=3).map(tuple)

OPENINGS = st.builds(
    Opening,
    id=IDS,
    request_id=st.just("req"),
    created_at_us=TIMES,
    organization_id=ORGANIZATIONS,
    workspace_id=WORKSPACES,
    key_hash=KEYS,
    user=USERS,
    endpoint=st.sampled_from(["/v1/messages", "/v1/chat/completions"]),
    requested_model=MODELS,
    streamed=st.booleans(),
    session_id=st.sampled_from([None, "s", ""]),
    tags=TAGS,
    asked_bytes=st.sampled_from([None, 0, 1, 4_001]),
    routed_model=MODELS,
)
ATTEMPTS = st.builds(
    Attempt,
    provider=st.sampled_from(["openai", "ü\x00"]),
    model=st.just("m"),
    http_status=st.sampled_from([None, 500]),
    error_code=st.sampled_from([None, "", "upstream_error"]),
    latency_us=st.just(0),
    usage=st.none() | st.builds(Usage, input_tokens=COUNTS),
    usage_source=st.sampled_from(UsageSource),
    cost=COSTS.map(lambda cost: None if cost is None else Picodollars(cost)),
)
RECORDS = st.builds(
    Record,
    opening=OPENINGS,
    completed_at_us=TIMES,
    status=st.sampled_from(Status),
    http_status=st.sampled_from([None, 200]),
    model=MODELS,
    provider=st.sampled_from([None, "openai"]),
    usage=st.builds(
        Usage, input_tokens=COUNTS, cache_read_tokens=COUNTS, output_tokens=COUNTS, reasoning_tokens=COUNTS
    ),
    raw_usage=st.sampled_from([None, b"", b"{}"]),
    cost=COSTS.map(lambda cost: None if cost is None else Picodollars(cost)),
    latency_us=COUNTS,
    attempts=st.integers(0, 2),
    tried=st.just(()) | st.lists(ATTEMPTS, max_size=3).map(tuple),
)
SPOILED = st.sampled_from(
    [
        {"cost": Picodollars(2**63)},
        {"usage": Usage(input_tokens=-1)},
        {"latency_us": 10**12 + 1},
        {"model": "\ud800"},
        {"completed_at_us": -1},
    ]
)
POISONS = (
    st.builds(lambda record, changes: replace(record, **changes), RECORDS, SPOILED)
    | st.builds(lambda record: replace(record, opening=replace(record.opening, user="\ud800")), RECORDS)
    | st.builds(lambda record: replace(record, opening=replace(record.opening, tags=("x", "\ud800"))), RECORDS)
)
"""Records that cannot be stored, of the same ids as the others."""
MIXED = st.lists(st.one_of(RECORDS, RECORDS, POISONS), min_size=1, max_size=12)


ADJUSTMENTS = st.builds(
    Adjustment,
    id=st.integers(0, 60).map("adj-{:02}".format),
    record_id=IDS,
    created_at_us=TIMES,
    kind=st.sampled_from(AdjustmentKind),
    cost=(COSTS | st.just(-5)).map(lambda cost: None if cost is None else Picodollars(cost)),
    price_source=st.sampled_from([None, "operator"]),
    price_version=st.sampled_from([None, "v2", "v3"]),
)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Mostly nothing, so that filters leave something over."""
    return st.one_of(st.just(()), st.just(()), st.lists(values, max_size=3, unique=True).map(tuple))


FILTERS = st.builds(
    Filters,
    users=some(USERS.filter(lambda user: user is not None)),
    unattributed=st.booleans(),
    models=some(MODELS.filter(lambda model: model is not None)),
    statuses=some(st.sampled_from(Status).map(lambda status: status.value)),
    key_hashes=some(KEYS),
    workspace_ids=some(WORKSPACES),
    session_ids=some(st.sampled_from(["s", ""])),
    tags=some(st.sampled_from(["x", "y", "z", ""])),
    start_us=st.none() | TIMES,
    end_us=st.none() | TIMES,
    updated_since_us=st.none() | st.integers(0, 20),
)
SCOPES = st.builds(Scope, organization_id=ORGANIZATIONS, workspace_id=st.none() | WORKSPACES, key_hash=st.none() | KEYS)
CURSORS = st.none() | st.builds(Cursor, TIMES, IDS)


def takes(machine: "BothLedgers") -> bool:
    return not machine.faults


def refuses(machine: "BothLedgers") -> bool:
    return bool(machine.faults)


async def written(backend: Backend) -> int:
    """The number of records, when everything that was asked for before is on disk."""
    # What is opened is there soon, not at once: a command behind it waits for it.
    await backend.directory.delete_key("none", "none", now_us=0)
    report = await backend.ledger.check()
    return report.records


async def settled(backend: Backend, records: list[Record]) -> list[str]:
    """How each of the records ends that are closed at once: in the ledger, refused for good, or not taken now."""
    closing = [backend.ledger.close(record) for record in records]
    ends = {type(None): "written", StorageUnavailable: "unavailable"}
    return [ends.get(type(end), "refused") for end in await asyncio.gather(*closing, return_exceptions=True)]


class BothLedgers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.faults: frozenset[str] = frozenset()
        self.disk = FaultyFileSystem(lambda: self.faults)
        self.own_files = FaultyOwnFiles(lambda: self.faults)
        disk.use(self.own_files)
        self.kept: list[Record] = []
        """What the disk refused, in its order."""
        self.made = 0
        self.folder = tempfile.TemporaryDirectory()
        self.both = (memory(Path(self.folder.name)), self.tested(Path(self.folder.name)))
        self.set_clock(0)

    def tested(self, folder: Path) -> Backend:
        """The one that is compared with the reference."""
        return sqlite(folder)

    def set_clock(self, now_us: int) -> None:
        for backend in self.both:
            backend.clock.now_us = now_us

    def same(self, ask: Any) -> Any:
        reference, answer = (ask(backend) for backend in self.both)
        assert answer == reference
        return reference

    @rule(now_us=st.integers(0, 20))
    def time_goes(self, now_us: int) -> None:
        self.set_clock(now_us)

    @precondition(takes)
    @rule(opening=OPENINGS)
    def open(self, opening: Opening) -> None:
        for backend in self.both:
            backend.ledger.open(opening)

    @precondition(takes)
    @rule(records=MIXED)
    def close(self, records: list[Record]) -> None:
        self.same(lambda backend: backend.run(settled(backend, records)))

    @precondition(takes)
    @rule(poison=POISONS)
    def open_what_cannot_be_stored(self, poison: Record) -> None:
        for backend in self.both:
            backend.ledger.open(poison.opening)

    @precondition(takes)
    @rule(record=RECORDS, late=st.booleans())
    def open_and_close(self, record: Record, late: bool) -> None:
        async def in_order(backend: Backend) -> None:
            if not late:
                backend.ledger.open(record.opening)
            done = backend.ledger.close(record)
            if late:
                backend.ledger.open(record.opening)
            await done

        for backend in self.both:
            backend.run(in_order(backend))

    @precondition(takes)
    @rule(adjustments=st.lists(ADJUSTMENTS, min_size=1, max_size=12))
    def adjust(self, adjustments: list[Adjustment]) -> None:
        async def run(backend: Backend) -> int:
            return await backend.ledger.adjust(adjustments)

        self.same(lambda backend: backend.run(run(backend)))

    @precondition(takes)
    @rule(records=st.lists(RECORDS, min_size=1, max_size=4), again=st.integers(0, 2), data=st.data())
    def close_and_adjust_at_once(self, records: list[Record], again: int, data: st.DataObject) -> None:
        """Adjustments of records that are just being written, some of them repeated."""
        adjustments = [
            replace(data.draw(ADJUSTMENTS), record_id=record.opening.id) for record in records for _ in range(again + 1)
        ]
        adjustments = data.draw(st.permutations(adjustments + adjustments[:again]))

        async def run(backend: Backend) -> int:
            closing = [backend.ledger.close(record) for record in records]
            adjusting = backend.ledger.adjust(adjustments)
            for done in closing:
                await done
            return await adjusting

        self.same(lambda backend: backend.run(run(backend)))

    @precondition(takes)
    @rule(adjustments=st.lists(ADJUSTMENTS, min_size=1, max_size=4), data=st.data())
    def adjust_what_was_seen(self, adjustments: list[Adjustment], data: st.DataObject) -> None:
        """Mostly what holds, sometimes what does not."""
        reference = self.both[0]
        seen = {}
        for adjustment in adjustments:
            row = reference.run(reference.ledger.get("org_a", adjustment.record_id))
            holding = row.adjustment.id if row is not None and row.adjustment is not None else None
            seen[adjustment.record_id] = data.draw(st.sampled_from([holding, holding, holding, "adj-00", None]))

        async def run(backend: Backend) -> int | None:
            try:
                return await backend.ledger.adjust(adjustments, seen=seen)
            except AdjustedMeanwhile:
                return None

        self.same(lambda backend: backend.run(run(backend)))

    @precondition(takes)
    @rule(fault=st.sampled_from([FULL, WRITE_ERROR, SYNC_ERROR, SHORT_WRITE]), records=MIXED, new=RECORDS)
    def the_disk_refuses(self, fault: str, records: list[Record], new: Record) -> None:
        self.faults = frozenset({fault})
        # One that is certainly not there yet: where nothing is to be written, nothing can be refused.
        self.made += 1
        self.close_meanwhile([replace(new, opening=replace(new.opening, id=f"new-{self.made}")), *records])

    @precondition(refuses)
    @rule(records=MIXED)
    def close_meanwhile(self, records: list[Record]) -> None:
        """Some can never be stored. The others wait, of several with one id the first."""
        sqlite = self.both[1]
        ends = sqlite.run(settled(sqlite, records))
        assert {*ends} <= {"unavailable", "refused"}
        self.kept += [record for record, end in zip(records, ends, strict=True) if end == "unavailable"]

    @precondition(refuses)
    @rule(opening=OPENINGS, adjustment=ADJUSTMENTS)
    def nothing_else_is_taken_meanwhile(self, opening: Opening, adjustment: Adjustment) -> None:
        sqlite = self.both[1]

        async def adjust() -> None:
            await sqlite.ledger.adjust([adjustment])

        with pytest.raises(StorageUnavailable):
            sqlite.ledger.open(opening)
        with pytest.raises(StorageUnavailable):
            sqlite.run(adjust())

    @precondition(refuses)
    @rule()
    def the_disk_is_back(self) -> None:
        reference, sqlite = self.both
        self.faults = frozenset()
        sqlite.run(written(sqlite))
        store = sqlite.store
        assert isinstance(store, SqliteStore)
        assert (store.healthy, store.unwritten) == (True, 0)
        assert set(reference.run(settled(reference, self.kept))) <= {"written"}
        self.kept = []

    @rule(organization_id=ORGANIZATIONS, record_id=IDS)
    def history(self, organization_id: str, record_id: str) -> None:
        adjustments = self.same(lambda backend: backend.run(backend.ledger.adjustments_of(organization_id, record_id)))
        row = self.same(lambda backend: backend.run(backend.ledger.get(organization_id, record_id)))
        assert (row.adjustment if row else None) == (adjustments[-1] if adjustments else None)

    @precondition(takes)
    @rule()
    def the_process_dies(self) -> None:
        for backend in self.both:
            backend.restart()

    @precondition(takes)
    @rule(now_us=TIMES)
    def recover(self, now_us: int) -> None:
        self.same(lambda backend: backend.run(backend.ledger.recover(now_us=now_us)))

    @rule(scope=SCOPES, filters=FILTERS, descending=st.booleans(), limit=st.integers(1, 8), after=CURSORS)
    def page(self, scope: Scope, filters: Filters, descending: bool, limit: int, after: Cursor | None) -> None:
        query = ActivityQuery(scope=scope, filters=filters, descending=descending, limit=limit, after=after)
        self.same(lambda backend: backend.run(backend.ledger.page(query)))

    @rule(
        scope=SCOPES,
        filters=FILTERS,
        group_by=st.lists(st.sampled_from(Dimension), max_size=3, unique=True).map(tuple),
        timezone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]),
        metrics=st.sampled_from([frozenset(SUMMED_METRICS), frozenset({"cost"}), frozenset(METRICS)]),
        by=st.none() | st.sampled_from(METRICS),
        descending=st.booleans(),
        limit=st.none() | st.integers(1, 4),
    )
    def summary(
        self,
        scope: Scope,
        filters: Filters,
        group_by: tuple[Dimension, ...],
        timezone: str,
        metrics: frozenset[str],
        by: str | None,
        descending: bool,
        limit: int | None,
    ) -> None:
        order = None if by is None else Order(by=by, descending=descending)
        if order is None and group_by and descending:
            order = Order(by=group_by[-1].value, descending=descending)
        query = SummaryQuery(
            scope=scope,
            filters=filters,
            group_by=group_by,
            timezone=timezone,
            metrics=metrics,
            order=order,
            limit=limit,
        )
        answer = self.same(lambda backend: backend.run(backend.ledger.summary(query)))
        everything = [row.totals for row in answer.rows]
        if answer.other is not None:
            everything.append(answer.other.totals)
        if Dimension.TAG not in group_by:
            assert sum(totals.cost for totals in everything) == answer.totals.cost
            assert sum(totals.requests for totals in everything) == answer.totals.requests

    @rule(
        scope=SCOPES,
        prefix=st.sampled_from(["", "", "a", "u", "\x00"]),
        order=st.sampled_from(UserOrder),
        descending=st.booleans(),
        limit=st.integers(1, 8),
        after=st.none() | st.builds(UserCursor, at_us=TIMES, user=USERS.filter(lambda user: user is not None)),
    )
    def users(
        self, scope: Scope, prefix: str, order: UserOrder, descending: bool, limit: int, after: UserCursor | None
    ) -> None:
        query = UsersQuery(scope=scope, prefix=prefix, order=order, descending=descending, limit=limit, after=after)
        page = self.same(lambda backend: backend.run(backend.ledger.list_users(query)))
        for span in page.users:
            assert self.same(lambda backend, user=span.user: backend.run(backend.ledger.user_span(scope, user))) == span

    @rule(scope=SCOPES, filters=FILTERS)
    def costs_of_users(self, scope: Scope, filters: Filters) -> None:
        self.same(lambda backend: [*backend.run(backend.ledger.user_costs(scope, filters))])

    @rule(key_hash=KEYS, starts=st.lists(st.integers(0, 40), min_size=3, max_size=3))
    def spending(self, key_hash: str, starts: list[int]) -> None:
        day, week, month = (START_US - START_US % HOUR_US + start * HOUR_US for start in starts)
        self.same(
            lambda backend: backend.run(backend.ledger.spending(key_hash, day_us=day, week_us=week, month_us=month))
        )

    @rule(key_hashes=st.lists(KEYS))
    def last_used(self, key_hashes: list[str]) -> None:
        self.same(lambda backend: backend.run(backend.ledger.last_used(key_hashes)))

    @invariant()
    def sums_are_those_of_the_records(self) -> None:
        if takes(self):
            self.same(lambda backend: backend.run(written(backend)))

    def teardown(self) -> None:
        if refuses(self):
            self.the_disk_is_back()
        report = self.both[1].run(self.both[1].ledger.check())
        assert [problem for problem in report.problems if "left open" not in problem] == []
        for backend in self.both:
            backend.stop()
        disk.stop_using(self.own_files)
        self.disk.unregister()
        self.folder.cleanup()


BothLedgers.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
test_both_ledgers_give_the_same_answers = BothLedgers.TestCase
