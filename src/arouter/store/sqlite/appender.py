"""What becomes of records: intents remembered, records appended once, roll-ups raised.

Everything is written with as few statements as can be, many rows in each: every step of SQLite gives the
interpreter's lock away, and getting it back from a busy event loop takes longer than the step.

Rows get their numbers here. `batches` chains a hash over the records of every group that was acknowledged together, so
that a change made behind the ledger's back shows.
"""

import hashlib
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import apsw
import msgspec

from arouter.domain.record import Record
from arouter.store.sqlite.folded import folded_beyond_us
from arouter.store.sqlite.names import Numbers, to_json
from arouter.store.sqlite.prepared import Noted, Prepared, id_of, prepare_all
from arouter.store.sqlite.rollups import raise_rollups, sums_of_keys
from arouter.store.sqlite.rows import NAMED, PLAIN, STORED, all_canonical_bytes
from arouter.store.sqlite.sealed import NOTHING_SEALED, SealedIds, sealed_ids, which_are_sealed
from arouter.store.sqlite.statements import chunks, insert, insert_rows, queries
from arouter.store.sqlite.usage_days import raise_usage_days

NO_HASH = b""
"""Before the first batch."""

_TAG_COLUMNS = ("seq", "position", "tag_no")
_BatchRow = tuple[int, int, int, int, int, bytes]
_BATCH_COLUMNS = ("no", "first_seq", "last_seq", "written_at_us", "earliest_us", "hash")
_OPEN_COLUMNS = ("id", "owner_no", "opening")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A row of `batches`."""

    no: int
    last_seq: int
    written_at_us: int
    hash: bytes


_NO_BATCH = Batch(no=0, last_seq=0, written_at_us=0, hash=NO_HASH)


Group = tuple[int, Sequence[Prepared]]
"""Records that were acknowledged together, and when that was: a batch."""


class Appender:
    """Appends within a transaction that the caller began. Lives on the writer's thread."""

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._last: Batch | None = None
        self._folded_beyond_us = 0
        self._version: int | None = None
        self._sealed: SealedIds | None = None

    @property
    def numbers(self) -> Numbers:
        """Of names and users, for whatever else is written in the same transactions."""
        return self._numbers

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._numbers.forget()
        self._version = None

    def forget_last(self) -> None:
        """Something else may have added to the chain, or sealed a day, in this transaction."""
        self._last = None
        self._sealed = None

    def open(self, connection: apsw.Connection, noted: Sequence[Noted]) -> None:
        """Remember intents, but for those whose record is there."""
        closed = already_there(connection, [record_id for record_id, _, _ in noted])
        insert_rows(connection, "add_open", _OPEN_COLUMNS, [intent for intent in noted if intent[0] not in closed])

    def append(
        self, connection: apsw.Connection, records: Sequence[Record], now_us: int, *, new: bool = False
    ) -> Sequence[ValueError | None]:
        """Append what is not there yet; what was wrong with each record, None if nothing.

        A record that cannot be stored does not keep the others from being written. If the caller says that all are
        `new`, that is not looked up: apsw.ConstraintError if one is not, and the caller rolls back.
        """
        prepared, problems = prepare_all(records)
        if any(problems):
            forgive(connection, records, problems)
        self.append_groups(connection, [(now_us, prepared)], new=new)
        return problems

    def append_groups(self, connection: apsw.Connection, groups: Sequence[Group], *, new: bool = False) -> None:
        """The same of records in which nothing is wrong, in the order of their groups."""
        ids = [id_of(one) for _, prepared in groups for one in prepared]
        known = self._sealed_of(connection, ids) if new else already_there(connection, ids)
        if not known and len({*ids}) == len(ids):
            self._write(connection, [group for group in groups if group[1]])
            return
        fresh: list[Group] = []
        for at_us, prepared in groups:
            some = []
            for one in prepared:
                record_id = id_of(one)
                if record_id not in known:
                    known.add(record_id)
                    some.append(one)
            if some:
                fresh.append((at_us, some))
        self._write(connection, fresh)

    def close(self, connection: apsw.Connection, record_ids: Sequence[str]) -> None:
        """Forget the intents of records that were appended."""
        connection.execute(queries()["forget_open"], (to_json(record_ids),))

    def pass_over(self, connection: apsw.Connection, records: int, earliest_us: int) -> None:
        """Give numbers to records that had expired before they came here: a batch of which nothing is there."""
        last, batches = self._last_batch(connection), list[_BatchRow]()
        seq = last.last_seq + records
        self._last = _next_batch(last, seq, last.written_at_us, earliest_us, last.hash, batches)
        insert_rows(connection, "add_batches", _BATCH_COLUMNS, batches)

    def _write(self, connection: apsw.Connection, groups: Sequence[Group]) -> None:
        """Groups of which none is empty."""
        if not groups:
            return
        last = self._last_batch(connection)
        first_seq = last.last_seq + 1
        records = [one for _, prepared in groups for one in prepared]
        names = self._numbers.all_names(connection, [one[2] for one in records])
        users = self._users(connection, records, names)
        written: list[int] = []
        batches: list[_BatchRow] = []
        for at_us, prepared in groups:
            written_at_us = max(at_us, last.written_at_us)
            begun = len(written)
            written += [written_at_us] * len(prepared)
            seqs = range(first_seq + begun, first_seq + len(written))
            hashed = last.hash + all_canonical_bytes(seqs, written_at_us, users[begun : len(written)], prepared)
            earliest_us = min([plain[_CREATED_AT] for _, plain, _, _ in prepared])
            last = _next_batch(last, seqs[-1], written_at_us, earliest_us, hashed, batches)
        tag_rows = [
            (seq, position, self._numbers.name(connection, tag))
            for seq, (tags, _, _, _) in enumerate(records, first_seq)
            if tags
            for position, tag in enumerate(tags)
        ]
        _insert(connection, first_seq, written, users, records, names)
        insert_rows(connection, "add_tags", _TAG_COLUMNS, tag_rows)
        last_seq = last.last_seq
        own_keys = any(plain[_IS_BYOK] for _, plain, _, _ in records)
        of_keys = sums_of_keys(connection, self._numbers, first_seq, last_seq)
        raise_rollups(connection, self._numbers, of_keys, first_seq, last_seq, own_keys=own_keys)
        raise_usage_days(connection, self._numbers, of_keys, first_seq, last_seq)
        connection.execute(queries()["widen_user_spans"], (first_seq, last_seq))
        if min([earliest_us for _, _, _, _, earliest_us, _ in batches]) < self._folded_beyond_us:
            connection.execute(queries()["unfold_days_of_records"], (first_seq, last_seq))
        insert_rows(connection, "add_batches", _BATCH_COLUMNS, batches)
        self._last = last

    def _users(
        self, connection: apsw.Connection, records: Sequence[Prepared], names: Sequence[tuple[Any, ...]]
    ) -> Sequence[int | None]:
        """The number of each record's user, None if it has none."""
        there = [
            (named[_ORGANIZATION], user)
            for (_, _, _, user), named in zip(records, names, strict=True)
            if user is not None
        ]
        numbers = self._numbers.users(connection, there)
        if len(numbers) == len(records):
            return numbers
        given = iter(numbers)
        return [None if user is None else next(given) for _, _, _, user in records]

    def _sealed_of(self, connection: apsw.Connection, record_ids: Sequence[str]) -> set[str]:
        """Those of the records that are in sealed days, where they stand in the way of nothing."""
        self._look(connection)
        if self._sealed is None:
            self._sealed = sealed_ids(connection)
        if self._sealed is NOTHING_SEALED:
            return set()
        return which_are_sealed(connection, self._sealed, record_ids)

    def _last_batch(self, connection: apsw.Connection) -> Batch:
        """The end of the chain; asked of the database only if somebody else may have added to it, and with it up to
        when there are columns."""
        self._look(connection)
        if self._last is None:
            self._last = last_batch(connection)
            self._folded_beyond_us = folded_beyond_us(connection)
        return self._last

    def _look(self, connection: apsw.Connection) -> None:
        """Forget what somebody else may have changed, if anybody else has committed since the last look. What this
        connection commits does not count."""
        version = connection.pragma("data_version")
        if version != self._version:
            self._version = version
            self.forget_last()


def _insert(
    connection: apsw.Connection,
    first_seq: int,
    written: Sequence[int],
    users: Sequence[int | None],
    records: Sequence[Prepared],
    names: Sequence[tuple[Any, ...]],
) -> None:
    """Insert rows of records: when each was written, the number of its user, what it is, the numbers of its names."""
    rows = zip(count(first_seq), written, users, records, names, strict=False)
    for piece in chunks(range(len(records))):
        values: list[Any] = []
        for seq, written_at_us, user_no, (tags, plain, _, _), named in islice(rows, len(piece)):
            values += (seq, written_at_us, user_no, len(tags))
            values += plain
            # The last one is the last of all: see `STORED`.
            values.pop()
            values += named
            values.append(plain[-1])
        connection.execute(insert("add_records", STORED, (), len(piece)), values)


def _next_batch(
    last: Batch, seq: int, written_at_us: int, earliest_us: int, hashed: bytes, rows: list[_BatchRow]
) -> Batch:
    """The batch behind `last`, up to the record `seq`; its row is added to `rows`."""
    made = Batch(no=last.no + 1, last_seq=seq, written_at_us=written_at_us, hash=hashlib.sha256(hashed).digest())
    rows.append((made.no, last.last_seq + 1, seq, written_at_us, earliest_us, made.hash))
    return made


def already_there(connection: apsw.Connection, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that have a record."""
    try:
        text = to_json(ids)
    except UnicodeEncodeError:
        text = to_json([each for each in ids if each.isascii()])
    rows = set(msgspec.json.decode(connection.execute(queries()["which_are_there"], (text,)).get, type=list[str]))
    return rows | which_are_sealed(connection, sealed_ids(connection), [each for each in ids if each not in rows])


def forgive(
    connection: apsw.Connection, records: Sequence[Record], problems: MutableSequence[ValueError | None]
) -> None:
    """Of a record that is there, or comes along with one that is sound, nothing is wrong: it changes nothing."""
    seen: set[str] = set()
    for place, record in enumerate(records):
        record_id = record.opening.id
        if problems[place] is None:
            seen.add(record_id)
        elif record_id in seen or already_there(connection, [record_id]):
            problems[place] = None


def last_batch(connection: apsw.Connection) -> Batch:
    """The end of the chain."""
    row = connection.execute(queries()["last_batch"]).fetchone()
    if row is None:
        return _NO_BATCH
    no, last_seq, written_at_us, digest = row
    return Batch(no=no, last_seq=last_seq, written_at_us=written_at_us, hash=digest)


_CREATED_AT = PLAIN.index("created_at_us")
_IS_BYOK = PLAIN.index("is_byok")
_ORGANIZATION = NAMED.index("organization_no")
