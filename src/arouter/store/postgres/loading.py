"""Many batches of records that were written elsewhere, appended with a few statements.

What `batch.write` does for one transaction's records is done here for many at once, each batch with its own time of
writing: the chain of hashes is made here instead of in the database.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Record
from arouter.store.moving import Written
from arouter.store.postgres.batch import as_arrays
from arouter.store.postgres.partitions import Month, month_of
from arouter.store.postgres.raised import Sums, raised_by, sums_of, write_sums
from arouter.store.postgres.rows import COLUMNS, TYPES, canonical_bytes, values_of
from arouter.store.postgres.statements import queries

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

_ID: Final = COLUMNS.index("id")
_ORGANIZATION: Final = COLUMNS.index("organization_id")
_CREATED_AT: Final = COLUMNS.index("created_at_us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Batches of records, prepared without I/O."""

    written: Sequence[Written]
    columns: list[list[Any]]
    """Of `rows.COLUMNS`, over all batches."""
    places: list[int]
    """Of each record in its batch, from 1, in the order of ids."""
    digests: Sequence[bytes]
    sums: Sums
    months: frozenset[Month]


def prepared_batches(written: Sequence[Written]) -> Batches:
    """Of things written that are records."""
    rows: list[tuple[object, ...]] = []
    places: list[int] = []
    digests: list[bytes] = []
    records: list[Record] = []
    for one in written:
        ordered = sorted(one.records, key=lambda record: record.opening.id)
        values = [values_of(record) for record in ordered]
        digests.append(hashlib.sha256(b"\n".join(map(canonical_bytes, values))).digest())
        places += range(1, len(ordered) + 1)
        rows += values
        records += ordered
    times = {record.opening.created_at_us for record in records}
    return Batches(
        written=written,
        columns=as_arrays(rows),
        places=places,
        digests=digests,
        sums=sums_of(raised_by(records)),
        months=frozenset(month for at_us in times if (month := month_of(at_us)) is not None),
    )


async def write_batches(connection: "Connection", batches: Batches) -> None:
    """Append, within the caller's transaction. StorageUnavailable if a record is there already."""
    columns = batches.columns
    row = await connection.fetchrow(
        queries("ledger")["add_record_ids"], columns[_ID], columns[_ORGANIZATION], columns[_CREATED_AT]
    )
    if row is None or len(row["ids"]) != len(batches.places):
        raise StorageUnavailable("Records are there already that were to be copied.")
    rows = await connection.fetch(queries("moving")["next_batches"], len(batches.written))
    numbers = [row[0] for row in rows]
    of_records = [number for number, one in zip(numbers, batches.written, strict=True) for _ in range(len(one.records))]
    await connection.execute(_add_records(), of_records, batches.places, *columns)
    await write_sums(connection, batches.sums)
    await _chain(connection, batches, numbers)


async def _chain(connection: "Connection", batches: Batches, numbers: Sequence[int]) -> None:
    no, written_at_us, digest = await connection.fetchrow(queries("moving")["lock_head"]) or (0, 0, b"")
    rows = []
    for number, one, own in zip(numbers, batches.written, batches.digests, strict=True):
        no, written_at_us = no + 1, max(written_at_us, one.written_at_us)
        digest = hashlib.sha256(digest + own + struct.pack(">qqq", number, no, written_at_us)).digest()
        earliest_us = min(record.opening.created_at_us for record in one.records)
        rows.append((number, no, written_at_us, earliest_us, len(one.records), own, digest))
    await connection.execute(queries("moving")["add_batches"], *map(list, zip(*rows, strict=True)))
    await connection.execute(queries("moving")["set_head"], no, written_at_us, digest)


@cache
def _add_records() -> str:
    return queries("moving")["add_records"].format(
        columns=", ".join(COLUMNS),
        values=", ".join("tags::text[]" if column == "tags" else column for column in COLUMNS),
        arrays=", ".join(
            f"${place}::{'text' if of == 'text[]' else of}[]" for place, of in enumerate(TYPES.values(), 3)
        ),
    )
