"""Proof that the ledger is what it should be."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from operator import add
from typing import Any, cast

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Status
from arouter.store.base import CheckReport
from arouter.store.buckets import SLOT_US, SLOTS_OF_DAY
from arouter.store.sqlite.adjuster import StoredAdjustment, read_adjustments
from arouter.store.sqlite.appender import NO_HASH
from arouter.store.sqlite.audit import check_audit
from arouter.store.sqlite.credits import check_credits
from arouter.store.sqlite.expired import expired_records, has_expired_days
from arouter.store.sqlite.folded import differing_days
from arouter.store.sqlite.names import Texts, fetch, numbers_of
from arouter.store.sqlite.owners import living_owners
from arouter.store.sqlite.pages import tags_of
from arouter.store.sqlite.rollups import ROLLUP_COLUMNS, ROLLUP_SUMS, whole_cost
from arouter.store.sqlite.rows import COLUMNS, READ_SQL, Row, name_numbers, read_canonical
from arouter.store.sqlite.sealed import DAY_US, Day, archive, has_sealed_days
from arouter.store.sqlite.statements import effective_cost, queries, sums

MOST_AT_ONCE = 5_000
HOURS_OF_DAY = 24
_SEQ = COLUMNS.index("seq")
_COST = ROLLUP_SUMS.index("cost_units")


def check_ledger(connection: apsw.Connection, path: str) -> CheckReport:
    """Everything at one instant: the caller's read transaction."""
    parts = (
        _engine(connection),
        _arrivals(connection),
        _rollups(connection),
        _chain(connection),
        check_audit(connection),
        check_credits(connection),
        _owners(connection, path),
    )
    problems = [problem for part in parts for problem in _found(part)]
    return CheckReport(
        records=_number(connection, "count_records"),
        open_records=_number(connection, "count_open"),
        problems=tuple(problems),
    )


def _found(part: Iterator[str]) -> Iterator[str]:
    """What a part of the check finds; a block that cannot be read ends the part, and is found too."""
    try:
        yield from part
    except StorageUnavailable as failure:
        yield failure.message


def _engine(connection: apsw.Connection) -> Iterator[str]:
    for (message,) in connection.execute("PRAGMA integrity_check").fetchall():
        if message != "ok":
            yield f"The database is damaged: {message}"
    missing: dict[tuple[object, object], int] = {}
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        missing[table, parent] = missing.get((table, parent), 0) + 1
    for (table, parent), rows in missing.items():
        yield f"{rows} rows of {table} refer to rows of {parent} that are not there."


def _arrivals(connection: apsw.Connection) -> Iterator[str]:
    for (reason,) in connection.execute(queries()["why_set_aside"]).fetchall():
        yield f"Records that arrived could not be booked, and are set aside: {reason}"


def _rollups(connection: apsw.Connection) -> Iterator[str]:
    statuses = _statuses(connection)
    counted = sums(success=statuses[0], rejected=statuses[1])
    cost = effective_cost()
    in_blocks = has_sealed_days(connection) or has_expired_days(connection)
    differing = int(connection.execute(queries()["differing_rollups"].format(sums=counted)).get)
    own_keys = dict(_own_keys_of_rows(connection))
    for day in _sealed_days(connection):
        if archive("checking").copies_differ(connection, day):
            yield f"The two copies of the records of day {day.day}, organization {day.organization_no}, differ."
        more, spent = _differing_of_day(connection, day, statuses)
        differing += more
        for place, (units, rest) in spent.items():
            before = own_keys.get(place, (0, 0))
            own_keys[place] = (before[0] + units, before[1] + rest)
    differing += _differing_of_expired(connection, counted)
    if differing:
        yield f"{differing} sums by quarter of an hour differ from the records."
    # Of records that are no rows the sums by quarter were compared, and what is by hour is compared with those.
    sql = queries()["differing_key_hours_of_sums" if in_blocks else "differing_key_hours"]
    differing = int(connection.execute(sql.format(cost=cost)).get)
    if differing:
        yield f"{differing} sums by key and hour differ from the records."
    # As spans of users: what is noted of an hour outlives its records.
    late = _number(connection, "keys_used_later")
    if late:
        yield f"{late} keys were used later in an hour than is noted of it."
    # Wider than the records is sound: a span outlives them.
    narrow = _number(connection, "user_spans_too_narrow")
    if narrow:
        yield f"{narrow} users were seen at times that their spans do not hold."
    differing = _differing_own_keys(connection, own_keys)
    if differing:
        yield f"{differing} sums of requests on own keys differ from the records."
    differing = differing_days(connection)
    if differing:
        yield f"{differing} days have columns that differ from their sums; `arouter db fold --anew` makes them anew."
    by_day = queries()["differing_usage_days"].format(rejected=statuses[1])
    differing = int(connection.execute(by_day).get)
    if differing:
        yield f"{differing} sums that budgets go by differ from the roll-ups."
    differing = _number(connection, "differing_adjusted")
    if differing:
        yield f"{differing} records go by another adjustment than their latest."


def _differing_own_keys(connection: apsw.Connection, counted: Mapping[tuple[int, int], tuple[int, int]]) -> int:
    """Days that have expired for anybody are left out: what ran on own keys is known of records only."""
    expired = {*fetch(connection, queries()["days_expired_anywhere"])}
    kept = {
        (key_no, hour): (units, rest) for key_no, hour, units, rest in fetch(connection, queries()["own_key_hours"])
    }
    differing = {*counted.items()} ^ {*kept.items()}
    return len({place for place, _ in differing if place[1] // HOURS_OF_DAY not in expired})


def _statuses(connection: apsw.Connection) -> tuple[int, int]:
    numbers = numbers_of(connection, (Status.SUCCESS.value, Status.REJECTED.value))
    return numbers.get(Status.SUCCESS.value, 0), numbers.get(Status.REJECTED.value, 0)


def _own_keys_of_rows(connection: apsw.Connection) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    sql = queries()["own_key_hours_of_rows"].format(cost=effective_cost())
    for key_no, hour, units, rest in fetch(connection, sql):
        yield (key_no, hour), (units, rest)


def _sealed_days(connection: apsw.Connection) -> Sequence[Day]:
    """Those whose blocks hold."""
    return [
        Day(no=no, organization_no=organization_no, day=day, last_seq=last_seq)
        for no, organization_no, day, last_seq in fetch(connection, queries()["sealed_days"])
    ]


def _differing_of_day(
    connection: apsw.Connection, day: Day, statuses: tuple[int, int]
) -> tuple[int, Mapping[tuple[int, int], tuple[int, int]]]:
    """Of a sealed day: differing roll-ups, and what its blocks hold of requests on own keys by key and hour."""
    sql = queries()["rollups_of_rows"].format(
        columns=", ".join(ROLLUP_COLUMNS), sums=sums(success=statuses[0], rejected=statuses[1])
    )

    def counted(day: Day, slot: int) -> Sequence[Sequence[int]]:
        found: Sequence[Sequence[int]] = fetch(
            connection, sql, day.organization_no, slot * SLOT_US, (slot + 1) * SLOT_US, day.last_seq
        )
        return found

    grouping = archive("sums").Grouping(ranges=None, columns=(), success=statuses[0], rejected=statuses[1])
    found: tuple[int, Mapping[tuple[int, int], tuple[int, int]]] = archive("checking").differing_rollups(
        connection, day, grouping, counted
    )
    return found


def _chain(connection: apsw.Connection) -> Iterator[str]:
    """Each batch's hash, from the one before it and its records as they are now."""
    reader = _ChainReader(connection)
    with_adjustments = set(fetch(connection, queries()["batches_with_adjustments"]))
    no, last_seq, digest = 0, 0, NO_HASH
    while batches := connection.execute(queries()["batches_after"], (no,)).fetchall():
        for batch in batches:
            number, first_seq, seq, _, _, stored, blocks_of = cast(
                tuple[int, int, int, int, int, bytes, int | None], batch
            )
            if number != no + 1 or first_seq != last_seq + 1:
                yield f"Batches are missing before batch {number}."
            adjustments = read_adjustments(connection, "batch_no = ?", number) if number in with_adjustments else ()
            found = reader.digest(digest, (first_seq, seq), adjustments, blocks_of)
            if found is not None and found != stored:
                what = f"The records {first_seq} to {seq}" if first_seq <= seq else f"The adjustments of batch {number}"
                yield f"{what} are not what was written: their hash differs."
            no, last_seq, digest = number, seq, stored
    beyond = _number(connection, "last_seq")
    if beyond > last_seq:
        yield f"The records after {last_seq} belong to no batch."
    expired = expired_records(connection)
    if expired is not None and reader.missing != expired:
        yield f"{reader.missing} records are not there, and {expired} have expired."


class _ChainReader:
    """Reads the records of batches, in their order, from rows and from blocks."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._texts = Texts()
        self._sealed = archive("checking").SealedRows(connection) if has_sealed_days(connection) else None
        self._may_miss = has_expired_days(connection)
        self.missing = 0
        """Records that are neither rows nor in blocks."""

    def digest(
        self,
        before: bytes,
        records: tuple[int, int],
        adjustments: Sequence[StoredAdjustment],
        blocks_of: int | None,
    ) -> bytes | None:
        """The hash of a batch with the records from one to another, both included, and those adjustments.

        None where records have expired: what is left of such a batch cannot be proven by its hash.
        """
        first_seq, last_seq = records
        if blocks_of is not None:
            return self._digest_of_blocks(before, blocks_of, last_seq - first_seq + 1)
        chain = hashlib.sha256(before)
        found = 0
        for start in range(first_seq, last_seq + 1, MOST_AT_ONCE):
            for canonical in self._canonical(start, min(start + MOST_AT_ONCE - 1, last_seq)):
                chain.update(canonical)
                found += 1
        for adjustment in adjustments:
            chain.update(adjustment.canonical_bytes())
        missing = max(0, last_seq - first_seq + 1 - found)
        self.missing += missing
        return None if missing and self._may_miss else chain.digest()

    def _digest_of_blocks(self, before: bytes, day_no: int, records: int) -> bytes | None:
        digest, found = archive("checking").blocks_hash(self._connection, day_no, before)
        self.missing += records - found
        return None if found < records and self._may_miss else cast(bytes, digest)

    def _canonical(self, first_seq: int, last_seq: int) -> Iterator[bytes]:
        sql = queries()["records_between"].format(columns=READ_SQL)
        rows: list[Row] = fetch(self._connection, sql, first_seq, last_seq)
        sealed_tags: dict[object, Sequence[int]] = {}
        if self._sealed is not None:
            known = {row[_SEQ] for row in rows}
            for row, tags in self._sealed.take(first_seq, last_seq):
                if row[_SEQ] not in known:
                    rows.append(row)
                    sealed_tags[row[_SEQ]] = tags
        rows.sort(key=lambda row: row[_SEQ] or 0)
        names = self._texts.of(self._connection, {number for row in rows for number in name_numbers(row)})
        tags_by_seq = tags_of(self._connection, self._texts, rows, sealed_tags)
        for row in rows:
            yield read_canonical(row, names, tags_by_seq.get(row[_SEQ], ()))


def _differing_of_expired(connection: apsw.Connection, counted: str) -> int:
    """Days of which records have expired: what was noted of those, and the records that are left, make the sums."""
    columns = ", ".join(f"sum({column})" for column in ROLLUP_SUMS)
    differing = 0
    for organization_no, day, *noted in fetch(
        connection, queries()["expired_days"].format(columns=", ".join(ROLLUP_SUMS))
    ):
        slots = (organization_no, day * SLOTS_OF_DAY, (day + 1) * SLOTS_OF_DAY)
        kept = connection.execute(queries()["sums_of_slots"].format(columns=columns), slots).fetchone()
        left = connection.execute(
            queries()["sums_of_rows"].format(sums=counted), (organization_no, day * DAY_US, (day + 1) * DAY_US)
        ).fetchone()
        assert left is not None
        differing += _with_whole_cost(kept or ()) != _with_whole_cost(tuple(map(add, noted, left)))
    return differing


def _with_whole_cost(sums: Sequence[Any]) -> tuple[int, ...]:
    """The cost as one number: sums that came from elsewhere have it in other parts."""
    return (*sums[:_COST], whole_cost(*sums[_COST : _COST + 2]), *sums[_COST + 2 :])


def _owners(connection: apsw.Connection, path: str) -> Iterator[str]:
    alive, _ = living_owners(connection, path)
    left = sum(owner not in alive for owner, _ in fetch(connection, queries()["open_of_others"], "[]"))
    if left:
        yield f"{left} requests were left open by a process that is dead; the next start will close them."


def _number(connection: apsw.Connection, name: str) -> int:
    return int(connection.execute(queries()[name]).get)
