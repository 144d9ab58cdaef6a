"""What a database in a file needs beside requests, and tells of itself. A server has its own ways."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog

from arouter.jobs.folding import Folding
from arouter.jobs.housekeeping import Days, Housekeeping
from arouter.settings import Settings
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import Database

Watched = tuple[str, str, Callable[[], Mapping[str, int]]]
"""The name of a metric, what it says, and how it is read."""
_DONE = {what: f"days of records {what}" for what in ("sealed", "expired")}


def upkeep(
    store: Database, settings: Settings, *, now_us: Callable[[], int], log: structlog.stdlib.BoundLogger
) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
    """Jobs by name, each to be run until it is cancelled."""

    def done(what: str, days: Days) -> None:
        log.info(_DONE[what], days=days.days, records=days.records)

    housekeeping = Housekeeping(
        store.retention,
        store.archive if isinstance(store, SqliteStore) else None,
        store.partitions,
        seal_after_days=settings.storage.seal_after_days,
        retention_days=settings.storage.retention_days,
        now_us=now_us,
        on_done=done,
        on_failure=lambda failure: log.error("housekeeping cannot be done", reason=failure.message),
    )
    if not isinstance(store, SqliteStore):
        return {"expire": housekeeping.run}
    return {"seal and expire": housekeeping.run, "fold days": Folding(store, now_us=now_us).run}


def file_metrics(store: Database) -> Sequence[Watched]:
    """Those of the write-ahead log, and of what waits to be booked; none for a server, which has its own."""
    if not isinstance(store, SqliteStore):
        return ()
    return (
        ("storage_log_bytes", "Size of the database's write-ahead log.", lambda: {"": store.log_bytes}),
        (
            "storage_checkpoints_up",
            "1 if the last try to move the log into the database succeeded, else 0.",
            lambda: {"": int(store.checkpoint_error is None)},
        ),
        ("records_arrived", "Records on disk that wait to be booked.", lambda: {"": store.arrived}),
    )
