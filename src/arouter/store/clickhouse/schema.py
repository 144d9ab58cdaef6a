"""The tables of the copy: their names, and the statements that make them.

A copy that is made anew gets tables with the next number in their names: whoever still writes to the old ones cannot
touch it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from arouter.store.buckets import DAY_US, SLOT_US
from arouter.store.queries import parse_queries, read_sql
from arouter.store.tally import MEASURES

ENGINE: Final = "clickhouse"
PERIOD_US: Final = 32 * DAY_US
"""Whole days, about a month."""
EIGHT_US: Final = 8 * DAY_US
DAYS_BY_USER: Final = "days_by_user"
PROJECTIONS: Final = (
    "by_time",
    "user_totals",
    "users_by_32_days",
    "users_by_8_days",
    "users_by_day",
    DAYS_BY_USER,
    "days",
    "quarters",
)
"""What is kept beside the rows, in another order or added up. One that is changed gets another name: see
`upgrade_statements`."""
_BEFORE: Final = ("users", "user_periods", "user_days", "days_of_users", "slots")
"""Those that older copies have, and nobody reads any more."""
USER_HASH: Final = "sipHash64(ifNull(user, ''))"
"""What the sums by day of users are found by. Not by their names, in whose order the rows are: the index of all rows
would be looked through for them first."""
_BLOCK_BYTES: Final = 8_192
"""A page reads a few rows of many columns: what is decompressed for them is small."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_WINDOW: Final = 10_000
"""So many inserts back one that comes again is known."""
_WINDOW_S: Final = 7 * 86_400

_FOLLOWING: Final = {
    "total_tokens": "added_prompt_tokens + added_completion_tokens",
    "latency_us": "ifNull(latency_us, 0)",
    "requests_with_latency": "isNotNull(latency_us)",
}
"""What a row adds to some of `tally.MEASURES`, from its other columns."""
ADDED: Final = tuple(f"added_{measure}" for measure in MEASURES if measure not in _FOLLOWING)
"""The columns of what it adds to the others."""
ADDING: Final = tuple(f"sum({_FOLLOWING.get(measure, f'added_{measure}')})" for measure in MEASURES)
"""The sums of `tally.MEASURES`, as the projections have them."""


class BadName(ValueError):
    """Not a name for a database or a cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the copy is. BadName for a database or a cluster that is not a plain name."""

    database: str
    cluster: str = ""
    """Empty for one server."""

    def __post_init__(self) -> None:
        for what, name in (("database", self.database), ("cluster", self.cluster or "x")):
            if not _NAME.fullmatch(name):
                raise BadName(f"{name!r} cannot be the name of a {what}: letters, digits and _ only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The names of one copy's tables, without the database's."""

    place: Place
    generation: int

    @property
    def records(self) -> str:
        """What is read and written: on a cluster the table that is distributed."""
        return f"records_{self.generation}"

    @property
    def local_records(self) -> str:
        return f"{self.records}_local" if self.place.cluster else self.records

    @property
    def copied(self) -> str:
        return f"copied_{self.generation}"

    @property
    def names(self) -> Sequence[str]:
        """All, each once, in the order in which they are dropped."""
        return tuple(dict.fromkeys((self.copied, self.records, self.local_records)))


def generation_of(table: str) -> int | None:
    """The number in the name of a table of records or of places; None for any other table."""
    found = re.fullmatch(r"(?:records|copied)_([1-9][0-9]{0,8})(?:_local)?", table)
    return None if found is None else int(found[1])


def number_of(unit_us: int) -> str:
    """Which day, or other unit of time, a row is in: as the projections tell it, and every question must."""
    return f"intDivOrZero(created_at_us, {unit_us})"


@cache
def _statements() -> Mapping[str, str]:
    return parse_queries(read_sql(ENGINE, "schema.sql"))


def create_statements(tables: Tables) -> Sequence[str]:
    """What makes the database and the tables where they are not there, in order."""
    words = _words(tables)
    projections = ",\n    ".join(f"PROJECTION {name} (\n{_projection(name, words)}\n    )" for name in PROJECTIONS)
    distributed = ("create_distributed",) if tables.place.cluster else ()
    names = ("create_database", "create_records", *distributed, "create_copied")
    return [_statements()[name].format(**words, projections=projections) for name in names]


def upgrade_statements(tables: Tables, lacking: Sequence[str]) -> Sequence[str]:
    """What makes some of `PROJECTIONS` in the table of an older copy, in order. It takes long after it has returned."""
    if not lacking:
        return ()
    words = _words(tables)
    changes = [
        f"MODIFY SETTING min_compress_block_size = {_BLOCK_BYTES}",
        *(f"ADD PROJECTION IF NOT EXISTS {name} (\n{_projection(name, words)}\n)" for name in lacking),
        # At once: the rows are read once for all.
        ", ".join(f"MATERIALIZE PROJECTION {name}" for name in lacking),
    ]
    return [f"{_alter(tables)} {change}" for change in changes]


def cleaning_statements(tables: Tables) -> Sequence[str]:
    """What removes the projections that nobody reads any more."""
    return [f"{_alter(tables)} DROP PROJECTION IF EXISTS {name}" for name in _BEFORE]


def drop_statements(tables: Tables) -> Sequence[str]:
    """What removes the tables where they are there."""
    place = tables.place
    on_cluster = f" ON CLUSTER {place.cluster}" if place.cluster else ""
    return [f"DROP TABLE IF EXISTS {place.database}.{name}{on_cluster} SYNC" for name in tables.names]


def _alter(tables: Tables) -> str:
    place = tables.place
    on_cluster = f" ON CLUSTER {place.cluster}" if place.cluster else ""
    return f"ALTER TABLE {place.database}.{tables.local_records}{on_cluster}"


def _words(tables: Tables) -> Mapping[str, object]:
    """What stands for the words in braces."""
    place = tables.place
    return {
        "database": place.database,
        "records": tables.records,
        "local_records": tables.local_records,
        "copied": tables.copied,
        "on_cluster": f" ON CLUSTER {place.cluster}" if place.cluster else "",
        "cluster_name": place.cluster,
        "records_engine": _engine(place, tables.local_records, "{shard}/", "{replica}"),
        # Not by shard: every server is a replica of the one table.
        "copied_engine": _engine(place, tables.copied, "", "{shard}-{replica}"),
        "deduplication": f", {_deduplication(place)}",
        "copied_settings": f"\nSETTINGS {_deduplication(place)}",
        "block_bytes": _BLOCK_BYTES,
        "added": ", ".join(ADDED),
        "sums": ", ".join(ADDING),
        "by_period": number_of(PERIOD_US),
        "by_eight": number_of(EIGHT_US),
        "by_day": number_of(DAY_US),
        "by_slot": number_of(SLOT_US),
        "user_hash": USER_HASH,
    }


def _projection(name: str, words: Mapping[str, object]) -> str:
    lines = _statements()[name].format(**words).splitlines()
    return "\n".join(f"        {line}" for line in lines if not line.startswith("--"))


def _engine(place: Place, table: str, shard: str, replica: str) -> str:
    if not place.cluster:
        return "MergeTree"
    return f"ReplicatedMergeTree('/clickhouse/tables/{shard}{place.database}/{table}', '{replica}')"


def _deduplication(place: Place) -> str:
    if not place.cluster:
        return f"non_replicated_deduplication_window = {_WINDOW}"
    return f"replicated_deduplication_window = {_WINDOW}, replicated_deduplication_window_seconds = {_WINDOW_S}"
