"""What one transaction does to the ledger: intents remembered, records appended once, roll-ups raised.

Everything is written with as few statements as can be, many rows in each: every step of SQLite gives the
interpreter's lock away, and getting it back from a busy event loop takes longer than the step.

Rows get their numbers here. `batches` chains a hash over every transaction's records, so that a change made
behind the ledger's back shows.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import apsw
import msgspec

from arouter.domain.record import Opening, Record
from arouter.store.limits import check_numbers
from arouter.store.sqlite.names import Numbers, to_json
from arouter.store.sqlite.rollups import HOUR_US, RollupKey, StoredSums, raise_rollups, stored
from arouter.store.sqlite.rows import COLUMNS, canonical_bytes, named_texts, plain_values
from arouter.store.sqlite.statements import insert_rows, queries
from arouter.store.tally import added, measures

NO_HASH = b""
"""Before the first batch."""

_TAG_COLUMNS = ("seq", "position", "tag_no")
_OPEN_COLUMNS = ("id", "owner_no", "opening")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A row of `batches`."""

    no: int
    last_seq: int
    written_at_us: int
    hash: bytes


@dataclass(slots=True)
class _Pending:
    """What a transaction is going to write."""

    rows: list[tuple[object, ...]] = field(default_factory=list)
    tags: list[tuple[object, ...]] = field(default_factory=list)
    rollups: dict[RollupKey, StoredSums] = field(default_factory=dict)


class Appender:
    """Appends within a transaction that the caller began. Lives on the writer's thread."""

    def __init__(self) -> None:
        self._numbers = Numbers()

    @property
    def numbers(self) -> Numbers:
        """Of names and users, for whatever else is written in the same transactions."""
        return self._numbers

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._numbers.forget()

    def open(self, connection: apsw.Connection, openings: Sequence[Opening], owner_no: int) -> None:
        """Remember intents, but for those whose record is there."""
        closed = already_there(connection, [opening.id for opening in openings])
        encoded = [(opening.id, _encoded(opening)) for opening in openings if opening.id not in closed]
        rows = [(record_id, owner_no, note) for record_id, note in encoded if note is not None]
        insert_rows(connection, "add_open", _OPEN_COLUMNS, rows)

    def append(
        self, connection: apsw.Connection, records: Sequence[Record], now_us: int
    ) -> Sequence[ValueError | None]:
        """Append what is not there yet; what was wrong with each record, None if nothing.

        A record that cannot be stored does not keep the others from being written.
        """
        last = last_batch(connection)
        written_at_us = max(now_us, last.written_at_us)
        known = already_there(connection, [record.opening.id for record in records])
        pending = _Pending()
        chain = hashlib.sha256(last.hash)
        seq = last.last_seq
        problems: list[ValueError | None] = []
        for record in records:
            problem = None
            if record.opening.id not in known:
                try:
                    chain.update(self._add(connection, pending, record, seq + 1, written_at_us))
                except ValueError as exc:
                    problem = exc
                else:
                    seq += 1
                    known.add(record.opening.id)
            problems.append(problem)
        if pending.rows:
            _write(connection, pending)
            earliest_us = min(row[_CREATED_AT] for row in pending.rows)  # type: ignore[type-var]
            batch = (last.no + 1, last.last_seq + 1, seq, written_at_us, earliest_us, chain.digest())
            connection.execute(queries()["add_batch"], batch)
        connection.execute(queries()["forget_open"], (_ids(records, problems),))
        return problems

    def _add(
        self, connection: apsw.Connection, pending: _Pending, record: Record, seq: int, written_at_us: int
    ) -> bytes:
        """Prepare the rows of one record; its canonical bytes."""
        check_numbers(record)
        opening = record.opening
        tags = opening.tags
        plain = plain_values(record)
        texts = named_texts(record)
        named = self._numbers.names(connection, texts)
        organization_no, workspace_no, key_no, endpoint_no, status_no, _, _, model_no, provider_no, *_ = named
        user_no = None if opening.user is None else self._numbers.user(connection, organization_no, opening.user)
        tag_nos = [self._numbers.name(connection, tag) for tag in tags]
        canonical = canonical_bytes((seq, written_at_us, user_no), tags, plain, texts)
        # Nothing above has touched `pending`: a ValueError leaves no half of the record behind.
        pending.rows.append((seq, written_at_us, user_no, len(tags), *plain, *named))
        pending.tags += [(seq, position, tag_no) for position, tag_no in enumerate(tag_nos)]
        key = (
            opening.created_at_us // HOUR_US,
            organization_no,
            workspace_no,
            key_no,
            _or_none(user_no),
            _or_none(model_no),
            _or_none(provider_no),
            endpoint_no,
            status_no,
        )
        adding = stored(measures(record))
        before = pending.rollups.get(key)
        pending.rollups[key] = adding if before is None else added(before, adding)
        return canonical


def _encoded(opening: Opening) -> bytes | None:
    """An intent as it is kept; None for one that cannot be: its record could not be either, and is refused."""
    try:
        return msgspec.json.encode(opening)
    except UnicodeEncodeError:
        return None


def already_there(connection: apsw.Connection, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that have a record."""
    try:
        text = to_json(ids)
    except UnicodeEncodeError:
        text = to_json([each for each in ids if each.isascii()])
    return set(msgspec.json.decode(connection.execute(queries()["which_are_there"], (text,)).get, type=list[str]))


def last_batch(connection: apsw.Connection) -> Batch:
    """The end of the chain."""
    row = connection.execute(queries()["last_batch"]).fetchone()
    if row is None:
        return Batch(no=0, last_seq=0, written_at_us=0, hash=NO_HASH)
    no, last_seq, written_at_us, digest = row
    return Batch(no=no, last_seq=last_seq, written_at_us=written_at_us, hash=digest)


_CREATED_AT = COLUMNS.index("created_at_us")


def _write(connection: apsw.Connection, pending: _Pending) -> None:
    insert_rows(connection, "add_records", COLUMNS, pending.rows)
    insert_rows(connection, "add_tags", _TAG_COLUMNS, pending.tags)
    raise_rollups(connection, pending.rollups)


def _ids(records: Iterable[Record], problems: Iterable[ValueError | None]) -> str:
    return to_json([record.opening.id for record, problem in zip(records, problems, strict=True) if problem is None])


def _or_none(number: int | None) -> int:
    """0 stands for none where a column is a part of the primary key."""
    return 0 if number is None else number
