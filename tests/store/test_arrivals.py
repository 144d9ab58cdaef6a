"""Records that are on disk and not yet in their tables: they are booked once, whoever does it, and nobody sees that
they were not."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from arouter.domain.activity import SummaryQuery
from arouter.domain.errors import StorageUnavailable
from arouter.domain.interruption import interrupted
from arouter.store.intents import TICK_S
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.arrivals import MOST_WAITING, find_all
from arouter.store.sqlite.connections import transaction
from arouter.store.sqlite.moving import SqliteMovable
from arouter.store.sqlite.prepared import pack, prepare
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import BARE, FULL, SCOPE, adjust, adjustment, append, ids, key, opening, record
from tests.faults.faulty_disk import FULL as DISK_FULL
from tests.faults.faulty_disk import SYNC_ERROR, Disk, faulty_disk
from tests.sqlite_file import make_database
from tests.store.kept_files import Keeper, booked, opened

DIES = """
import asyncio, os, signal, sys
from arouter.store.sqlite import SqliteStore
from tests.conformance.samples import record

async def main(path, name, count):
    store = SqliteStore.open(path, clock=lambda: 1)
    await store.start()
    await store.ledger.close(record(f"gen-{name}-first"))
    for number in range(count):
        await store.ledger.close(record(f"gen-{name}-{number}", opened={"user": f"{name} {number % 3}"}))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


DIES_MEANWHILE = """
import asyncio, os, signal, sys
from arouter.store.intents import TICK_S
from arouter.store.sqlite import SqliteStore
from tests.conformance.samples import opening, record

async def main(path):
    store = SqliteStore.open(path, clock=lambda: 1)
    await store.start()
    await store.ledger.close(record("gen-first"))
    for record_id in ("gen-open", "gen-long"):
        store.ledger.open(opening(record_id))
    await asyncio.sleep(4 * TICK_S)
    await store.ledger.close(record("gen-long"))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(sys.argv[1]))
"""


WARM = record("gen-warm", opened={"organization_id": "org_other"})
"""The first record of a process is booked at once: it makes the files for those that come."""


def warm(folder: Path) -> Backend:
    """A store whose next records arrive."""
    made = sqlite(folder)
    append(made, WARM)
    return made


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = warm(tmp_path)
    yield made
    made.stop()


def path_of(backend: Backend) -> str:
    assert isinstance(backend.store, SqliteStore)
    return backend.store.path


def number(path: str | Path, sql: str) -> int:
    """What a program that knows nothing of arrivals finds in the file."""
    with closing(apsw.Connection(str(path))) as connection:
        return int(connection.execute(sql).get)


def waiting(path: str | Path) -> int:
    """Groups in files, of whichever process."""
    with closing(apsw.Connection(str(path))) as connection:
        return sum(len(groups) for groups in find_all(connection).values())


def rows(path: str | Path) -> int:
    return number(path, "SELECT count(*) FROM records WHERE id NOT IN ('gen-warm', 'gen-warm-too')")


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("arouter.db-arrivals-*"))


def until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def problems(backend: Backend) -> tuple[str, ...]:
    return backend.run(backend.ledger.check()).problems


def kill(program: str, *arguments: object) -> None:
    ended = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL


def die(path: str | Path, name: str, count: int = 5) -> list[str]:
    """A process is told that so many records are durable, and killed; their ids. Each but the first is a group."""
    kill(DIES, path, name, count)
    assert waiting(path) >= count
    return [f"gen-{name}-first", *(f"gen-{name}-{each}" for each in range(count))]


# ---------------------------------------------------------------- when they are booked


def test_a_group_is_in_a_file_until_somebody_asks(backend: Backend) -> None:
    path = path_of(backend)
    append(backend, FULL, BARE)
    assert (waiting(path), rows(path)) == (1, 0)
    assert isinstance(backend.store, SqliteStore)
    assert backend.store.arrived == 2
    assert {*ids(backend)} == {FULL.opening.id, BARE.opening.id}
    assert (waiting(path), rows(path)) == (0, 2)
    assert backend.store.arrived == 0


def test_what_has_nothing_to_do_with_records_lets_them_wait(backend: Backend) -> None:
    backend.run(backend.directory.add_key(key(), secret="s"))
    append(backend, record("gen-1"))
    assert backend.run(backend.directory.find_key("s")) is not None
    assert backend.run(backend.directory.get_user_rules("org_a", "alice")) is None
    assert waiting(path_of(backend)) == 1


def test_they_are_booked_by_themselves_within_a_second_or_so(backend: Backend) -> None:
    path = path_of(backend)
    append(backend, record("gen-1"))
    until(lambda: rows(path) == 1)
    assert waiting(path) == 0


def test_no_more_than_so_many_wait(backend: Backend) -> None:
    path = path_of(backend)
    group = 400
    for start in range(0, MOST_WAITING, group):
        append(backend, *(record(f"gen-{each}") for each in range(start, start + group)))
    # Without being asked, and long before a second is over.
    until(lambda: rows(path) == MOST_WAITING)
    assert waiting(path) == 0


def test_the_first_record_of_a_process_is_booked_at_once_and_makes_the_files(tmp_path: Path) -> None:
    backend = sqlite(tmp_path)
    assert files(tmp_path) == []
    append(backend, record("gen-1"))
    assert (waiting(path_of(backend)), rows(path_of(backend))) == (0, 1)
    append(backend, record("gen-2"))
    assert len(files(tmp_path)) == 2
    assert (waiting(path_of(backend)), rows(path_of(backend))) == (1, 1)
    backend.stop()
    assert files(tmp_path) == []


def test_records_arrive_in_the_other_file_while_those_in_one_are_booked(backend: Backend, tmp_path: Path) -> None:
    sizes = []
    for each in range(4):
        append(backend, record(f"gen-{each}"))
        sizes.append([file.stat().st_size > 0 for file in files(tmp_path)])
        assert len(ids(backend)) == each + 1
    assert sizes == [[True, False], [True, True], [True, True], [True, True]]
    assert problems(backend) == ()


def test_a_store_that_closes_books(tmp_path: Path) -> None:
    backend = warm(tmp_path)
    append(backend, record("gen-1"))
    backend.stop()
    assert (waiting(tmp_path / "arouter.db"), rows(tmp_path / "arouter.db")) == (0, 1)


def test_a_group_keeps_its_time_and_its_batch(backend: Backend) -> None:
    start_us = backend.clock.now_us
    for after_us in (5, 10):
        backend.clock.now_us = start_us + after_us
        append(backend, record(f"gen-{after_us}"), record(f"gen-{after_us}-b"))
    backend.clock.now_us = start_us + 20
    row = backend.run(backend.ledger.get("org_a", "gen-5"))
    assert row is not None
    assert row.written_at_us == start_us + 5
    with closing(apsw.Connection(path_of(backend))) as connection:
        batches = connection.execute("SELECT written_at_us, first_seq, last_seq FROM batches").fetchall()
    assert batches == [(start_us, 1, 1), (start_us + 5, 2, 3), (start_us + 10, 4, 5)]


# ---------------------------------------------------------------- exactly once


def test_a_record_that_comes_again_changes_nothing(backend: Backend) -> None:
    append(backend, record("gen-1", http_status=200))
    append(backend, record("gen-1", http_status=500), record("gen-1", http_status=501))
    assert ids(backend) == ["gen-1"]
    append(backend, record("gen-1", http_status=502), record("gen-2"))
    append(backend, record("gen-2", http_status=503))
    assert {*ids(backend)} == {"gen-1", "gen-2"}
    row = backend.run(backend.ledger.get("org_a", "gen-1"))
    assert row is not None
    assert row.record.http_status == 200
    assert problems(backend) == ()


def test_a_great_group_with_a_record_that_is_there_is_booked_all_the_same(backend: Backend) -> None:
    append(backend, record("gen-1", http_status=200))
    append(backend, *(record(f"gen-{each}", http_status=500) for each in range(100)))
    append(backend, *(record(f"gen-{each}", http_status=501) for each in range(1, 102)))
    assert len(ids(backend)) == 102
    row = backend.run(backend.ledger.get("org_a", "gen-1"))
    assert row is not None
    assert row.record.http_status == 200
    assert problems(backend) == ()


def test_nothing_is_wrong_with_a_record_that_is_there_or_waits(backend: Backend) -> None:
    bad = record("gen-1", model="\ud800")
    append(backend, record("gen-1"))
    append(backend, bad)
    append(backend, record("gen-2"), record("gen-2", model="\ud800"))
    with pytest.raises(ValueError):
        append(backend, record("gen-3", model="\ud800"), record("gen-4"))
    assert {*ids(backend)} == {"gen-1", "gen-2", "gen-4"}
    assert problems(backend) == ()


def test_an_intent_that_arrives_behind_its_record_is_never_open(backend: Backend) -> None:
    append(backend, record("gen-1"))
    backend.ledger.open(opening("gen-1"))
    backend.run(asyncio.sleep(4 * TICK_S))
    assert backend.run(backend.ledger.recover(now_us=1)) == 0
    append(backend, record("gen-2"))
    assert isinstance(backend.store, SqliteStore)
    assert backend.run(backend.store.status()).open_records == 0


def test_an_intent_whose_record_comes_before_it_is_booked_is_never_in_the_table(tmp_path: Path) -> None:
    path = make_database(tmp_path)
    keeper = Keeper(path).claim()
    written: list[Any] = []

    def note(*record_ids: Any) -> None:
        written.extend(record_ids)

    keeper.connection.create_scalar_function("written", note, 1)
    keeper.connection.execute("CREATE TEMP TRIGGER t AFTER INSERT ON open_records BEGIN SELECT written(NEW.id); END")
    keeper.keep(opened=["gen-1", "gen-2"])
    keeper.keep("gen-1")
    keeper.book()
    assert (booked(path), opened(path), written) == (["gen-1"], ["gen-2"], ["gen-2"])
    keeper.keep("gen-2")
    keeper.book()
    assert (booked(path), opened(path), written) == (["gen-1", "gen-2"], [], ["gen-2"])
    keeper.end()


def test_an_intent_that_arrived_at_a_process_that_died_becomes_a_record(tmp_path: Path) -> None:
    path = tmp_path / "arouter.db"
    other = warm(tmp_path)
    kill(DIES_MEANWHILE, path)
    assert opened(path) == []
    assert other.run(other.ledger.recover(now_us=77)) == 1
    row = other.run(other.ledger.get("org_a", "gen-open"))
    assert row is not None
    assert row.record == interrupted(opening("gen-open"), now_us=77)
    assert {*ids(other)} == {"gen-first", "gen-open", "gen-long"}
    assert (opened(path), problems(other)) == ([], ())
    assert other.run(other.ledger.recover(now_us=77)) == 0
    other.stop()


def test_two_processes_book_what_arrives_at_either(tmp_path: Path) -> None:
    one, other = warm(tmp_path), sqlite(tmp_path)
    append(other, record("gen-warm-too"))
    append(one, record("gen-1"))
    assert {*ids(other)} == {"gen-1", "gen-warm-too"}
    # `one` remembers its group, which is booked.
    append(one, record("gen-2"))
    append(other, record("gen-3"))
    assert {*ids(one)} == {"gen-1", "gen-2", "gen-3", "gen-warm-too"}
    append(one, record("gen-4"))
    append(other, record("gen-5"))
    assert {*ids(other)} == {*ids(one)} == {*(f"gen-{each}" for each in range(1, 6)), "gen-warm-too"}
    assert problems(one) == ()
    one.stop()
    other.stop()
    assert files(tmp_path) == []


def test_what_changes_records_finds_those_that_have_just_arrived(tmp_path: Path) -> None:
    one, other = warm(tmp_path), sqlite(tmp_path)
    append(one, record("gen-1"))
    assert adjust(one, adjustment("adj-1", "gen-1", 7)) == 1
    append(one, record("gen-2"))
    assert adjust(other, adjustment("adj-2", "gen-2", 8)) == 1
    summary = one.run(one.ledger.summary(SummaryQuery(scope=SCOPE)))
    assert summary.totals.cost == 15
    one.stop()
    other.stop()


def test_a_chain_that_another_process_lengthened_goes_on_behind_it(tmp_path: Path) -> None:
    """Also if this one has committed something else since: nothing is tried in vain, as `new` records would tell."""
    sqlite(tmp_path).stop()
    path = tmp_path / "arouter.db"
    with closing(apsw.Connection(str(path))) as one, closing(apsw.Connection(str(path))) as other:
        appenders = Appender(), Appender()
        for no in range(3):
            for connection, appender in zip((one, other), appenders, strict=True):
                with transaction(connection):
                    connection.execute("UPDATE needed_version SET version = version")
                with transaction(connection):
                    appender.append(connection, [record(f"gen-{no}-{id(appender)}")], 1, new=True)
    assert number(path, "SELECT max(last_seq) FROM batches") == 6


# ---------------------------------------------------------------- after a kill


def test_the_next_start_books_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "arouter.db"
    left = die(path, "a")
    SqliteStore.open(str(path), clock=lambda: 1)
    assert (waiting(path), rows(path)) == (0, len(left))
    assert files(tmp_path) != []
    backend = sqlite(tmp_path)
    assert {*ids(backend)} == {*left}
    assert problems(backend) == ()
    append(backend, record("gen-next"))
    assert {*ids(backend)} == {*left, "gen-next"}
    backend.stop()
    assert files(tmp_path) == []


def test_a_running_process_that_is_asked_books_it(backend: Backend, tmp_path: Path) -> None:
    append(backend, record("gen-mine"))
    left = die(tmp_path / "arouter.db", "a") + die(tmp_path / "arouter.db", "b")
    append(backend, record("gen-mine-too"))
    summary = backend.run(backend.ledger.summary(SummaryQuery(scope=SCOPE)))
    assert summary.totals.requests == len(left) + 2
    assert {*ids(backend)} == {*left, "gen-mine", "gen-mine-too"}
    assert problems(backend) == ()


def test_of_many_that_book_it_at_once_one_does(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "arouter.db"
    left = die(path, "a", 40)
    begin = threading.Barrier(4)

    def start() -> None:
        begin.wait(30)
        SqliteStore.open(str(path), clock=lambda: 1)

    with ThreadPoolExecutor(3) as threads:
        starts = [threads.submit(start) for _ in range(3)]
        begin.wait(30)
        assert {*ids(backend)} == {*left}
        for each in starts:
            each.result()
    report = backend.run(backend.ledger.check())
    assert (report.records, report.problems) == (len(left) + 1, ())


def test_a_database_is_moved_with_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "arouter.db"
    left = die(path, "a")

    async def held() -> int:
        source = SqliteMovable(str(path), is_target=False)
        await source.start()
        found = (await source.held()).records
        await source.close()
        return found

    assert asyncio.run(held()) == len(left)


def test_a_backup_has_what_had_arrived(backend: Backend, tmp_path: Path) -> None:
    append(backend, record("gen-1"))
    assert isinstance(backend.store, SqliteStore)
    backend.run(backend.store.backup(str(tmp_path / "copy.db")))
    assert (waiting(tmp_path / "copy.db"), rows(tmp_path / "copy.db")) == (0, 1)
    assert number(tmp_path / "copy.db", "SELECT count(*) FROM arrival_files") == 0


def test_what_a_program_of_the_version_before_left_is_booked(backend: Backend) -> None:
    append(backend, record("gen-1"))
    arrived_at_us = backend.clock.now_us + 7
    with closing(apsw.Connection(path_of(backend))) as connection:
        connection.execute(
            "INSERT INTO arrivals (writer, arrived_at_us, records) VALUES (1, ?, ?)",
            (arrived_at_us, pack([prepare(record("gen-2"))])),
        )
    row = backend.run(backend.ledger.get("org_a", "gen-2"))
    assert row is not None
    assert row.written_at_us == arrived_at_us
    assert number(path_of(backend), "SELECT count(*) FROM arrivals") == 0
    assert {*ids(backend)} == {"gen-1", "gen-2"}


# ---------------------------------------------------------------- when it goes wrong


@pytest.fixture
def disk() -> Iterator[Disk]:
    with faulty_disk() as made:
        yield made


def test_on_a_full_disk_every_acknowledged_record_is_read_and_none_is_changed(disk: Disk, tmp_path: Path) -> None:
    backend = warm(tmp_path)

    async def ask() -> tuple[int, Any]:
        summary = await backend.ledger.summary(SummaryQuery(scope=SCOPE))
        return summary.totals.requests, await backend.ledger.get("org_a", "gen-1")

    append(backend, record("gen-0", model="m-before"))
    assert ids(backend) == ["gen-0"]
    append(backend, record("gen-1", model="m-waits", opened={"user": "waits", "tags": ("waits",)}))
    disk.faults = frozenset({DISK_FULL})
    for _ in range(2):
        requests, row = backend.run(ask())
        assert (requests, row.record.model, row.record.opening.user) == (2, "m-waits", "waits")
    assert rows(tmp_path / "arouter.db") == 1
    with pytest.raises(StorageUnavailable):
        append(backend, record("gen-2", model="m-refused"))
    assert {*ids(backend)} == {"gen-0", "gen-1"}
    disk.faults = frozenset()
    until(lambda: isinstance(backend.store, SqliteStore) and backend.store.healthy)
    # What names and users were numbered for the answers before is void: others get these numbers.
    append(backend, record("gen-3", model="m-after", opened={"user": "after", "tags": ("after",)}))
    found = [backend.run(backend.ledger.get("org_a", f"gen-{each}")) for each in range(4)]
    assert [one and one.record.model for one in found] == ["m-before", "m-waits", "m-refused", "m-after"]
    assert problems(backend) == ()
    backend.stop()


def test_a_disk_that_takes_no_more_files_only_makes_records_wait(disk: Disk, tmp_path: Path) -> None:
    """They are booked at once, and soon arrive again."""
    backend = warm(tmp_path)
    append(backend, record("gen-1"))
    disk.own = frozenset({SYNC_ERROR})
    append(backend, record("gen-2"))
    assert (waiting(path_of(backend)), rows(path_of(backend))) == (0, 2)
    append(backend, record("gen-3"))
    disk.own = frozenset()
    append(backend, record("gen-4"))
    append(backend, record("gen-5"))
    assert waiting(path_of(backend)) > 0
    assert {*ids(backend)} == {f"gen-{each}" for each in range(1, 6)}
    assert problems(backend) == ()
    backend.stop()


def test_a_backup_that_is_made_while_nothing_can_be_booked_has_what_waits(backend: Backend, tmp_path: Path) -> None:
    append(backend, record("gen-1"))
    assert isinstance(backend.store, SqliteStore)
    with closing(apsw.Connection(path_of(backend))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        backend.run(backend.store.backup(str(tmp_path / "copy.db")))
    copy = tmp_path / "copy.db"
    assert (rows(copy), number(copy, "SELECT count(*) FROM arrival_files")) == (1, 0)
    until(lambda: isinstance(backend.store, SqliteStore) and backend.store.healthy)
    assert ids(backend) == ["gen-1"]


@pytest.mark.parametrize("packed", [b"\xc1", b"\x93\x91\xa5color\x90\x91\x94\x90\x91\xa3red\x90\xc0"])
def test_what_cannot_be_booked_is_kept_and_told_and_keeps_nobody_from_it(
    backend: Backend, tmp_path: Path, packed: bytes
) -> None:
    append(backend, record("gen-1"))
    with closing(apsw.Connection(path_of(backend))) as connection:
        connection.execute("INSERT INTO arrivals (writer, arrived_at_us, records) VALUES (1, 1, ?)", (packed,))
    append(backend, record("gen-2"))
    assert {*ids(backend)} == {"gen-1", "gen-2"}
    (problem,) = problems(backend)
    assert "set aside" in problem
    with closing(apsw.Connection(path_of(backend))) as connection:
        assert connection.execute("SELECT records FROM arrivals_set_aside").get == packed
    assert isinstance(backend.store, SqliteStore)
    assert backend.store.lost == 1


def test_a_record_that_the_tables_refuse_is_set_aside_alone(backend: Backend) -> None:
    with closing(apsw.Connection(path_of(backend))) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN new.id = 'gen-bad' "
            "BEGIN SELECT raise(ABORT, 'not that one'); END"
        )
    append(backend, record("gen-1"), record("gen-bad"), record("gen-2"))
    assert {*ids(backend)} == {"gen-1", "gen-2"}
    assert ["set aside: ConstraintError: not that one" in each for each in problems(backend)] == [True]
    append(backend, record("gen-3"))
    assert {*ids(backend)} == {"gen-1", "gen-2", "gen-3"}
