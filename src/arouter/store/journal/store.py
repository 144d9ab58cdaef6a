"""A database on a server whose ledger goes on for a while when the server is away."""

from collections.abc import Callable

from arouter.domain.errors import StorageUnavailable
from arouter.store.base import Counters, Directory
from arouter.store.feed import Feed
from arouter.store.journal.folder import Folder
from arouter.store.journal.ledger import JournaledLedger
from arouter.store.journal.outage import Observer, Outage
from arouter.store.stores import CommitStats, Database, DatabaseStatus, Partitions, Retention


class JournaledStore:
    """`Database`: another one, with a journal in front of its ledger. Run `ledger.deliver` beside requests."""

    def __init__(
        self,
        database: Database,
        folder: Folder,
        outage: Outage,
        *,
        now_us: Callable[[], int],
        observer: Observer,
        name: str = "",
    ) -> None:
        """`name` is the one that the database was opened with."""
        self._database = database
        self.directory: Directory = database.directory
        self.counters: Counters = database.counters
        self.feed: Feed = database.feed
        self.ledger = JournaledLedger(database.ledger, folder, outage, now_us=now_us, observer=observer, name=name)

    @property
    def retention(self) -> Retention:
        return self._database.retention

    @property
    def partitions(self) -> Partitions | None:
        return self._database.partitions

    @property
    def healthy(self) -> bool:
        return self._database.healthy and not self.ledger.is_away

    @property
    def last_error(self) -> StorageUnavailable | None:
        """Why no request may begin now: nothing, as long as the journal takes its records."""
        return self.ledger.refusal

    @property
    def unwritten(self) -> int:
        return self._database.unwritten + self.ledger.unwritten

    @property
    def delayed(self) -> int:
        return self._database.delayed

    @property
    def lost(self) -> int:
        return self._database.lost + self.ledger.lost

    @property
    def stats(self) -> CommitStats:
        return self._database.stats

    async def start(self) -> None:
        await self._database.start()
        await self.ledger.start()

    async def close(self) -> None:
        await self.ledger.stop()
        await self._database.close()

    async def status(self) -> DatabaseStatus:
        return await self._database.status()
