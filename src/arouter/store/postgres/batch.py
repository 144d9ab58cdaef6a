"""What one transaction appends: prepared without I/O, then written by a few statements with many rows in each.

The order of the statements is that of everybody's locks: ids, records, sums, intents, and last the head of the chain,
which is held until the transaction has ended. So nobody waits for each other in turn, and what can be done beside
others is done before it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from arouter.domain.record import Opening, Record
from arouter.store.postgres.partitions import Month, month_of
from arouter.store.postgres.raised import Sums, columns_of, raised_by, sums_of, write_sums
from arouter.store.postgres.rows import COLUMNS, TYPES, canonical_bytes, values_of
from arouter.store.postgres.statements import queries
from arouter.store.postgres.texts import listed, unlisted

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

_TAGS = COLUMNS.index("tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records that are written together, each once, and everything that is derived from them."""

    records: Sequence[Record]
    columns: list[list[Any]]
    """Of `rows.COLUMNS`."""
    sums: Sums
    digest: bytes
    earliest_us: int
    months: frozenset[Month]


def prepared(records: Sequence[Record]) -> Batch:
    """A batch of at least one record, in the order of their ids: that is the order of locks.

    ValueError if a text is not Unicode.
    """
    once = {record.opening.id: record for record in reversed(records)}
    ordered = [once[record_id] for record_id in sorted(once)]
    rows = [values_of(record) for record in ordered]
    return Batch(
        records=ordered,
        columns=as_arrays(rows),
        sums=sums_of(raised_by(ordered)),
        digest=hashlib.sha256(b"\n".join(map(canonical_bytes, rows))).digest(),
        earliest_us=min(record.opening.created_at_us for record in ordered),
        months=frozenset(month for record in ordered if (month := month_of(record.opening.created_at_us)) is not None),
    )


def as_arrays(rows: Sequence[tuple[object, ...]]) -> list[list[Any]]:
    """Rows of the values of `COLUMNS` as columns, each to send as an array."""
    columns = columns_of(rows, tuple(TYPES.values()))
    columns[_TAGS] = [_array(tags) for tags in columns[_TAGS]]
    return columns


async def write(
    connection: "Connection",
    batch: Batch | None,
    now_us: int,
    *,
    forgotten: Sequence[str] = (),
    openings: Sequence[Opening] = (),
    owner: int = 0,
) -> int:
    """Append, within the caller's transaction, those records that are not there yet, forget intents, and remember
    others, of the process with that number; how many intents were forgotten."""
    number = 0
    if batch is not None:
        number, batch = await _only_new(connection, batch)
    if batch is not None:
        await connection.execute(add_records(), number, *batch.columns)
        await write_sums(connection, batch.sums)
    gone = await connection.fetch(queries("ledger")["forget_open"], listed(forgotten)) if forgotten else ()
    if openings:
        await _remember(connection, openings, owner)
    if batch is not None:
        await add_batch(connection, number, now_us, batch.earliest_us, len(batch.records), batch.digest)
    return len(gone)


async def add_batch(
    connection: "Connection", number: int, now_us: int, earliest_us: int, records: int, digest: bytes
) -> int:
    """The end of a transaction that appends: a place in the chain; the time of writing."""
    add = queries("ledger")["add_batch"]
    return int(await connection.fetchval(add, number, now_us, earliest_us, records, digest))


async def _only_new(connection: "Connection", batch: Batch) -> tuple[int, Batch | None]:
    """A number for the batch, and those of the records that nobody has written; from now on they are ours."""
    columns = batch.columns
    row = await connection.fetchrow(
        queries("ledger")["add_record_ids"], columns[_ID], columns[_ORGANIZATION], columns[_CREATED_AT]
    )
    assert row is not None  # an aggregate of nothing is a row, too
    new = row["ids"]
    if len(new) < len(batch.records):
        ids = set(unlisted(new))
        return row["number"], prepared([one for one in batch.records if one.opening.id in ids]) if ids else None
    return row["number"], batch


async def _remember(connection: "Connection", openings: Sequence[Opening], owner: int) -> None:
    first = {opening.id: opening for opening in reversed(openings)}
    ids = sorted(first)
    notes = [msgspec.json.encode(first[record_id]).decode() for record_id in ids]
    await connection.execute(queries("ledger")["add_open"], owner, listed(ids), listed(notes))


@cache
def add_records() -> str:
    return queries("ledger")["add_records"].format(
        columns=", ".join(COLUMNS),
        values=", ".join("tags::text[]" if column == "tags" else column for column in COLUMNS),
        arrays=", ".join(
            f"${place}::{'text' if of == 'text[]' else of}[]" for place, of in enumerate(TYPES.values(), 2)
        ),
    )


def _array(texts: Sequence[str]) -> str:
    """A list of texts as PostgreSQL writes it: there are no arrays of arrays of different lengths."""
    if not texts:
        return "{}"
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in listed(texts))
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


_ID = COLUMNS.index("id")
_ORGANIZATION = COLUMNS.index("organization_id")
_CREATED_AT = COLUMNS.index("created_at_us")
