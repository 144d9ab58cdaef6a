"""The journal in front of a database on a server, and what is told of it."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from arouter.domain.errors import StorageUnavailable
from arouter.settings import Settings
from arouter.store.journal.folder import Folder
from arouter.store.journal.outage import Outage
from arouter.store.journal.store import JournaledStore
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import Database
from arouter.web.api.services import Check
from arouter.web.metrics import Metrics
from arouter.wiring.storage import journal_folder


def with_journal(store: Database, settings: Settings, *, now_us: Callable[[], int], name: str) -> Database:
    """The store, with a journal in front of it if it is on a server. A file is away only with the machine's disk.

    `name` is the one that the store was opened with.
    """
    folder = journal_folder(settings)
    if folder is None or isinstance(store, SqliteStore):
        return store
    outage = Outage(limit_s=settings.storage.outage_limit_s, most_bytes=settings.storage.journal_most_bytes)
    return JournaledStore(store, Folder(folder), outage, now_us=now_us, observer=OutageLog(), name=name)


def delivery(store: Database) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
    """Jobs by name, each to be run until it is cancelled."""
    return {"deliver the journal": store.ledger.deliver} if isinstance(store, JournaledStore) else {}


def is_behind(store: Database) -> bool:
    """Whether the database lacks records of this process."""
    return isinstance(store, JournaledStore) and store.ledger.is_behind


def ledger_checks(store: Database) -> tuple[Check, ...]:
    """Whether requests may begin, as far as their records go."""
    failure = store.last_error
    ledger = Check(name="ledger", ok=failure is None, text="" if failure is None else failure.message)
    if not isinstance(store, JournaledStore):
        return (ledger,)
    waiting = store.ledger.held.records
    text = f"{waiting} records wait to be delivered." if waiting else ""
    if store.ledger.is_away:
        text = f"The storage is away: records go to the journal, and {waiting} wait there."
    return ledger, Check(name="journal", ok=failure is None, text=text)


def watch_journal(metrics: Metrics, store: Database, *, now_us: Callable[[], int]) -> None:
    """The metrics of the journal, if there is one."""
    if not isinstance(store, JournaledStore):
        return
    ledger = store.ledger

    def oldest_s() -> Mapping[str, float]:
        oldest_us = ledger.held.oldest_us
        return {"": 0.0 if oldest_us is None else max(0, now_us() - oldest_us) / 1e6}

    metrics.watch("arouter_outage", "1 while records go to the journal, else 0.", lambda: {"": int(ledger.is_away)})
    metrics.watch("arouter_journal_records", "Records that wait in the journal.", lambda: {"": ledger.held.records})
    metrics.watch("arouter_journal_oldest_seconds", "How long the first of them has waited.", oldest_s)
    metrics.watch("arouter_journal_bytes", "Size of what the journal holds.", lambda: {"": ledger.held.bytes})
    metrics.watch(
        "arouter_journal_set_aside",
        "Records in the journal that the database refused for good.",
        lambda: {"": ledger.held.set_aside},
    )
    counts = ledger.delivery
    metrics.watch_total(
        "arouter_journal_delivered", "Records that went from a journal to the database.", lambda: counts.delivered
    )
    metrics.watch_total(
        "arouter_journal_corrected",
        "Requests that others had closed as interrupted, and whose cost was added to that.",
        lambda: counts.corrected,
    )


class OutageLog:
    """An `Observer` that writes the log."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("arouter")

    def away(self, failure: StorageUnavailable) -> None:
        self._log.error("the storage is away; records go to the journal", reason=failure.message, detail=failure.detail)

    def back(self, seconds: float, waiting: int) -> None:
        self._log.warning(
            "the storage is back; the journal is delivered", away_s=round(seconds, 1), records_waiting=waiting
        )

    def set_aside(self, record_id: str, reason: str) -> None:
        self._log.error("the database refused a record for good; it stays in the journal", id=record_id, reason=reason)

    def unreadable(self, path: str, reason: str) -> None:
        self._log.error("the journal of another process cannot be read; it stays", path=path, reason=reason)

    def corrected(self, record_id: str) -> None:
        self._log.warning("a request was closed as interrupted by others; its cost was added to that", id=record_id)
