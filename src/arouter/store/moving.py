"""What is moved from one database to another, and what each backend does for it (`Movable`).

Three kinds of things are moved:

- **Tables** that are the same everywhere (`MOVED`): their rows are moved as they are, whatever columns they have. A new
  table of that kind is one line here.
- **The ledger**: records and adjustments, in the order in which they were written, each with the time of writing. The
  target appends them as if they came from requests, so that all sums, numbers and hashes are its own.
- **What the records do not tell any more**: when users were seen, and the sums of records that have expired.

`NOT_MOVED` says of every other table why it is not.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from arouter.domain.adjustment import Adjustment
from arouter.domain.errors import StorageUnavailable
from arouter.domain.record import Record
from arouter.store.base import CheckReport

MOVED: Final = (
    "organizations",
    "workspaces",
    "home",
    "members",
    "invitations",
    "logins",
    "recovery_codes",
    "sessions",
    "sign_in_attempts",
    "audit",
    "keys",
    "provider_keys",
    "guardrails",
    "user_rules",
    "credits",
    "credit_pools",
)
"""In an order in which rows never name what comes later. A column that one of two databases lacks may only be moved as
long as nothing is in it."""

BIG_NUMBERS: Final = frozenset({"credit_pools.cost_at_end"})
"""Columns (`table.column`) whose numbers may have more than 64 bits: SQLite keeps them as decimal text."""

_RECORDS: Final = "moved as records"
_SUMS: Final = "made anew from the records; of expired records moved as sums"
_SEALED: Final = "moved as records; the target seals its days itself"
_RUNNING: Final = "belongs to running processes"
_DERIVED: Final = "made anew"

NOT_MOVED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "adjusted": _RECORDS,
        "adjustments": _RECORDS,
        "arrival_files": _RUNNING,
        "arrivals": "booked before anything is read",
        "arrivals_set_aside": "could not be booked here: the check of the source tells of them",
        "audit_ends": _DERIVED,
        "batches": "made anew: the target has its own chain of hashes",
        "copies": "says where a copy is",
        "counter_uses": "of windows of a minute or so, which are over",
        "day_blocks": _DERIVED,
        "directory_changes": "of the source's revisions",
        "directory_revision": "grows by one in the target",
        "end_users": _RECORDS,
        "expired_days": _SUMS,
        "folded_days": _DERIVED,
        "key_hours": _SUMS,
        "leases": _RUNNING,
        "ledger_head": "made anew: the target has its own chain of hashes",
        "names": _RECORDS,
        "needed_version": "each database has its own",
        "open_records": _RUNNING,
        "own_key_hours": _SUMS,
        "owners": _RUNNING,
        "record_ids": _RECORDS,
        "record_tags": _RECORDS,
        "records": _RECORDS,
        "rollups": _SUMS,
        "schema_version": "each database has its own",
        "sealed_days": _SEALED,
        "sealed_ids": _SEALED,
        "time_blocks": _SEALED,
        "usage_days": _SUMS,
        "user_blocks": _SEALED,
        "user_spans": "widened by what the source knows",
    }
)

START: Final = ""
"""The position before everything that a ledger holds."""
AT_ONCE: Final = 2_000
"""So many records, or rows, are moved at once."""

Value = str | int | bytes | None
Row = tuple[Value, ...]
"""A flag is 0 or 1; a sum is an integer of any size."""


class Sums:
    """Streams of rows that are no tables of their own. Those that are moved, and those that are compared only."""

    SPANS: Final = "user_spans"
    """organization_id, end_user, key_hash, workspace_id, first_seen_us, last_seen_us."""
    EXPIRED_DAYS: Final = "expired_days"
    """organization_id, day, and `tally.MEASURES` of what has expired."""
    EXPIRED_ROLLUPS: Final = "expired_rollups"
    """Those of `ROLLUPS` that are of days of which records have expired, and what is left of these."""
    EXPIRED_KEY_HOURS: Final = "expired_key_hours"
    """Those of `KEY_HOURS` that are of days of which records have expired, and when the key was used last."""
    ROLLUPS: Final = "rollups"
    """`ROLLUP_KEY`, and `tally.MEASURES`."""
    KEY_HOURS: Final = "key_hours"
    """key_hash, hour, cost, cost on own keys."""
    USAGE_DAYS: Final = "usage_days"
    """scope, scope_id, day, requests, tokens, cost."""


ROLLUP_KEY: Final = (
    "organization_id",
    "slot",
    "workspace_id",
    "key_hash",
    "end_user",
    "model",
    "requested_model",
    "provider",
    "endpoint",
    "status",
)
LEFT_BEHIND: Final = (Sums.SPANS, Sums.EXPIRED_DAYS, Sums.EXPIRED_ROLLUPS, Sums.EXPIRED_KEY_HOURS)
"""What is moved beside the ledger, in this order."""
COMPARED: Final = (Sums.SPANS, Sums.EXPIRED_DAYS, Sums.ROLLUPS, Sums.KEY_HOURS, Sums.USAGE_DAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written at one time: records, or adjustments."""

    written_at_us: int
    records: Sequence[Record] = ()
    adjustments: Sequence[Adjustment] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of the ledger, and the position behind it."""

    written: Sequence[Written]
    position: str

    @property
    def records(self) -> int:
        return sum(len(one.records) for one in self.written)

    @property
    def adjustments(self) -> int:
        return sum(len(one.adjustments) for one in self.written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some rows of a table."""

    table: str
    columns: Sequence[str]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyState:
    """How far a copy into a database has come."""

    source: str
    position: str
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a database holds."""

    records: int
    adjustments: int
    """Of records that have expired, too. Those name a record that nobody knows any more, and are not moved."""
    others: Sequence[str]
    """The tables that have more in them than a new database has."""


class Movable(Protocol):
    """A database that can be read and written as a whole. For one copy at a time, on one event loop."""

    async def start(self) -> None:
        """StorageUnavailable, with a text for the operator, if the database cannot be used."""

    async def close(self) -> None: ...

    async def identity(self) -> str | None:
        """What tells the database from others, and from itself before more of its records expired. None if nobody has
        used it."""

    async def held(self) -> Held: ...

    async def living(self) -> int:
        """The processes that may write to it."""

    # ------------------------------------------------------------ the source

    def written(self, after: str) -> AsyncIterator[Piece]:
        """The ledger behind a position, in the order of writing."""

    def rows(self, table: str) -> AsyncIterator[Rows]:
        """Everything in a table of `MOVED`, or in a stream of `Sums`; nothing if there is no such table."""

    # ------------------------------------------------------------ the target

    async def copy_state(self) -> CopyState | None:
        """None if nothing was ever copied into it."""

    async def begin_copy(self, source: str) -> None:
        """From now on the database is a copy that is not complete."""

    async def load(self, piece: Piece) -> None:
        """Append, and remember the position, in one transaction."""

    async def replace(self, rows: AsyncIterator[Rows]) -> None:
        """Put the rows of `MOVED` in place of those that are there, and those of `LEFT_BEHIND` beside the records, in
        one transaction. May be done again."""

    async def end_copy(self) -> None:
        """The copy is complete."""

    async def check(self) -> CheckReport:
        """As `Ledger.check`."""


def refuse_unfinished(state: CopyState | None) -> None:
    """StorageUnavailable if a database is a copy that is not complete: nobody else may write to it."""
    if state is not None and not state.complete:
        raise StorageUnavailable(
            "This database is a copy that is not complete: some of what is to be in it is not there yet. "
            "Run the same `arouter db copy` again."
        )


def fitting(rows: Rows, there: Sequence[str]) -> tuple[Sequence[str], Sequence[Row]]:
    """The columns that a target has, and the rows without the others. StorageUnavailable if one of those says anything,
    or if there is no such table."""
    lacking = [place for place, column in enumerate(rows.columns) if column not in there]
    if not lacking:
        return rows.columns, rows.rows
    for place in lacking:
        # What nobody has set: unknown, or a list of nothing.
        if any(row[place] not in (None, "[]") for row in rows.rows):
            raise StorageUnavailable(
                f"The target has no place for {rows.table}.{rows.columns[place]}, which is in use."
            )
    kept = [place for place in range(len(rows.columns)) if place not in lacking]
    return [rows.columns[place] for place in kept], [tuple(row[place] for place in kept) for row in rows.rows]


# ---------------------------------------------------------------- comparing

_encode = msgspec.json.Encoder().encode
_MODULUS: Final = 1 << 256


@dataclass(slots=True)
class Fingerprint:
    """Of many things, in whatever order: their number, and a digest that is another one if any of them is."""

    count: int = 0
    digest: int = 0

    def add(self, data: bytes) -> None:
        self.count += 1
        self.digest = (self.digest + int.from_bytes(hashlib.sha256(data).digest())) % _MODULUS

    def add_rows(self, rows: Rows) -> None:
        """Columns by their names, whatever their order; unknown values count as columns that are not there."""
        order = sorted(range(len(rows.columns)), key=lambda place: rows.columns[place])
        names = [rows.columns[place] for place in order]
        for row in rows.rows:
            told = [(name, row[place]) for name, place in zip(names, order, strict=True)]
            self.add(repr([pair for pair in told if pair[1] not in (None, "[]")]).encode())

    def add_record(self, record: Record, written_at_us: int) -> None:
        self.add(b"%d %s" % (written_at_us, _encode(record)))

    def add_adjustment(self, adjustment: Adjustment, written_at_us: int, place: int) -> None:
        self.add(b"%d %d %s" % (written_at_us, place, _encode(adjustment)))
