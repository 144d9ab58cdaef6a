"""The ledger of a file in the order of writing, from rows and from the blocks of sealed days, to be moved."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Final

import apsw

from arouter.domain.adjustment import Adjustment
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Record
from arouter.store.moving import AT_ONCE, START, CopyState, Piece, Written
from arouter.store.queries import parse_queries, read_sql
from arouter.store.sqlite.adjuster import StoredAdjustment, read_adjustments
from arouter.store.sqlite.expired import has_expired_days
from arouter.store.sqlite.names import Texts, fetch, to_json
from arouter.store.sqlite.pages import tags_of
from arouter.store.sqlite.rows import COLUMNS, READ_SQL, Row, name_numbers, read_record
from arouter.store.sqlite.sealed import archive
from arouter.store.sqlite.statements import ENGINE, queries

_SEQ: Final = COLUMNS.index("seq")
_ID: Final = COLUMNS.index("id")
_USER: Final = COLUMNS.index("user_no")
_MOST_BLOCKS_KEPT: Final = 8
"""Unpacked: the next piece goes on in the same block."""

Block = tuple[Sequence[Row], Mapping[object, Sequence[int]]]
Batch = tuple[int, int, int, int]
"""Number, first and last record, time of writing."""


@cache
def moving() -> Mapping[str, str]:
    """The statements of `moving.sql`."""
    return parse_queries(read_sql(ENGINE, "moving.sql"))


def read_copy_state(connection: apsw.Connection) -> CopyState | None:
    row = connection.execute(moving()["copy_state"]).fetchone()
    if row is None:
        return None
    source, position, complete = row
    return CopyState(source=str(source), position=str(position), complete=complete == 1)


class WrittenReader:
    """Reads piece after piece, each in a transaction of the caller's, so that nothing keeps the log from shrinking."""

    def __init__(self) -> None:
        self._texts = Texts()
        self._days: object = None
        self._blocks: Sequence[tuple[int, int, int]] = ()
        self._unpacked: dict[int, Block] = {}

    def read(self, connection: apsw.Connection, after: str) -> Piece | None:
        """What comes behind a position; None at the end. StorageUnavailable if a part of it is being deleted."""
        if connection.execute(moving()["days_in_deletion"]).get:
            raise StorageUnavailable(
                "Records of this database are being deleted because their time is over. "
                "Let that end: `arouter db retention apply`."
            )
        batch_no, seq = map(int, after.split(":")) if after != START else (0, 0)
        found = connection.execute(moving()["batches_behind"], (batch_no, seq, AT_ONCE)).fetchall()
        batches = _first([(no, max(first, seq + 1), last, at_us) for no, first, last, at_us in found])  # type: ignore[type-var,misc]
        if not batches:
            return None
        last_no, _, last_seq, _ = batches[-1]
        records = self._records(connection, batches[0][1], last_seq)
        written = []
        for no, first, last, written_at_us in batches:
            if first <= last:
                some = [records[each] for each in range(first, last + 1) if each in records]
                if some:
                    written.append(Written(written_at_us=written_at_us, records=some))
            else:
                adjustments = self._adjustments(connection, read_adjustments(connection, "batch_no = ?", no))
                if adjustments:
                    written.append(Written(written_at_us=written_at_us, adjustments=adjustments))
        return Piece(written=written, position=f"{last_no}:{last_seq}")

    def _records(self, connection: apsw.Connection, first_seq: int, last_seq: int) -> Mapping[int, Record]:
        if first_seq > last_seq:
            return {}
        rows: list[Row] = fetch(connection, queries()["records_between"].format(columns=READ_SQL), first_seq, last_seq)
        known = {row[_SEQ] for row in rows}
        sealed_tags: dict[object, Sequence[int]] = {}
        if len(rows) <= last_seq - first_seq:
            for row, tags in self._sealed(connection, first_seq, last_seq):
                if row[_SEQ] not in known:
                    rows.append(row)
                    sealed_tags[row[_SEQ]] = tags
        names = self._texts.of(connection, {number for row in rows for number in name_numbers(row)})
        users: dict[object, str] = dict(
            fetch(connection, queries()["texts_of_users"], to_json([*{row[_USER] for row in rows}]))
        )
        tags_by_seq = tags_of(connection, self._texts, rows, sealed_tags)
        return {
            int(row[_SEQ] or 0): read_record(row, names, users.get(row[_USER]), tags_by_seq.get(row[_SEQ], ()))
            for row in rows
        }

    def _adjustments(self, connection: apsw.Connection, stored: Sequence[StoredAdjustment]) -> Sequence[Adjustment]:
        """With the ids of their records. Those of records that have expired are left out."""
        wanted = {one.record_seq for one in stored}
        ids: dict[int, str] = dict(fetch(connection, moving()["ids_of_rows"], to_json(sorted(wanted))))
        others = wanted - {*ids}
        if others:
            for row, _ in self._sealed(connection, min(others), max(others), others):
                ids[int(row[_SEQ] or 0)] = str(row[_ID])
        if not wanted <= {*ids} and not has_expired_days(connection):
            raise StorageUnavailable(
                "The database is damaged: adjustments belong to no record. See `arouter db check`."
            )
        return [replace(one.adjustment, record_id=ids[one.record_seq]) for one in stored if one.record_seq in ids]

    def _sealed(
        self, connection: apsw.Connection, first_seq: int, last_seq: int, wanted: set[int] | None = None
    ) -> Sequence[tuple[Row, Sequence[int]]]:
        """Sealed records from one to another, both included, or those of them that are wanted."""
        days = connection.execute(moving()["state_of_days"]).fetchone()
        if days != self._days:
            self._days, self._unpacked = days, {}
            self._blocks = connection.execute(moving()["blocks"]).fetchall()  # type: ignore[assignment]
        found = []
        for no, first, last in self._blocks:
            if last < first_seq or first > last_seq:
                continue
            if wanted is not None and not any(first <= seq <= last for seq in wanted):
                continue
            rows, tags = self._block(connection, no)
            for row in rows:
                seq = row[_SEQ]
                assert isinstance(seq, int)
                if seq in wanted if wanted is not None else first_seq <= seq <= last_seq:
                    found.append((row, tags.get(seq, ())))
        return found

    def _block(self, connection: apsw.Connection, no: int) -> Block:
        if no not in self._unpacked:
            while len(self._unpacked) >= _MOST_BLOCKS_KEPT:
                del self._unpacked[next(iter(self._unpacked))]
            present, size, data = connection.execute(queries()["time_block"], (no,)).fetchone() or (0, 0, b"")
            columns = archive("columns")
            self._unpacked[no] = columns.to_rows(columns.unpack(present, size, data))
        return self._unpacked[no]


def _first(batches: Sequence[Batch]) -> Sequence[Batch]:
    """As many as make a piece; the last one may be cut."""
    chosen: list[Batch] = []
    room = AT_ONCE
    for no, first, last, at_us in batches:
        if room <= 0:
            break
        size = last - first + 1
        if size > room:
            chosen.append((no, first, first + room - 1, at_us))
            break
        chosen.append((no, first, last, at_us))
        room -= max(1, size)
    return chosen
