"""Processes that keep records in files beside one database, as far as the store's own code knows of processes: each has
a pair of files, a connection, and books."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import apsw

from arouter.store.sqlite import disk
from arouter.store.sqlite.appender import Appender
from arouter.store.sqlite.arrival_files import ArrivalFiles, groups_above, paths_of, rows_of
from arouter.store.sqlite.arrivals import Arrivals, has_arrivals
from arouter.store.sqlite.connections import transaction
from arouter.store.sqlite.owners import Owner
from arouter.store.sqlite.prepared import Noted, Prepared, id_of, note_all, pack, prepare
from tests.conformance.samples import opening, record

Does = Callable[[], object]
Meanwhile = Callable[[Does], AbstractContextManager[None]]


class FailingDisk(disk.Disk):
    """Does what it is told not to."""

    def __init__(self) -> None:
        self.writes = True
        self.writes_half = False
        self.syncs = True

    def heal(self) -> None:
        self.writes, self.writes_half, self.syncs = True, False, True

    def write(self, file: int, pieces: Sequence[bytes], offset: int) -> None:
        if self.writes_half:
            whole = b"".join(pieces)
            super().write(file, [whole[: len(whole) // 2]], offset)
        if self.writes_half or not self.writes:
            raise OSError("the disk does not take it")
        super().write(file, pieces, offset)

    def sync(self, file: int) -> None:
        if not self.syncs:
            raise OSError("the disk does not say that it has it")
        super().sync(file)


@contextmanager
def failing_disk() -> Iterator[FailingDisk]:
    made = FailingDisk()
    disk.use(made)
    try:
        yield made
    finally:
        disk.stop_using(made)


def prepared(record_id: str, **changes: Any) -> Prepared:
    return prepare(record(record_id, **changes))


OWNER = 1
"""Of the intents of whoever has no place among the owners."""


def noted(*record_ids: str, owner: int) -> list[Noted]:
    return note_all([opening(record_id) for record_id in record_ids], owner)


class Keeper:
    """A process: it keeps, and books what waits, its own and that of others."""

    def __init__(self, path: str | Path, *, durable: bool = True) -> None:
        self.connection = apsw.Connection(str(path))
        self.connection.set_busy_timeout(5_000)
        self.files = ArrivalFiles(durable=durable)
        self._appender = Appender()
        self.arrivals = Arrivals(self._appender, self.files)
        self.at_us = 1
        self.owner = OWNER
        self.refused: list[Prepared] = []
        """What could not be kept: it is booked at once, by the next transaction."""
        self.refused_intents: list[Noted] = []
        """The same of intents."""

    def claim(self) -> "Keeper":
        with transaction(self.connection):
            self.files.claim(self.connection, self.owner)
        self.arrivals.committed()
        return self

    @property
    def no(self) -> int:
        assert self.files.no is not None
        return self.files.no

    def keep(self, *record_ids: str, opened: Sequence[str] = (), **changes: Any) -> bool:
        """Whether they are acknowledged. The intents that are `opened` come with them."""
        self.at_us += 1
        some = [prepared(record_id, **changes) for record_id in record_ids]
        intents = noted(*opened, owner=self.owner)
        kept = self.files.keep(some, pack(some, intents), self.at_us, intents) is not None
        if not kept:
            self.refused += some
            self.refused_intents += intents
        return kept

    def book(self, *, meanwhile: Does = lambda: None, fails: bool = False) -> list[str]:
        """In one transaction, and what was refused behind it; the ids of that. `meanwhile` comes before the commit,
        which `fails`."""
        more, intents = [*self.refused], [*self.refused_intents]
        try:
            with transaction(self.connection):
                self.arrivals.book(self.connection, (self.at_us, more))
                self._appender.open(self.connection, intents)
                meanwhile()
                if fails:
                    raise apsw.IOError
        except apsw.ConstraintError:
            self._forget()
            assert self.arrivals.beware()
            return self.book()
        except apsw.IOError:
            self._forget()
            return []
        self.arrivals.committed()
        del self.refused[: len(more)], self.refused_intents[: len(intents)]
        return [id_of(one) for one in more]

    def _forget(self) -> None:
        self._appender.forget()
        self.arrivals.forget()

    def end(self) -> None:
        """As a process that is killed: it lets go of everything, and what waits waits."""
        self.files.leave()
        self.connection.close()

    def end_in_peace(self) -> None:
        self.book()
        self.connection.execute("DELETE FROM arrival_files WHERE no = ?", (self.no,))
        self.files.drop()
        self.connection.close()


class Registered(Keeper):
    """One that has a place among the owners."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path
        self.place = Owner(path, 1)
        with transaction(self.connection):
            self.owner = self.place.register(self.connection)
            self.files.claim(self.connection, self.owner)
        self.arrivals.committed()

    def meanwhile(self) -> None:
        """What others do between the booking and what is asked for behind it."""

    def die(self) -> None:
        self.end()
        self.place.forget()


def files_of(path: str, no: int) -> list[Path]:
    """Those of a pair that are there."""
    return [Path(each) for each in paths_of(path, no) if Path(each).exists()]


def numbers(path: str, no: int, above: int = 0) -> list[int]:
    """Of the groups that wait in a pair."""
    return [group.no for group in groups_above(path, no, above)]


def booked(path: str | Path) -> list[str]:
    """The ids that are in the tables, in their order."""
    with closing(apsw.Connection(str(path))) as connection:
        return [str(each) for (each,) in connection.execute("SELECT id FROM records ORDER BY seq")]


def opened(path: str | Path) -> list[str]:
    """The ids of the intents that are remembered in the table."""
    with closing(apsw.Connection(str(path))) as connection:
        return [str(each) for (each,) in connection.execute("SELECT id FROM open_records ORDER BY id")]


def booked_through(path: str | Path) -> dict[int, int]:
    with closing(apsw.Connection(str(path))) as connection:
        return dict(rows_of(connection))


def waits(path: str | Path) -> bool:
    """Whether a view that is made now misses anything."""
    with closing(apsw.Connection(str(path))) as connection:
        return has_arrivals(connection)


def at_every_call(run: Callable[[Meanwhile], object], calls: Sequence[object]) -> int:
    """Run it again and again; how often. `with meanwhile(does)` in it: there another process does something. That
    happens before the first of the `calls` of the system, the next time behind that, then before the second one, and
    so on.
    """
    place = 0
    while _interrupted_at(place, run, calls):
        place += 1
    return place


def _interrupted_at(place: int, run: Callable[[Meanwhile], object], calls: Sequence[object]) -> bool:
    seen = 0

    @contextmanager
    def meanwhile(does: Does) -> Iterator[None]:
        def look(_: FrameType | None, event: str, called: object) -> None:
            nonlocal seen
            if event in ("c_call", "c_return") and any(called is each for each in calls):
                seen += 1
                if seen == place + 1:
                    sys.setprofile(None)
                    does()

        sys.setprofile(look)
        try:
            yield
        finally:
            sys.setprofile(None)

    run(meanwhile)
    return seen > place
