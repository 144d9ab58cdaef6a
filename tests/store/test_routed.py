"""Who answers: the copy what it has, the ledger all else, and nobody is told less than there is."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.activity import ActivityQuery, Bounds, Dimension, Filters, Scope, SummaryQuery
from arouter.domain.errors import InvalidRequest
from arouter.domain.users import UsersQuery
from arouter.engine.reporting import Asked, read_report
from arouter.store.base import ColumnarLedger
from arouter.store.clickhouse.connections import Address, Connections
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.memory import MemoryStore
from arouter.store.routed import FOREIGN, REST_US, RoutedColumnarLedger, RoutedLedger
from arouter.store.sqlite.sealed import DAY_US
from arouter.store.written import TellingLedger
from arouter.web.api.high_users import HighUsageQuery, read_high_usage
from arouter.web.api.ranges import whole_range
from tests.conformance.backends import Backend, inside, sqlite
from tests.conformance.samples import NOON_US, SCOPE, append, key, record
from tests.store.clickhouse.engine import new_place
from tests.store.test_retention import expire, organization

LAG_US = 1_000


@dataclass
class Routed:
    """A ledger in SQLite with three records, its copy, and who was asked."""

    backend: Backend
    connections: Connections = field(default_factory=inside)
    place: Any = field(default_factory=new_place)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        append(self.backend, *(record(f"gen-{number}") for number in range(3)))
        self.copier = Copier(self.connections, self.place, self.backend.store.feed)
        self.ledger = RoutedLedger(
            self.backend.ledger,
            self.backend.store.feed,
            ClickHouseReader(self.connections, self.copier, self.backend.directory),
            now_us=self.backend.clock,
            most_lag_us=LAG_US,
            on_failure=lambda message, detail: self.failures.append(message),
        )

    def copy(self) -> None:
        async def run() -> None:
            while await self.copier.step() is not None:
                pass

        self.backend.run(run())

    def asked(self, method: str, *arguments: Any) -> tuple[Any, str]:
        """The answer, and who gave it."""
        before = self.ledger.answered_by_copy

        async def run() -> Any:
            return await getattr(self.ledger, method)(*arguments)

        answer = self.backend.run(run())
        return answer, "copy" if self.ledger.answered_by_copy > before else "ledger"


SUMS = SummaryQuery(scope=SCOPE)
PAGE = ActivityQuery(scope=SCOPE)


@pytest.fixture
def routed(tmp_path: Path) -> Iterator[Routed]:
    backend = sqlite(tmp_path)
    made = Routed(backend)
    yield made
    backend.stop()


def whole_questions() -> list[tuple[str, tuple[Any, ...]]]:
    return [
        ("summary", (SUMS,)),
        ("summaries", ([SUMS, replace(SUMS, group_by=(Dimension.USER,))],)),
        ("page", (PAGE,)),
        ("user_costs", (SCOPE, Filters())),
        ("user_span", (SCOPE, "alice")),
        ("list_users", (UsersQuery(scope=SCOPE),)),
    ]


def test_without_a_copy_the_ledger_answers(routed: Routed) -> None:
    for method, arguments in whole_questions():
        assert routed.asked(method, *arguments)[1] == "ledger"
    assert routed.failures


def test_a_copy_that_has_everything_answers_as_of_now(routed: Routed) -> None:
    routed.copy()
    routed.backend.clock.now_us += 5 * LAG_US
    for method, arguments in whole_questions():
        answer, who = routed.asked(method, *arguments)
        assert who == "copy"
        assert answer == routed.backend.run(getattr(routed.backend.ledger, method)(*arguments))
    assert routed.asked("summary", SUMS)[0].as_of_us == routed.backend.clock()
    assert routed.failures == []


def test_a_copy_that_lags_a_little_says_so_and_gives_sums_only(routed: Routed) -> None:
    routed.copy()
    copied_us = routed.backend.clock()
    routed.backend.clock.now_us += LAG_US
    append(routed.backend, record("gen-later"))
    answer, who = routed.asked("summary", SUMS)
    assert (answer.totals.requests, answer.as_of_us, who) == (3, copied_us, "copy")
    assert routed.asked("user_costs", SCOPE, Filters())[1] == "copy"
    for method, arguments in (("page", PAGE), ("user_span", None), ("list_users", None)):
        given = dict(whole_questions())[method] if arguments is None else (arguments,)
        assert routed.asked(method, *given)[1] == "ledger"
    assert len(routed.asked("page", PAGE)[0].rows) == 4


def test_a_copy_that_lags_more_than_it_may_is_not_asked(routed: Routed) -> None:
    routed.copy()
    routed.backend.clock.now_us += LAG_US + 1
    append(routed.backend, record("gen-later"))
    answer, who = routed.asked("summary", SUMS)
    assert (answer.totals.requests, answer.as_of_us, who) == (4, routed.backend.clock(), "ledger")


def test_a_page_up_to_an_instant_that_the_copy_is_beyond_is_the_copys(routed: Routed) -> None:
    routed.copy()
    copied_us = routed.backend.clock()
    append(routed.backend, record("gen-later"))
    for until_us, expected in ((copied_us - 1, "copy"), (copied_us, "ledger")):
        page, who = routed.asked("page", replace(PAGE, filters=Filters(written_until_us=until_us)))
        assert who == expected
        assert len(page.rows) == (0 if until_us < copied_us else 4)


def test_what_the_copy_does_not_know_is_asked_of_the_ledger(routed: Routed) -> None:
    routed.backend.run(routed.backend.directory.add_key(key("a", creator="mem_1"), secret="s"))
    routed.copy()
    mine = Scope(organization_id="org_a", creator="mem_1")
    answer, who = routed.asked("summary", SummaryQuery(scope=mine))
    assert (answer.totals.requests, who) == (3, "ledger")
    answers, who = routed.asked("summaries", [SUMS, SummaryQuery(scope=mine)])
    assert ([one.totals.requests for one in answers], who) == ([3, 3], "ledger")
    assert routed.failures == []


def test_days_that_expired_are_told_by_the_ledger(routed: Routed) -> None:
    backend = routed.backend
    organization(backend)
    append(backend, record("gen-young", opened={"created_at_us": NOON_US + 40 * DAY_US}))
    routed.copy()
    assert expire(backend, 10, NOON_US + 41 * DAY_US) == (1, 3)
    answer, who = routed.asked("summary", SUMS)
    assert (answer.totals.requests, who) == (4, "ledger")
    assert routed.asked("list_users", UsersQuery(scope=SCOPE))[1] == "ledger"
    since = Filters(start_us=NOON_US + 30 * DAY_US)
    answer, who = routed.asked("summary", replace(SUMS, filters=since))
    assert (answer.totals.requests, who) == (1, "copy")


def test_a_copy_of_another_ledger_is_not_asked(routed: Routed, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = sqlite(tmp_path / "other")
    append(other, record("gen-foreign"))

    async def copy() -> None:
        await Copier(inside(), routed.place, other.store.feed).step()

    other.run(copy())
    other.stop()
    answer, who = routed.asked("summary", SUMS)
    assert (answer.totals.requests, who, routed.failures) == (3, "ledger", [FOREIGN])


def test_a_server_that_is_away_is_left_alone_for_a_while(tmp_path: Path) -> None:
    backend = sqlite(tmp_path)
    away = Connections(Address(url="http://127.0.0.1:9"), threads=1)
    routed = Routed(backend, connections=away)
    for _ in range(3):
        answer, who = routed.asked("summary", SUMS)
        assert (answer.totals.requests, who) == (3, "ledger")
    assert len(routed.failures) == 1
    backend.clock.now_us += REST_US
    routed.asked("page", PAGE)
    assert len(routed.failures) == 2
    away.close()
    backend.stop()


def test_a_question_that_takes_too_much_is_refused_as_the_ledger_does(routed: Routed) -> None:
    routed.copy()
    never = replace(SUMS, group_by=(Dimension.USER,), bounds=Bounds(timeout_s=0.000_001))
    with pytest.raises(InvalidRequest) as refused:
        routed.asked("summary", never)
    assert refused.value.code == "query_too_heavy"
    small = ClickHouseReader(inside(), routed.copier, routed.backend.directory, most_memory_bytes=1)

    async def ask() -> None:
        await small.summaries(await small.state(), [SUMS])

    with pytest.raises(InvalidRequest) as refused:
        routed.backend.run(ask())
    assert refused.value.code == "query_too_heavy"


def test_everything_else_is_the_ledgers(routed: Routed) -> None:
    routed.copy()
    ledger = routed.backend.ledger
    run = routed.backend.run
    assert run(routed.ledger.get("org_a", "gen-1")) == run(ledger.get("org_a", "gen-1"))
    assert run(routed.ledger.written_until()) == routed.backend.clock()
    assert run(routed.ledger.check()).problems == ()
    starts = {"day_us": 0, "week_us": 0, "month_us": 0}
    assert run(routed.ledger.spending("key-a", **starts)) == run(ledger.spending("key-a", **starts))
    assert run(routed.ledger.byok_spending("key-a", **starts)).total == 0
    assert run(routed.ledger.adjustments_of("org_a", "gen-1")) == ()
    assert run(routed.ledger.recover(now_us=0)) == 0
    assert routed.ledger.answered_by_copy == 0


def test_columns_are_those_of_a_ledger_that_has_them(routed: Routed) -> None:
    assert not isinstance(routed.ledger, ColumnarLedger)
    columnar = RoutedColumnarLedger(
        routed.backend.ledger,
        routed.backend.store.feed,
        ClickHouseReader(inside(), routed.copier, routed.backend.directory),
        now_us=routed.backend.clock,
        most_lag_us=LAG_US,
    )
    assert isinstance(columnar, ColumnarLedger)
    assert routed.backend.run(columnar.columns(PAGE)) is None


def test_whoever_waits_for_a_record_is_called_if_the_ledger_behind_it_calls(routed: Routed) -> None:
    ledger = routed.ledger
    assert isinstance(ledger, TellingLedger)
    told: list[Exception | None] = []

    async def run() -> None:
        ledger.close_then(record("gen-told"), told.append)
        await ledger.close(record("gen-later"))

    routed.backend.run(run())
    assert told == [None]
    assert routed.asked("summary", SUMS)[0].totals.requests == 5

    silent = RoutedLedger(
        MemoryStore(clock=routed.backend.clock).ledger,
        routed.backend.store.feed,
        ClickHouseReader(inside(), routed.copier, routed.backend.directory),
        now_us=routed.backend.clock,
        most_lag_us=LAG_US,
    )
    assert not isinstance(silent, TellingLedger)


def test_what_is_put_together_from_several_answers_says_as_of_when_they_are(routed: Routed) -> None:
    routed.copy()
    copied_us = routed.backend.clock()
    routed.backend.clock.now_us += LAG_US
    append(routed.backend, record("gen-later"))
    now_us = routed.backend.clock()
    asked = Asked(title="", scope=SCOPE, filters=Filters(), limit=10, made_by="")
    report = routed.backend.run(read_report(routed.backend.directory, routed.ledger, asked, now_us=now_us))
    assert report.head.as_of_us == copied_us
    high = HighUsageQuery(
        scope=SCOPE,
        filters=Filters(),
        wanted=whole_range(NOON_US - DAY_US, NOON_US + DAY_US, now_us=now_us),
        order_by="cost",
        limit=10,
    )
    found = routed.backend.run(read_high_usage(routed.ledger, high))
    assert (found.as_of_us, found.everything.value) == (copied_us, 3 * 1_234_500_000)
