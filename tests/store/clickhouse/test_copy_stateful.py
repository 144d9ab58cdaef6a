"""The copy against the reference: whatever is written, adjusted, copied, or dies while it is copied, every answer that
the copy gives equals that of the ledger, to the last digit."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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
from arouter.domain.adjustment import Adjustment
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Record
from arouter.domain.users import UserOrder, UsersQuery
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.sqlite import SqliteStore
from tests.conformance.backends import Backend, inside, memory, sqlite
from tests.store.clickhouse.engine import BreakingConnections, new_place
from tests.store.test_sqlite_stateful import ADJUSTMENTS, CURSORS, FILTERS, RECORDS, SCOPES, settled

EVERYTHING = frozenset(METRICS)


class LedgerAndCopy(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.reference = memory(Path(self.folder.name))
        self.ledger = sqlite(Path(self.folder.name))
        self.connections = BreakingConnections()
        self.place = new_place()
        self.at_once = 3
        self.both = (self.reference, self.ledger)

    @initialize(at_once=st.sampled_from([1, 4, 100]))
    def begin(self, at_once: int) -> None:
        self.at_once = at_once
        self.ledger.run(self.copier().prepare())

    def copier(self) -> Copier:
        """That of a process that has just started."""
        return Copier(self.connections, self.place, self.ledger.store.feed, at_once=self.at_once)

    def up_to_date(self) -> None:
        self.connections.breaks = []
        one = self.copier()

        async def run() -> None:
            while await one.step() is not None:
                pass

        self.ledger.run(run())

    def asked(self, method: str, *arguments: Any) -> Any:
        """What the copy answers when it has everything."""
        self.up_to_date()
        reader = ClickHouseReader(inside(), self.copier(), self.ledger.directory)

        async def run() -> Any:
            return await getattr(reader, method)(await reader.state(), *arguments)

        return self.ledger.run(run())

    @rule(now_us=st.integers(0, 20))
    def time_goes(self, now_us: int) -> None:
        for backend in self.both:
            backend.clock.now_us = now_us

    @rule(records=st.lists(RECORDS, min_size=1, max_size=12))
    def close(self, records: list[Record]) -> None:
        for backend in self.both:
            backend.run(settled(backend, records))

    @rule(adjustments=st.lists(ADJUSTMENTS, min_size=1, max_size=12))
    def adjust(self, adjustments: list[Adjustment]) -> None:
        async def run(backend: Backend) -> int:
            return await backend.ledger.adjust(adjustments)

        assert len({backend.run(run(backend)) for backend in self.both}) == 1

    @rule(breaks=st.lists(st.sampled_from([None, None, None, "before", "after"]), max_size=8))
    def copy_and_die(self, breaks: list[str | None]) -> None:
        self.connections.breaks = breaks
        one = self.copier()

        async def run() -> None:
            while await one.step() is not None:
                pass

        with suppress(StorageUnavailable):
            self.ledger.run(run())

    @rule()
    def seal(self) -> None:
        store = self.ledger.store
        assert isinstance(store, SqliteStore)
        self.ledger.run(store.archive.seal(before_us=2**62))

    @rule(scope=SCOPES, filters=FILTERS, descending=st.booleans(), limit=st.integers(1, 8), after=CURSORS)
    def page(self, scope: Scope, filters: Filters, descending: bool, limit: int, after: Cursor | None) -> None:
        query = ActivityQuery(scope=scope, filters=filters, descending=descending, limit=limit, after=after)
        assert self.asked("page", query) == self.reference.run(self.reference.ledger.page(query))

    @rule(
        scope=SCOPES,
        filters=FILTERS,
        group_by=st.lists(st.sampled_from(Dimension), max_size=3, unique=True).map(tuple),
        timezone=st.sampled_from(["UTC", "UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]),
        metrics=st.sampled_from([frozenset(SUMMED_METRICS), frozenset({"cost"}), EVERYTHING]),
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
        (found,) = self.asked("summaries", [query])
        expected = self.reference.run(self.reference.ledger.summary(query))
        assert (found.rows, found.totals, found.other, found.groups) == (
            expected.rows,
            expected.totals,
            expected.other,
            expected.groups,
        )

    @rule(scope=SCOPES, order=st.sampled_from(UserOrder), descending=st.booleans(), limit=st.integers(1, 8))
    def users(self, scope: Scope, order: UserOrder, descending: bool, limit: int) -> None:
        query = UsersQuery(scope=scope, order=order, descending=descending, limit=limit)
        expected = self.reference.run(self.reference.ledger.list_users(query))
        assert self.asked("list_users", query) == expected
        for span in expected.users:
            assert self.asked("user_span", scope, span.user) == span

    @rule(scope=SCOPES, filters=FILTERS)
    def costs_of_users(self, scope: Scope, filters: Filters) -> None:
        expected = self.reference.run(self.reference.ledger.user_costs(scope, filters))
        assert self.asked("user_costs", scope, filters) == [*expected]

    @invariant()
    def what_is_missing_is_not_older_than_the_copy_says(self) -> None:
        state = self.ledger.run(self.copier().prepare())
        if state.as_of_us is None:
            return
        stretch = self.ledger.run(self.ledger.store.feed.after(state.position, limit=1_000))
        if stretch is not None:
            changes = self.ledger.run(self.ledger.store.feed.read(stretch))
            written_us = [one.written_at_us for one in changes.records]
            written_us += [one.written_at_us for one in changes.adjustments]
            assert min(written_us) >= state.as_of_us

    def teardown(self) -> None:
        for backend in self.both:
            backend.stop()
        self.connections.close()
        self.folder.cleanup()


LedgerAndCopy.TestCase.settings = settings(max_examples=8, stateful_step_count=25, deadline=None)
test_the_copy_answers_as_the_ledger_does = LedgerAndCopy.TestCase
