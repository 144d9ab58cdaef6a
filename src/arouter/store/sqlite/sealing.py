"""Past days of records are sealed while requests go on: their rows become blocks.

A day of one organization goes through three states, each step a transaction of a few milliseconds between those of
others. Its blocks are written, and nobody sees them; one small transaction makes them hold; the rows are deleted, and
nobody sees those any more. Records that come later for such a day stay rows.

A process that seals holds a lock on a file beside the database, which dies with it. Whoever takes the lock next finds
days that are half done: blocks that nobody saw are deleted, rows that are sealed too.
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import sub
from typing import Any, Final

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Status
from arouter.store.buckets import SLOTS_OF_DAY
from arouter.store.sqlite.connections import connect_reader, storage_errors, transaction
from arouter.store.sqlite.names import fetch, numbers_of, to_json
from arouter.store.sqlite.rollups import ROLLUP_SUMS
from arouter.store.sqlite.sealed import DAY_US, Day, DayState, archive
from arouter.store.sqlite.statements import queries, sums
from arouter.store.sqlite.writer import Writer
from arouter.store.stores import Expired

_STEP_S: Final = 0.006
"""What a transaction that deletes should take; it takes as much as that allows."""
_FEWEST_ROWS: Final = 16
_MOST_ROWS: Final = 1_000
_BLOCKS_AT_ONCE: Final = 8
_MOST_REST_S: Final = 0.05

OnProgress = Callable[[int], None]
"""Is told, on the sealing thread, how many more records are sealed and cleared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsealedDay:
    """Of one organization: `day` counts from the epoch, `records` are its rows."""

    organization_no: int
    organization_id: str
    day: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What was done: days and records that were sealed."""

    days: int
    records: int


class SealingStopped(StorageUnavailable):
    """The store is being closed."""

    def __init__(self, message: str = "The storage is closed.") -> None:
        super().__init__(message)


class Sealer:
    """Seals from a thread that may take its time. `stop` may be called from any other."""

    def __init__(self, path: str, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._stopping = threading.Event()
        self._rows = _FEWEST_ROWS

    def stop(self) -> None:
        self._stopping.set()

    def unsealed(self, before_us: int) -> Sequence[UnsealedDay]:
        """The days that ended by an instant and are not sealed, oldest first."""
        with self._reading() as connection:
            return _unsealed(connection, before_us)

    def seal(self, before_us: int, on_progress: OnProgress = lambda records: None) -> Sealed | None:
        """Seal every day that ended by an instant; None if another process is at it.

        StorageUnavailable if the storage fails, or the archive's libraries are not installed.
        """
        with self._alone() as alone:
            if not alone:
                return None
            self.finish()
            days = self.unsealed(before_us)
            sealed = [self._seal(day.organization_no, day.day, on_progress) for day in days]
            return Sealed(days=len(days), records=sum(sealed))

    def finish(self) -> None:
        """Bring to an end what a process left half done. The caller is alone."""
        with self._reading() as connection:
            left = _days_in_change(connection)
        for day, state, records in left:
            if state == DayState.CLEARING:
                self._clear(day, records, lambda done: None)
            elif state == DayState.FORGETTING:
                self._expire(day)
            else:
                self._forget(day)

    def expire(
        self, default_days: int | None, now_us: int, on_progress: OnProgress = lambda records: None
    ) -> Expired | None:
        """Delete the records of days that ended longer ago than each organization, or the default, says.

        None if another process is at it. Days of 24 hours; None as default keeps everything.
        """
        with self._alone() as alone:
            if not alone:
                return None
            self.finish()
            count = records = 0
            with self._reading() as connection:
                days = [*_days_to_expire(connection, default_days, now_us)]
            for organization_no, day in days:
                found = self._chore(partial(_begin_forgetting, organization_no=organization_no, day=day))
                gone = self._expire(found)
                on_progress(gone)
                count, records = count + 1, records + gone
            return Expired(days=count, records=records)

    # ------------------------------------------------------------ one day

    def _expire(self, day: Day) -> int:
        """Note what the records of a day that nobody sees any more add up to, and delete them; how many there were."""
        place = (day.organization_no, day.day * SLOTS_OF_DAY, (day.day + 1) * SLOTS_OF_DAY)
        with self._reading() as connection, transaction(connection, "DEFERRED"):
            noted = _sums_that_expire(connection, day, place)
            before = _noted_before(connection, day)
        self._chore(lambda connection: _note_expired(connection, day, noted))
        while self._chore(lambda connection: self._clear_some(connection, day)):
            pass
        self._forget(day)
        return noted[0] - before

    def _seal(self, organization_no: int, day: int, on_progress: OnProgress) -> int:
        made = archive("writer")
        found = self._chore(lambda connection: _begin(connection, organization_no, day))
        with self._reading() as connection:
            by_time = self._write(made.by_time(made.read_rows(connection, found), found))
            by_user = self._write(made.by_user(connection, found))
            rows = int(connection.execute(queries()["count_rows_to_seal"], found.rows).get)
        if not rows == by_time == by_user:
            self._forget(found)
            raise StorageUnavailable(f"Day {day} has {rows} records, its blocks {by_time} and {by_user}: not sealed.")
        self._chore(lambda connection: _set_state(connection, found, DayState.CLEARING, rows))
        self._clear(found, rows, on_progress)
        return rows

    def _write(self, steps: Iterator[Any]) -> int:
        records = 0
        for step in steps:
            self._chore(step.write)
            records += step.records
        return records

    def _clear(self, day: Day, records: int, on_progress: OnProgress) -> None:
        """Delete the rows that the day's blocks hold."""
        while count := self._chore(lambda connection: self._clear_some(connection, day)):
            on_progress(count)
        self._chore(lambda connection: _set_state(connection, day, DayState.SEALED, records))

    def _clear_some(self, connection: apsw.Connection, day: Day) -> int:
        started_s = time.perf_counter()
        seqs = fetch(connection, queries()["rows_to_clear"], *day.rows, self._rows)
        if seqs:
            connection.execute(queries()["clear_tags"], (to_json(seqs),))
            connection.execute(queries()["clear_rows"], (to_json(seqs),))
        took_s = time.perf_counter() - started_s
        if len(seqs) == self._rows:
            faster = min(2.0, _STEP_S / max(took_s, 1e-6))
            self._rows = max(_FEWEST_ROWS, min(_MOST_ROWS, int(self._rows * faster)))
        return len(seqs)

    def _forget(self, day: Day) -> None:
        """Delete blocks that nobody sees."""
        for name in ("forget_time_blocks", "forget_user_blocks", "forget_sealed_ids"):
            while self._chore(partial(_delete, name=name, day_no=day.no)):
                pass
        self._chore(lambda connection: _forget_day(connection, day))

    # ------------------------------------------------------------ around it

    def _chore(self, run: Callable[[apsw.Connection], Any]) -> Any:
        """One step; afterwards as much time is left to others as it took."""
        if self._stopping.is_set():
            raise SealingStopped()
        started_s = time.perf_counter()
        result = self._writer.chore(run)
        if self._stopping.wait(min(_MOST_REST_S, time.perf_counter() - started_s)):
            raise SealingStopped()
        return result

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        self._writer.book()
        with storage_errors():
            connection = connect_reader(self._path)
            try:
                yield connection
            finally:
                connection.close()

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other process seals; none begins within."""
        descriptor = os.open(f"{self._path}-sealing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


def _unsealed(connection: apsw.Connection, before_us: int) -> Sequence[UnsealedDay]:
    end_us = before_us // DAY_US * DAY_US
    days = []
    organization_no = 0
    while (found := connection.execute(queries()["next_organization"], (organization_no,)).get) is not None:
        organization_no = int(found)
        (organization_id,) = fetch(connection, queries()["texts_of_names"], to_json([organization_no]))[0][1:]
        start_us = 0
        while (day := _next_day(connection, organization_no, start_us, end_us)) is not None:
            start_us = (day + 1) * DAY_US
            if not connection.execute(queries()["is_in_archive"], (organization_no, day)).get:
                place = (organization_no, day * DAY_US, start_us, 2**63 - 1)
                records = int(connection.execute(queries()["count_rows_to_seal"], place).get)
                days.append(
                    UnsealedDay(
                        organization_no=organization_no, organization_id=organization_id, day=day, records=records
                    )
                )
    return sorted(days, key=lambda each: each.day)


def _next_day(connection: apsw.Connection, organization_no: int, start_us: int, end_us: int) -> int | None:
    day = connection.execute(queries()["next_day"], (organization_no, start_us, end_us)).get
    return None if day is None else int(day)


def _begin(connection: apsw.Connection, organization_no: int, day: int) -> Day:
    connection.execute(queries()["begin_day"], (organization_no, day))
    no = connection.last_insert_rowid()
    last_seq = int(connection.execute(queries()["last_seq_of_day"], (no,)).get)
    return Day(no=no, organization_no=organization_no, day=day, last_seq=last_seq)


def _days_in_change(connection: apsw.Connection) -> Sequence[tuple[Day, int, int]]:
    """Days with their state and number of records."""
    found = fetch(connection, queries()["days_in_change"])
    return [
        (Day(no=no, organization_no=organization_no, day=day, last_seq=last_seq), state, records)
        for no, organization_no, day, last_seq, state, records in found
    ]


def _set_state(connection: apsw.Connection, day: Day, state: DayState, records: int) -> None:
    connection.execute(queries()["set_day_state"], (int(state), records, day.no))


def _days_to_expire(connection: apsw.Connection, default_days: int | None, now_us: int) -> Iterator[tuple[int, int]]:
    """Organizations and days with records that are kept no longer."""
    for organization_no, _, own_days in fetch(connection, queries()["retention_of_organizations"]):
        kept_days = default_days if own_days is None else own_days
        if kept_days is not None:
            before = (now_us - kept_days * DAY_US) // DAY_US
            days = {*fetch(connection, queries()["sealed_days_before"], organization_no, before)}
            start_us = 0
            while (day := _next_day(connection, organization_no, start_us, before * DAY_US)) is not None:
                days.add(day)
                start_us = (day + 1) * DAY_US
            for day in sorted(days):
                yield organization_no, day


def _begin_forgetting(connection: apsw.Connection, organization_no: int, day: int) -> Day:
    connection.execute(queries()["begin_forgetting"], (organization_no, day))
    row = connection.execute(queries()["day_of_organization"], (organization_no, day)).fetchone()
    assert row is not None
    no, last_seq = row
    assert isinstance(no, int)
    assert isinstance(last_seq, int)
    return Day(no=no, organization_no=organization_no, day=day, last_seq=last_seq)


def _sums_that_expire(connection: apsw.Connection, day: Day, slots: tuple[int, int, int]) -> tuple[int, ...]:
    """The day's sums, without the records that came since it began to expire."""
    columns = ", ".join(f"coalesce(sum({column}), 0)" for column in ROLLUP_SUMS)
    kept = connection.execute(queries()["sums_of_slots"].format(columns=columns), slots).fetchone()
    statuses = numbers_of(connection, (Status.SUCCESS.value, Status.REJECTED.value))
    counted = sums(success=statuses.get(Status.SUCCESS.value, 0), rejected=statuses.get(Status.REJECTED.value, 0))
    later = f"{queries()['sums_of_rows']} AND seq > ?".format(sums=counted)
    left = connection.execute(later, day.rows).fetchone()
    assert kept is not None
    assert left is not None
    return tuple(map(sub, kept, left))


def _noted_before(connection: apsw.Connection, day: Day) -> int:
    return int(connection.execute(queries()["expired_requests"], (day.organization_no, day.day)).get or 0)


def _note_expired(connection: apsw.Connection, day: Day, noted: tuple[int, ...]) -> None:
    columns = ("organization_no", "day", *ROLLUP_SUMS)
    sql = queries()["note_expired"].format(columns=", ".join(columns), places=", ".join("?" * len(columns)))
    connection.execute(sql, (day.organization_no, day.day, *noted))


def _forget_day(connection: apsw.Connection, day: Day) -> None:
    connection.execute(queries()["forget_day"], (day.no,))


def _delete(connection: apsw.Connection, name: str, day_no: int) -> int:
    connection.execute(queries()[name], (day_no, _BLOCKS_AT_ONCE))
    return connection.changes()
