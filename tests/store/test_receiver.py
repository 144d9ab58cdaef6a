"""The thread to which everything comes that is to be written: it has records on disk, and passes on the rest."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from queue import Empty

import apsw
import pytest

from arouter.domain.record import Record
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.arrival_files import ArrivalFiles, groups_above
from arouter.store.sqlite.arrivals import MOST_WAITING
from arouter.store.sqlite.connections import transaction
from arouter.store.sqlite.inbox import Inbox
from arouter.store.sqlite.items import Append, Command, Passed, Waits
from arouter.store.sqlite.prepared import id_of, unpack
from arouter.store.sqlite.receiver import Receiver
from tests.conformance.samples import opening, record
from tests.store.kept_files import OWNER


class Receiving:
    """A receiver with files of its own, and whoever takes what it passes on."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.path = connection.filename
        self.files = ArrivalFiles(durable=True)
        with transaction(connection):
            self.files.claim(connection, OWNER)
        self.files.committed()
        self.passed: Inbox[Passed] = Inbox()
        self.kept: list[str] = []
        self.healthy = True
        self.owner: int | None = OWNER
        self.receiver = self.made()

    def made(self) -> Receiver:
        return Receiver(
            self.files,
            self.passed,
            clock=lambda: 7,
            running=lambda: 0,
            owner=lambda: self.owner,
            is_healthy=lambda: self.healthy,
            kept=self._keep,
        )

    def _keep(self, appends: Sequence[Append], seconds: float) -> None:
        assert seconds == 0.0
        self.kept += [one.opening.id for one, _ in appends]

    def run(self, *asked: object) -> list[Passed]:
        """Ask for all of it at once, and wait for the end; what was passed on."""

        async def receive() -> None:
            for one in asked:
                self.receiver.inbox.put(append(one) if isinstance(one, Record) else one)  # type: ignore[arg-type]
            self.receiver.inbox.put(None)
            self.receiver.start(asyncio.get_running_loop())
            await asyncio.get_running_loop().run_in_executor(None, self.receiver.join)
            await asyncio.sleep(0)

        asyncio.run(receive())
        found: list[Passed] = []
        try:
            while True:
                found.append(self.passed.get_nowait())
        except Empty:
            return found

    def groups(self) -> list[list[str]]:
        """The records on disk, group by group."""
        assert self.files.no is not None
        return [[id_of(one) for one in unpack(group.records)[0]] for group in groups_above(self.path, self.files.no, 0)]

    def intents(self) -> list[list[str]]:
        assert self.files.no is not None
        found = [unpack(group.records)[1] for group in groups_above(self.path, self.files.no, 0)]
        assert all(owner_no == self.owner for noted in found for _, owner_no, _ in noted)
        return [[record_id for record_id, _, _ in noted] for noted in found]


def append(one: Record) -> Append:
    return one, lambda failure: None


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Receiving]:
    path = tmp_path / "arouter.db"
    SqliteStore.open(str(path), clock=lambda: 1)
    with closing(apsw.Connection(str(path))) as connection:
        made = Receiving(connection)
        yield made
        made.files.leave()


def test_records_that_come_together_are_one_group_on_disk_and_are_told(receiving: Receiving) -> None:
    passed = receiving.run(record("gen-1"), record("gen-2"))
    assert receiving.groups() == [["gen-1", "gen-2"]]
    assert receiving.kept == ["gen-1", "gen-2"]
    assert passed == [Waits.SOME, None]


def test_everything_else_is_passed_on_in_its_order_behind_the_records(receiving: Receiving) -> None:
    command = Command(run=lambda connection: None, done=lambda outcome: None)
    assert receiving.run(command, record("gen-1")) == [Waits.SOME, command, None]
    assert receiving.groups() == [["gen-1"]]


def test_intents_are_in_the_group_of_the_records_that_come_with_them(receiving: Receiving) -> None:
    passed = receiving.run([opening("gen-8")], record("gen-1"), [opening("gen-9")])
    assert (receiving.groups(), receiving.intents()) == ([["gen-1"]], [["gen-8", "gen-9"]])
    assert (passed, receiving.kept) == ([Waits.SOME, None], ["gen-1"])


def test_intents_that_are_alone_are_a_group_and_nobody_is_told(receiving: Receiving) -> None:
    assert receiving.run([opening("gen-8")]) == [Waits.SOME, None]
    assert (receiving.groups(), receiving.intents(), receiving.kept) == ([[]], [["gen-8"]], [])


def test_intents_that_nobody_owns_yet_are_passed_on_behind_the_records(receiving: Receiving) -> None:
    receiving.owner = None
    openings, one = [opening("gen-8")], append(record("gen-1"))
    assert receiving.run(openings, one) == [one, openings, None]
    assert (receiving.groups(), receiving.kept) == ([], [])


def test_intents_under_a_number_that_was_given_back_are_not_kept(receiving: Receiving) -> None:
    """The number, and the files with it, were rolled back and made anew since it was asked for: it may be another
    process's now."""
    receiving.owner = OWNER + 1
    openings, one = [opening("gen-8")], append(record("gen-1"))
    assert receiving.run(openings, one) == [one, openings, None]
    assert (receiving.groups(), receiving.kept) == ([], [])


def test_while_the_storage_refuses_nothing_is_kept(receiving: Receiving) -> None:
    receiving.healthy = False
    openings, one = [opening("gen-8")], append(record("gen-1"))
    assert receiving.run(openings, one) == [one, openings, None]
    assert (receiving.groups(), receiving.kept) == ([], [])


def test_a_group_with_a_record_that_cannot_be_stored_is_passed_on_whole(receiving: Receiving) -> None:
    passed = receiving.run(record("gen-1"), record("gen-2", model="\ud800"))
    assert [one[0].opening.id if isinstance(one, tuple) else one for one in passed] == ["gen-1", "gen-2", None]
    assert receiving.groups() == []


def test_the_writer_is_woken_when_the_first_one_waits_and_when_enough_do(receiving: Receiving) -> None:
    half = MOST_WAITING // 2
    woken = []
    for place, size in enumerate((1, half, half, half)):
        receiving.receiver = receiving.made()
        passed = receiving.run(*(record(f"gen-{place}-{each}") for each in range(size)))
        woken.append(Waits.SOME in passed)
    assert woken == [True, False, True, False]
