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
from arouter.store.sqlite.rows import COLUMNS, canonical_bytes, named_texts, plain_values
from arouter.store.sqlite.statements import chunks, insert, queries
from arouter.store.tally import Measures, added, measures

HOUR_US = 3_600_000_000
NO_HASH = b""
"""Before the first batch."""

ROLLUP_KEY = (
    "hour",
    "organization_no",
    "workspace_no",
    "key_no",
    "user_no",
    "model_no",
    "provider_no",
    "endpoint_no",
    "status_no",
)
ROLLUP_SUMS = (
    "requests",
    "errors",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost_units",
    "cost_rest",
    "requests_without_usage",
    "requests_without_price",
    "latency_us",
    "requests_with_latency",
)
ROLLUP_COLUMNS = ROLLUP_KEY + ROLLUP_SUMS
_KEY_HOUR_COLUMNS = ("key_no", "hour", "requests", "cost_units", "cost_rest")
_TAG_COLUMNS = ("seq", "position", "tag_no")
_OPEN_COLUMNS = ("id", "owner_no", "opening")
_COST = 7
"""The place of the cost in `tally.MEASURES`."""
_MICRO = 1_000_000


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
    rollups: dict[tuple[int, ...], Measures] = field(default_factory=dict)
    """By the values of `ROLLUP_KEY`, those of `ROLLUP_SUMS`."""


class Appender:
    """Appends within a transaction that the caller began. Lives on the writer's thread."""

    def __init__(self) -> None:
        self._numbers = Numbers()

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._numbers.forget()

    def open(self, connection: apsw.Connection, openings: Sequence[Opening], owner_no: int) -> None:
        """Remember intents, but for those whose record is there."""
        closed = already_there(connection, [opening.id for opening in openings])
        rows = [
            (opening.id, owner_no, msgspec.json.encode(opening)) for opening in openings if opening.id not in closed
        ]
        _insert(connection, "add_open", _OPEN_COLUMNS, rows)

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
        canonical = canonical_bytes((seq, written_at_us, user_no, tags, plain, texts))
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
        adding = _stored(measures(record))
        before = pending.rollups.get(key)
        pending.rollups[key] = adding if before is None else added(before, adding)
        return canonical


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


def cost_parts(cost: int) -> tuple[int, int]:
    """A sum of costs as units of a million picodollars and the rest, as SQLite divides: towards zero."""
    units, rest = divmod(abs(cost), _MICRO)
    return (-units, -rest) if cost < 0 else (units, rest)


def whole_cost(units: int, rest: int) -> int:
    return units * _MICRO + rest


_CREATED_AT = COLUMNS.index("created_at_us")


def _write(connection: apsw.Connection, pending: _Pending) -> None:
    _insert(connection, "add_records", COLUMNS, pending.rows)
    _insert(connection, "add_tags", _TAG_COLUMNS, pending.tags)
    rollups = [(*key, *sums) for key, sums in sorted(pending.rollups.items())]
    _insert(connection, "add_rollups", ROLLUP_COLUMNS, rollups, ROLLUP_SUMS)
    _insert(connection, "add_key_hours", _KEY_HOUR_COLUMNS, _key_hours(pending.rollups))


def _stored(sums: Measures) -> tuple[int, ...]:
    return (*sums[:_COST], *cost_parts(sums[_COST]), *sums[_COST + 1 :])


def _key_hours(rollups: dict[tuple[int, ...], Measures]) -> list[tuple[object, ...]]:
    hours: dict[tuple[int, int], Measures] = {}
    for (hour, _, _, key_no, *_), sums in rollups.items():
        adding = (sums[0], *sums[_COST : _COST + 2])
        before = hours.get((key_no, hour))
        hours[key_no, hour] = adding if before is None else added(before, adding)
    return [(*key, *sums) for key, sums in sorted(hours.items())]


def _insert(
    connection: apsw.Connection,
    name: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
    sums: tuple[str, ...] = (),
) -> None:
    for piece in chunks(rows):
        values: list[object] = []
        for row in piece:
            values += row
        connection.execute(insert(name, columns, sums, len(piece)), values)


def _ids(records: Iterable[Record], problems: Iterable[ValueError | None]) -> str:
    return to_json([record.opening.id for record, problem in zip(records, problems, strict=True) if problem is None])


def _or_none(number: int | None) -> int:
    """0 stands for none where a column is a part of the primary key."""
    return 0 if number is None else number
