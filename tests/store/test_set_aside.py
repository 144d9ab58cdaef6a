"""What arrived and could not be booked is tried again: nothing that was acknowledged is given up."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import apsw
import msgspec
import pytest

from arouter.domain.interruption import interrupted
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.checks import check_ledger
from arouter.store.sqlite.connections import transaction
from arouter.store.sqlite.owners import Owner
from arouter.store.sqlite.prepared import pack
from arouter.store.sqlite.recovery import recover
from arouter.store.sqlite.set_aside import ANOTHER_IS_THERE, book_set_aside, put_aside
from tests.conformance.samples import opening
from tests.store.kept_files import OWNER, booked, noted, opened, prepared

NOT_KNOWN_YET = b"\x93\x91\xa5color\x90\x91\x94\x90\x91\xa3red\x90\xc0"
"""A group of a later version, as this one reads it."""


@pytest.fixture
def connection(path: str) -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(path)) as made:
        yield made


def put(connection: apsw.Connection, *record_ids: str, intents: Sequence[str] = ()) -> None:
    """As an earlier version does with a group in which something was not known to it."""
    some = [prepared(record_id) for record_id in record_ids]
    put_aside(connection, pack(some, noted(*intents, owner=OWNER)), "this program does not know color")


def try_again(connection: apsw.Connection) -> int:
    with transaction(connection):
        return book_set_aside(connection, Appender(), 7)


def refuse(connection: apsw.Connection, record_id: str) -> None:
    connection.execute(
        f"CREATE TRIGGER refuse BEFORE INSERT ON records WHEN new.id = '{record_id}' "
        "BEGIN SELECT raise(ABORT, 'not that one'); END"
    )


def aside(connection: apsw.Connection) -> list[tuple[list[str], str]]:
    """The ids of each row that can be read, and the reason."""
    found = []
    for packed, reason in connection.execute("SELECT records, reason FROM arrivals_set_aside ORDER BY no"):
        records = msgspec.msgpack.decode(packed)[2] if packed != NOT_KNOWN_YET else []
        found.append(([str(values[0]) for _, values, _, _ in records], str(reason)))
    return found


def problems(connection: apsw.Connection, path: str) -> Sequence[str]:
    return check_ledger(connection, path).problems


def test_a_program_that_knows_more_books_it_when_it_opens_the_database(path: str, connection: apsw.Connection) -> None:
    put(connection, "gen-1", "gen-2")
    put(connection, "gen-3")
    assert [each for each in problems(connection, path) if "color" in each]
    SqliteStore.open(path, clock=lambda: 7)
    assert booked(path) == ["gen-1", "gen-2", "gen-3"]
    assert aside(connection) == []
    assert problems(connection, path) == ()


def test_what_still_cannot_be_read_stays_as_it_is_and_is_told(path: str, connection: apsw.Connection) -> None:
    put_aside(connection, NOT_KNOWN_YET, "this program does not know color")
    put(connection, "gen-1")
    assert [try_again(connection) for _ in range(2)] == [1, 0]
    assert connection.execute("SELECT records FROM arrivals_set_aside").get == NOT_KNOWN_YET
    assert [each for each in problems(connection, path) if "color" in each]


def test_one_that_the_tables_refuse_stays_alone_until_they_take_it(path: str, connection: apsw.Connection) -> None:
    refuse(connection, "gen-bad")
    put(connection, "gen-1", "gen-bad", "gen-2")
    assert [try_again(connection) for _ in range(2)] == [2, 0]
    assert booked(path) == ["gen-1", "gen-2"]
    assert aside(connection) == [(["gen-bad"], "ConstraintError: not that one")]
    connection.execute("DROP TRIGGER refuse")
    assert try_again(connection) == 1
    assert (booked(path), aside(connection)) == (["gen-1", "gen-2", "gen-bad"], [])
    assert problems(connection, path) == ()


def test_where_another_record_of_the_request_is_there_both_are_kept(path: str, connection: apsw.Connection) -> None:
    with transaction(connection):
        Appender().append(connection, [interrupted(opening("gen-1"), now_us=5)], 5)
    put(connection, "gen-1", "gen-2")
    assert [try_again(connection) for _ in range(2)] == [1, 0]
    assert booked(path) == ["gen-1", "gen-2"]
    assert aside(connection) == [(["gen-1"], ANOTHER_IS_THERE)]
    assert [each for each in problems(connection, path) if ANOTHER_IS_THERE in each]


def test_a_request_that_has_its_record_aside_does_not_become_an_interrupted_one(
    path: str, connection: apsw.Connection
) -> None:
    """Its process died, and whoever closes what that left is a program that can read the record."""
    place = Owner(path, 1)
    with transaction(connection):
        owner = place.register(connection)
        Appender().open(connection, noted("gen-ended", "gen-runs", owner=owner))
    place.forget()
    put(connection, "gen-ended")
    with transaction(connection):
        assert recover(connection, Appender(), dead={owner}, now_us=7, written_at_us=7) == 1
    sql = "SELECT records.id, text FROM records JOIN names ON no = status_no ORDER BY seq"
    assert connection.execute(sql).fetchall() == [("gen-ended", "success"), ("gen-runs", "interrupted")]
    assert (opened(path), aside(connection), problems(connection, path)) == ([], [], ())


def test_the_intents_that_came_with_it_are_remembered(path: str, connection: apsw.Connection) -> None:
    put(connection, "gen-1", intents=["gen-1", "gen-2", "gen-3"])
    put(connection, "gen-3")
    assert try_again(connection) == 2
    assert opened(path) == ["gen-2"]


def test_on_a_full_disk_everything_stays_where_it_is(path: str, connection: apsw.Connection) -> None:
    put(connection, *(f"gen-{number:03}-{'x' * 500}" for number in range(100)))
    before = connection.execute("SELECT * FROM arrivals_set_aside").fetchall()
    connection.pragma("max_page_count", connection.pragma("page_count"))
    with pytest.raises(apsw.FullError):
        try_again(connection)
    assert connection.execute("SELECT * FROM arrivals_set_aside").fetchall() == before
    assert booked(path) == []
    connection.pragma("max_page_count", 1_000_000)
    assert try_again(connection) == 100
