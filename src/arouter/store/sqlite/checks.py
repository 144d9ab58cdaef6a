"""Proof that the ledger is what it should be."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import cast

import apsw

from arouter.domain.record import Status
from arouter.store.base import CheckReport
from arouter.store.sqlite.adjuster import StoredAdjustment, read_adjustments
from arouter.store.sqlite.appender import NO_HASH
from arouter.store.sqlite.audit import check_audit
from arouter.store.sqlite.names import Texts, fetch, numbers_of
from arouter.store.sqlite.owners import living_owners
from arouter.store.sqlite.pages import tags_of
from arouter.store.sqlite.rows import COLUMNS, READ_SQL, Row, name_numbers, read_canonical
from arouter.store.sqlite.statements import effective_cost, queries, sums

MOST_AT_ONCE = 5_000
_SEQ = COLUMNS.index("seq")


def check_ledger(connection: apsw.Connection, path: str) -> CheckReport:
    """Everything at one instant: the caller's read transaction."""
    problems = [
        *_engine(connection),
        *_rollups(connection),
        *_chain(connection),
        *check_audit(connection),
        *_owners(connection, path),
    ]
    return CheckReport(
        records=_number(connection, "count_records"),
        open_records=_number(connection, "count_open"),
        problems=tuple(problems),
    )


def _engine(connection: apsw.Connection) -> Iterator[str]:
    for (message,) in connection.execute("PRAGMA integrity_check").fetchall():
        if message != "ok":
            yield f"The database is damaged: {message}"
    missing: dict[tuple[object, object], int] = {}
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        missing[table, parent] = missing.get((table, parent), 0) + 1
    for (table, parent), rows in missing.items():
        yield f"{rows} rows of {table} refer to rows of {parent} that are not there."


def _rollups(connection: apsw.Connection) -> Iterator[str]:
    statuses = numbers_of(connection, (Status.SUCCESS.value, Status.REJECTED.value))
    counted = sums(success=statuses.get(Status.SUCCESS.value, 0), rejected=statuses.get(Status.REJECTED.value, 0))
    differing = int(connection.execute(queries()["differing_rollups"].format(sums=counted)).get)
    if differing:
        yield f"{differing} sums by hour differ from the records."
    differing = int(connection.execute(queries()["differing_key_hours"].format(cost=effective_cost())).get)
    if differing:
        yield f"{differing} sums by key and hour differ from the records."
    differing = _number(connection, "differing_adjusted")
    if differing:
        yield f"{differing} records go by another adjustment than their latest."


def _chain(connection: apsw.Connection) -> Iterator[str]:
    """Each batch's hash, from the one before it and its records as they are now."""
    texts = Texts()
    with_adjustments = set(fetch(connection, queries()["batches_with_adjustments"]))
    no, last_seq, digest = 0, 0, NO_HASH
    while batches := connection.execute(queries()["batches_after"], (no,)).fetchall():
        for batch in batches:
            number, first_seq, seq, _, _, stored = cast(tuple[int, int, int, int, int, bytes], batch)
            if number != no + 1 or first_seq != last_seq + 1:
                yield f"Batches are missing before batch {number}."
            adjustments = read_adjustments(connection, "batch_no = ?", number) if number in with_adjustments else ()
            if _digest(connection, texts, digest, (first_seq, seq), adjustments) != stored:
                what = f"The records {first_seq} to {seq}" if first_seq <= seq else f"The adjustments of batch {number}"
                yield f"{what} are not what was written: their hash differs."
            no, last_seq, digest = number, seq, stored
    beyond = _number(connection, "last_seq")
    if beyond > last_seq:
        yield f"The records after {last_seq} belong to no batch."


def _digest(
    connection: apsw.Connection,
    texts: Texts,
    before: bytes,
    records: tuple[int, int],
    adjustments: Sequence[StoredAdjustment],
) -> bytes:
    """The hash of a batch with the records from one to another, both included, and those adjustments."""
    chain = hashlib.sha256(before)
    first_seq, last_seq = records
    sql = queries()["records_between"].format(columns=READ_SQL)
    for start in range(first_seq, last_seq + 1, MOST_AT_ONCE):
        rows: list[Row] = fetch(connection, sql, start, min(start + MOST_AT_ONCE - 1, last_seq))
        rows.sort(key=lambda row: row[_SEQ] or 0)
        numbers = {number for row in rows for number in name_numbers(row)}
        names = texts.of(connection, numbers)
        tags = tags_of(connection, texts, rows)
        for row in rows:
            chain.update(read_canonical(row, names, tags.get(row[_SEQ], ())))
    for adjustment in adjustments:
        chain.update(adjustment.canonical_bytes())
    return chain.digest()


def _owners(connection: apsw.Connection, path: str) -> Iterator[str]:
    alive, _ = living_owners(connection, path)
    left = sum(owner not in alive for owner, _ in fetch(connection, queries()["open_of_others"], "[]"))
    if left:
        yield f"{left} requests were left open by a process that is dead; the next start will close them."


def _number(connection: apsw.Connection, name: str) -> int:
    return int(connection.execute(queries()[name]).get)
