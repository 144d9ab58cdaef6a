"""The section of the database."""

from dataclasses import dataclass
from typing import Literal

from arouter.settings.values import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where keys and records live."""

    url: str = setting(
        "sqlite:///arouter.db",
        "The database: a file, relative to that of the settings, or postgresql://user:password@host/database.",
    )
    ledger_url: str = setting("", "Another database for the records alone; empty: the same. Not supported yet.")
    durability: Literal["strict", "relaxed"] = setting(
        "strict", "strict: a record is on disk before its answer ends. relaxed: shortly after."
    )
    seal_after_days: int | None = setting(
        None,
        "Days after which records are sealed: kept in columns, in about half the room. Unset: never. "
        "Needs the extra analytics.",
    )
    retention_days: int | None = setting(
        None, "Days after which records are deleted; their sums stay. Unset: never. An organization may have its own."
    )
    lost_after_s: float | None = setting(
        None,
        "PostgreSQL: a gateway that is out of sight for so long is dead to the others: they close what it left open. "
        "Unset: 20 seconds longer than outage_limit_s.",
    )
    outage_limit_s: float = setting(
        300.0,
        "How long requests go on while PostgreSQL is away: their records go to a journal on this machine, and to the "
        "database when it is back. 0: no journal; requests are refused at once. Not for SQLite.",
    )
    journal: str = setting(
        "arouter-journal",
        "The folder of the journal, on a local disk that outlives the process. A relative path is relative to the "
        "configuration file.",
    )
    journal_most_bytes: int = setting(
        1_073_741_824, "How large the journal of one process may be before new requests are refused."
    )
