"""What is touched is read by other threads; it changes nothing, whatever becomes of it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import pytest

from arouter.domain.activity import ActivityQuery, Dimension, Filters, SummaryQuery
from arouter.store.sqlite.connections import connect_reader
from arouter.store.sqlite.names import Texts
from arouter.store.sqlite.pages import read_page
from arouter.store.sqlite.read_ahead import LEAST, ReadAhead
from arouter.store.sqlite.sealed import DAY_US
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.summaries import read_summary
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import NOON_US, SCOPE, append
from tests.store.test_sealing import at, seal, store_of

DAYS = 12


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A user with two records a day, sealed and as columns, among others."""
    made = sqlite(tmp_path_factory.mktemp("ahead"))
    users = ("ada", "ada", *(f"u{number}" for number in range(300)))
    append(made, *(at(86_400 * day + n, opened={"user": user}) for day in range(DAYS) for n, user in enumerate(users)))
    made.clock.now_us = NOON_US + (DAYS + 3) * DAY_US
    seal(made)
    store = store_of(made)
    for day in made.run(store.days_to_fold(made.clock(), 1)):
        assert made.run(store.fold(day, made.clock()))
    yield made
    made.stop()


class Noted:
    """Notes what is touched instead of reading it."""

    def __init__(self) -> None:
        self.touched: list[tuple[str, Sequence[int]]] = []

    def __call__(self, query: str, numbers: Sequence[int]) -> None:
        self.touched.append((query, numbers))


@pytest.fixture
def connection(backend: Backend) -> Iterator[apsw.Connection]:
    made = connect_reader(store_of(backend).path)
    yield made
    made.close()


@pytest.mark.parametrize("descending", [True, False])
def test_a_page_touches_the_blocks_behind_the_first(connection: apsw.Connection, descending: bool) -> None:
    noted = Noted()
    query = ActivityQuery(scope=SCOPE, filters=Filters(users=("ada",)), limit=17, descending=descending)
    assert read_page(connection, Texts(), query, noted) == read_page(connection, Texts(), query)
    # One record more than the page has is read, and the first block has two of these eighteen.
    numbers = "SELECT no, day FROM user_blocks WHERE users & (1 << (? % 64)) AND bucket = ? / 64 ORDER BY day"
    user = connection.execute("SELECT no FROM end_users WHERE name = 'ada'").get
    blocks = [no for no, _ in connection.execute(numbers, (user, user))]
    ordered = blocks[::-1] if descending else blocks
    assert noted.touched == [("touch_user_blocks", ordered[1:9])]


def test_what_the_first_block_has_needs_no_other(connection: apsw.Connection) -> None:
    noted = Noted()
    for limit in (1, 2 * LEAST - 1):
        read_page(connection, Texts(), ActivityQuery(scope=SCOPE, filters=Filters(users=("ada",)), limit=limit), noted)
    assert noted.touched == []


def test_sums_touch_a_block_of_each_day(connection: apsw.Connection) -> None:
    noted = Noted()
    query = SummaryQuery(scope=SCOPE, filters=Filters(users=("ada",)), group_by=(Dimension.DAY,))
    summary = read_summary(connection, Texts(), query, touch=noted)
    assert summary == read_summary(connection, Texts(), query)
    assert summary.totals.requests == 2 * DAYS
    ((name, numbers),) = noted.touched
    claims = connection.execute(
        "SELECT json_group_array(claim) FROM (SELECT claim FROM day_blocks WHERE rowid IN (SELECT value FROM "
        "json_each(?)) ORDER BY claim)",
        (str(list(numbers)),),
    ).get
    # Of the first day and the last one a part has records, and is read from those.
    whole_days = connection.execute(
        "SELECT json_group_array(claim) FROM (SELECT claim FROM folded_days WHERE day > (SELECT min(day) FROM "
        "folded_days) AND day < (SELECT max(day) FROM folded_days) ORDER BY claim)"
    ).get
    assert (name, claims) == ("touch_day_blocks", whole_days)


@pytest.mark.parametrize("query", ["touch_user_blocks", "touch_day_blocks"])
def test_what_is_touched_is_read_whole(connection: apsw.Connection, query: str) -> None:
    table = query.removeprefix("touch_")
    numbers = [no for (no,) in connection.execute(f"SELECT rowid FROM {table}")]
    assert connection.execute(queries()[query], (str(numbers),)).get == len(numbers)


def test_it_reads_beside_and_ends(backend: Backend) -> None:
    ahead = ReadAhead(store_of(backend).path)
    for _ in range(50):
        ahead.touch("touch_user_blocks", [*range(1, 40)])
    ahead.close()


def test_a_file_that_is_gone_matters_to_nobody(tmp_path: Path) -> None:
    ahead = ReadAhead(str(tmp_path / "nothing" / "here.db"))
    for _ in range(50):
        ahead.touch("touch_user_blocks", [*range(1, 40)])
    ahead.close()
    assert not os.listdir(tmp_path)
