"""Proof that the ledger is what it should be. Everything at one instant: the caller's transaction."""

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from arouter.store.base import CheckReport
from arouter.store.postgres.adjuster import canonical_adjustment
from arouter.store.postgres.audit import check_audit
from arouter.store.postgres.credits import check_credits
from arouter.store.postgres.measures import RECORD_METERS
from arouter.store.postgres.pages import ADJUSTMENT_COLUMNS, adjustment_of
from arouter.store.postgres.rows import COLUMNS, as_json, canonical_bytes, decode_record_row, decode_row
from arouter.store.postgres.statements import queries
from arouter.store.tally import MEASURES

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

AT_ONCE = 2_000
"""So many rows are read and hashed at once."""
NO_HASH = b""
"""Before the first batch."""
_ROLLUPS = "{} sums by quarter of an hour differ from the records."
_EXPIRED = "{} days of which records have expired differ from their sums."
_COUNTED = (
    ("differing_key_days", "{} sums by key and hour differ from the roll-ups."),
    ("differing_key_hours", "{} sums by key and hour differ from the records."),
    # As spans of users: what is noted of an hour outlives its records.
    ("keys_used_later", "{} keys were used later in an hour than is noted of it."),
    ("differing_usage_days", "{} sums that budgets go by differ from the roll-ups."),
    # Wider than the records is sound: a span outlives them.
    ("user_spans_too_narrow", "{} users were seen at times that their spans do not hold."),
    ("differing_ids", "{} records and ids do not belong together."),
    ("differing_adjusted", "{} records go by another adjustment than their latest."),
    ("without_batch", "{} records and adjustments belong to no batch."),
)


async def check_ledger(connection: "Connection", dead: Sequence[int]) -> CheckReport:
    """`dead` are the numbers of the processes that are."""
    problems = []
    async for problem in _problems(connection, dead):
        problems.append(problem)
    return CheckReport(
        records=await connection.fetchval(queries("checks")["count_records"]),
        open_records=await connection.fetchval(queries("checks")["count_open"]),
        problems=tuple(problems),
    )


async def _problems(connection: "Connection", dead: Sequence[int]) -> AsyncIterator[str]:
    for name, message in (("differing_rollups", _ROLLUPS), ("differing_expired", _EXPIRED)):
        differing = await connection.fetchval(_of_sums(name))
        if differing:
            yield message.format(differing)
    for name, message in _COUNTED:
        differing = await connection.fetchval(queries("checks")[name])
        if differing:
            yield message.format(differing)
    async for problem in _chain(connection):
        yield problem
    async for problem in check_audit(connection):
        yield problem
    async for problem in check_credits(connection):
        yield problem
    left = await connection.fetchval(queries("checks")["open_of_dead"], [*dead])
    if left:
        yield f"{left} requests were left open by a process that is dead; the next start will close them."


@cache
def _of_sums(name: str) -> str:
    """The statement that compares sums with what records add to them."""
    return queries("checks")[name].format(
        records=queries("reading")["record_piece"].format(
            groups="organization_id, created_at_us, workspace_id, key_hash, model, requested_model, provider, "
            "endpoint, status, ",
            where="true",
            tags="",
            **RECORD_METERS,
        ),
        sums=", ".join(f"sum({each})::numeric AS {each}" for each in MEASURES),
        columns=", ".join(f"{each}::numeric" for each in MEASURES),
        added=", ".join(f"expired_days.{each} + coalesce(counted.{each}, 0)" for each in MEASURES),
        kept=", ".join(f"kept.{each}" for each in MEASURES),
    )


async def _chain(connection: "Connection") -> AsyncIterator[str]:
    """Each batch's digest from its records and adjustments as they are now, and its hash from the one before it."""
    records = _Digests(
        connection, queries("checks")["records_in_order"].format(columns=as_json(_of("records", COLUMNS))), _of_record
    )
    adjustments = _Digests(
        connection,
        queries("checks")["adjustments_in_order"].format(columns=as_json(_of("adjustments", ADJUSTMENT_COLUMNS))),
        _of_adjustment,
    )
    expired = await connection.fetchval(queries("checks")["expired_records"])
    no, before, missing = 0, NO_HASH, 0
    async for batch_id, number, written_at_us, count, digest, kept in connection.cursor(queries("checks")["batches"]):
        if number != no + 1:
            yield f"Batches are missing before batch {number}."
        found, number_of_rows = await (records if count else adjustments).of(number)
        if count and expired:
            # What is left of a batch of which records have expired cannot be proven by its hash.
            missing += count - number_of_rows
        if found != digest and not (expired and number_of_rows < count):
            what = f"The {count} records" if count else f"The {number_of_rows} adjustments"
            yield f"{what} of batch {number} are not what was written: their hash differs."
        if _hash(before, digest, batch_id, number, written_at_us) != kept:
            yield f"The hash of batch {number} does not follow from the one before it."
        no, before = number, kept
    if missing != expired:
        yield f"{missing} records are not there, and {expired} have expired."
    head = await connection.fetchrow(queries("checks")["head"])
    if head is None or (head["no"], head["hash"]) != (no, before):
        yield f"Batch {no} is not the last one that was written."


def _hash(before: bytes, digest: bytes, batch_id: int, no: int, written_at_us: int) -> bytes:
    return hashlib.sha256(before + digest + struct.pack(">qqq", batch_id, no, written_at_us)).digest()


def _of(table: str, columns: Sequence[str]) -> list[str]:
    return [f"{table}.{column}" for column in columns]


def _of_record(text: str) -> bytes:
    return canonical_bytes(decode_record_row(text))


def _of_adjustment(text: str) -> bytes:
    return canonical_adjustment(adjustment_of(decode_row(text)))


@dataclass(slots=True)
class _Part:
    """The rows of one batch that are read together."""

    no: int
    rows: list[bytes]


class _Digests:
    """The digests of batches, which are asked for in their order, over rows in that order."""

    def __init__(self, connection: "Connection", sql: str, canonical: Callable[[str], bytes]) -> None:
        self._connection = connection
        self._sql = sql
        self._canonical = canonical
        self._cursor: Any = None
        self._parts: list[_Part] = []

    async def of(self, no: int) -> tuple[bytes, int]:
        """The digest of a batch, and the number of its rows."""
        while not self._parts or self._parts[-1].no <= no:
            if not await self._read():
                break
        rows: list[bytes] = []
        while self._parts and self._parts[0].no <= no:
            part = self._parts.pop(0)
            if part.no == no:
                rows += part.rows
        return hashlib.sha256(b"\n".join(rows)).digest(), len(rows)

    async def _read(self) -> bool:
        if self._cursor is None:
            self._cursor = await self._connection.cursor(self._sql)
        rows = await self._cursor.fetch(AT_ONCE)
        self._parts += await asyncio.to_thread(self._parts_of, rows)
        return bool(rows)

    def _parts_of(self, rows: Sequence[Sequence[Any]]) -> list[_Part]:
        parts: list[_Part] = []
        for no, text in rows:
            if not parts or parts[-1].no != no:
                parts.append(_Part(no, []))
            parts[-1].rows.append(self._canonical(text))
        return parts
