"""A ledger with a copy beside it that is made for sums: who answers which question.

1. What is written, single records, budgets and spending are the ledger's alone.
2. A copy that has everything answers. So does one that lags, where the answer tells as of when it is: sums, if it lags
   no more than it may. Pages that go up to an instant are answered by a copy that has come beyond it.
3. What the copy does not know is asked of the ledger: who made a key, and days whose records have expired.
4. A copy that fails is left alone for a while, and the ledger answers.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, TypeVar

from arouter.domain.activity import ActivityQuery, ActivityRow, Filters, Page, Scope, Summary, SummaryQuery
from arouter.domain.adjustment import Adjustment
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Opening, Record
from arouter.domain.users import UsersPage, UserSpan, UsersQuery
from arouter.store.base import CheckReport, ColumnarLedger, ColumnPage, Ledger, Spending
from arouter.store.buckets import DAY_US
from arouter.store.feed import Feed, ForeignPosition, Position
from arouter.store.written import Tell, TellingLedger

REST_US: Final = 5_000_000
"""How long a copy that failed is left alone."""
FOREIGN: Final = "The copy is not one of this ledger, and does not answer: `arouter clickhouse rebuild` makes it anew."

Answer = TypeVar("Answer")


class CopyState(Protocol):
    """How far a copy is."""

    @property
    def position(self) -> Position: ...
    @property
    def as_of_us(self) -> int | None:
        """Nothing that was written before is missing; None for an empty copy."""


State = TypeVar("State", bound=CopyState)


class Copy(Protocol[State]):
    """What a copy answers, of a state that was asked for before. StorageUnavailable if it cannot."""

    async def state(self) -> State: ...
    async def page(self, state: State, query: ActivityQuery) -> Page: ...
    async def summaries(self, state: State, queries: Sequence[SummaryQuery]) -> Sequence[Summary]: ...
    async def user_costs(self, state: State, scope: Scope, filters: Filters) -> Sequence[int]: ...
    async def user_span(self, state: State, scope: Scope, user: str) -> UserSpan | None: ...
    async def list_users(self, state: State, query: UsersQuery) -> UsersPage: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing(Generic[State]):
    """The copy as it stands to the ledger."""

    state: State
    as_of_us: int
    is_whole: bool
    """Whether it had everything."""


class RoutedLedger(Generic[State]):
    """`Ledger` over another one and its copy."""

    def __init__(
        self,
        ledger: Ledger,
        feed: Feed,
        copy: Copy[State],
        *,
        now_us: Callable[[], int],
        most_lag_us: int,
        on_failure: Callable[[str, str | None], None] = lambda message, detail: None,
    ) -> None:
        """`on_failure` is told why the copy is left alone, in words for the operator and in detail."""
        self._ledger = ledger
        if isinstance(ledger, TellingLedger):
            self.close_then: Callable[[Record, Tell], None] = ledger.close_then
        self._feed = feed
        self._copy = copy
        self._now_us = now_us
        self._most_lag_us = most_lag_us
        self._on_failure = on_failure
        self._resting_until_us = 0
        self._copied = 0

    @property
    def answered_by_copy(self) -> int:
        """Questions, since the start."""
        return self._copied

    # ---------------------------------------------------------------- the copy's

    async def page(self, query: ActivityQuery) -> Page:
        standing = await self._standing(query.scope, query.filters)
        until_us = query.filters.written_until_us
        if standing is None or not (standing.is_whole or (until_us is not None and until_us < standing.as_of_us)):
            return await self._ledger.page(query)
        return await self._asked(
            lambda: self._copy.page(standing.state, query), otherwise=lambda: self._ledger.page(query)
        )

    async def summary(self, query: SummaryQuery) -> Summary:
        (found,) = await self.summaries([query])
        return found

    async def summaries(self, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
        standing = await self._recent([(query.scope, query.filters) for query in queries])
        if standing is None:
            return await self._by_ledger(queries)

        async def ask() -> Sequence[Summary]:
            found = await self._copy.summaries(standing.state, queries)
            return tuple(replace(one, as_of_us=standing.as_of_us) for one in found)

        return await self._asked(ask, otherwise=lambda: self._by_ledger(queries))

    async def user_costs(self, scope: Scope, filters: Filters) -> Sequence[int]:
        standing = await self._recent([(scope, filters)])
        if standing is None:
            return await self._ledger.user_costs(scope, filters)
        return await self._asked(
            lambda: self._copy.user_costs(standing.state, scope, filters),
            otherwise=lambda: self._ledger.user_costs(scope, filters),
        )

    async def user_span(self, scope: Scope, user: str) -> UserSpan | None:
        standing = await self._standing(scope, Filters())
        if standing is None or not standing.is_whole:
            return await self._ledger.user_span(scope, user)
        return await self._asked(
            lambda: self._copy.user_span(standing.state, scope, user),
            otherwise=lambda: self._ledger.user_span(scope, user),
        )

    async def list_users(self, query: UsersQuery) -> UsersPage:
        standing = await self._standing(query.scope, Filters())
        if standing is None or not standing.is_whole:
            return await self._ledger.list_users(query)
        return await self._asked(
            lambda: self._copy.list_users(standing.state, query), otherwise=lambda: self._ledger.list_users(query)
        )

    async def _by_ledger(self, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
        # One question is bound by its own time, several by that of the first.
        return [await self._ledger.summary(queries[0])] if len(queries) == 1 else await self._ledger.summaries(queries)

    async def _recent(self, asked: Sequence[tuple[Scope, Filters]]) -> _Standing[State] | None:
        """None if the copy may not answer one of these, or lags more than it may."""
        if not asked:
            return None
        scope, filters = asked[0]
        standing = await self._standing(scope, filters)
        if standing is None:
            return None
        for scope, filters in asked[1:]:
            if not await self._knows(scope, filters):
                return None
        is_recent = standing.is_whole or standing.as_of_us >= self._now_us() - self._most_lag_us
        return standing if is_recent else None

    async def _standing(self, scope: Scope, filters: Filters) -> _Standing[State] | None:
        """None if the copy may not answer that, or cannot."""
        if self._now_us() < self._resting_until_us or not await self._knows(scope, filters):
            return None
        try:
            state = await self._copy.state()
            settled_us = await self._feed.settled_us()
            ahead = await self._feed.after(state.position, limit=1)
        except StorageUnavailable as exc:
            self._rest(exc.message, exc.detail)
            return None
        except ForeignPosition as exc:
            self._rest(FOREIGN, str(exc))
            return None
        if ahead is None:
            return _Standing(state=state, as_of_us=settled_us, is_whole=True)
        if state.as_of_us is None:
            return None
        return _Standing(state=state, as_of_us=state.as_of_us, is_whole=False)

    async def _knows(self, scope: Scope, filters: Filters) -> bool:
        """Rule 3."""
        if scope.creator is not None:
            return False
        days = [one.day for one in await self._feed.expired_days() if one.organization_id == scope.organization_id]
        start_us = filters.start_us
        return not days or (start_us is not None and start_us >= (max(days) + 1) * DAY_US)

    async def _asked(
        self, ask: Callable[[], Awaitable[Answer]], *, otherwise: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        try:
            answer = await ask()
        except StorageUnavailable as exc:
            self._rest(exc.message, exc.detail)
            return await otherwise()
        self._copied += 1
        return answer

    def _rest(self, message: str, detail: str | None) -> None:
        self._resting_until_us = self._now_us() + REST_US
        self._on_failure(message, detail)

    # ---------------------------------------------------------------- the ledger's

    def open(self, opening: Opening) -> None:
        self._ledger.open(opening)

    def close(self, record: Record) -> Awaitable[None]:
        return self._ledger.close(record)

    def adjust(
        self, adjustments: Sequence[Adjustment], *, seen: Mapping[str, str | None] | None = None
    ) -> Awaitable[int]:
        return self._ledger.adjust(adjustments, seen=seen)

    async def adjustments_of(self, organization_id: str, record_id: str) -> Sequence[Adjustment]:
        return await self._ledger.adjustments_of(organization_id, record_id)

    async def recover(self, *, now_us: int, dead: Collection[str] = ()) -> int:
        return await self._ledger.recover(now_us=now_us, dead=dead)

    async def get(self, organization_id: str, record_id: str) -> ActivityRow | None:
        return await self._ledger.get(organization_id, record_id)

    async def written_until(self) -> int | None:
        return await self._ledger.written_until()

    async def spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        return await self._ledger.spending(key_hash, day_us=day_us, week_us=week_us, month_us=month_us)

    async def byok_spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        return await self._ledger.byok_spending(key_hash, day_us=day_us, week_us=week_us, month_us=month_us)

    async def last_used(self, key_hashes: Sequence[str]) -> Mapping[str, int]:
        return await self._ledger.last_used(key_hashes)

    async def check(self) -> CheckReport:
        return await self._ledger.check()


class RoutedColumnarLedger(RoutedLedger[State]):
    """The same over a ledger that has columns, which are the ledger's."""

    async def columns(self, query: ActivityQuery) -> ColumnPage | None:
        ledger = self._ledger
        return await ledger.columns(query) if isinstance(ledger, ColumnarLedger) else None
