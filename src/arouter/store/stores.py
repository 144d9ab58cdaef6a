"""What a whole store is: the three protocols over one database, started and stopped as one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from arouter.domain.errors import StorageUnavailable
from arouter.store.base import Counters, Directory, Ledger
from arouter.store.feed import Feed

OnCommit = Callable[[int, float], None]
"""Is told how many records were committed and the seconds that it took, on the event loop's thread."""


class Store(Protocol):
    """The protocols over one database. `start` it on the event loop that will use it."""

    @property
    def directory(self) -> Directory: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def counters(self) -> Counters: ...

    @property
    def feed(self) -> Feed: ...

    async def start(self) -> None:
        """StorageUnavailable, with a text for the operator, if there is no database to be had."""

    async def close(self) -> None:
        """Writes what is queued first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What was deleted: days and records."""

    days: int
    records: int


class Retention(Protocol):
    """Records of days that ended long enough ago are deleted. Their sums stay."""

    async def expire(self, *, default_days: int | None, now_us: int) -> Expired | None:
        """Delete what is older than an organization's own number of days, else than the default; None: nothing is.

        None if another process is at it.
        """

    async def retention_days(self, organization_id: str) -> int | None:
        """How many days an organization keeps its records; None for as the settings say."""

    async def set_retention_days(self, organization_id: str, days: int | None) -> None: ...


class Partitions(Protocol):
    """The partitions that records lie in, looked after beside requests."""

    async def make_ahead(self, *, now_us: int) -> None:
        """Make those that records will need soon. StorageUnavailable if that cannot be done now."""

    async def drop_empty(self, *, now_us: int) -> int:
        """Drop those in which nothing is and no record is to be expected; how many. StorageUnavailable as above."""


class Database(Store, Protocol):
    """A store that outlives the process, and tells how it is."""

    @property
    def retention(self) -> Retention: ...

    @property
    def partitions(self) -> Partitions | None:
        """None where records lie in one table."""

    @property
    def healthy(self) -> bool:
        """Whether the last write succeeded: while it did not, nothing should be started that must be recorded."""

    @property
    def last_error(self) -> StorageUnavailable | None:
        """What went wrong with the last write."""

    @property
    def unwritten(self) -> int:
        """Records that were refused by the storage and are tried again."""

    @property
    def delayed(self) -> int:
        """Records that were refused by the storage at first, since the start."""

    @property
    def lost(self) -> int:
        """Records that were given up, since the start."""

    @property
    def stats(self) -> "CommitStats":
        """Of the transactions since the start that held records."""

    async def status(self) -> "DatabaseStatus":
        """What `arouter db status` tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteStatus:
    """What `arouter db status` tells of a file. Sizes are in bytes."""

    path: str
    size: int
    wal_size: int
    schema_version: int
    sqlite_version: str
    records: int
    open_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresStatus:
    """What `arouter db status` tells of a database on a server. The size is in bytes."""

    url: str
    """Without its password."""
    size: int
    schema_version: int
    postgresql_version: str
    records: int
    open_records: int
    gateways: int
    """The processes that have something open in it, or had until a moment ago."""


DatabaseStatus = SqliteStatus | PostgresStatus


@dataclass(slots=True)
class CommitStats:
    """Of the transactions since the start that held records."""

    on_commit: OnCommit = lambda records, seconds: None
    """Is told as `add` is."""
    batches: int = 0
    records: int = 0
    worst_s: float = 0.0

    def add(self, records: int, seconds: float) -> None:
        """How many records were committed, and how long that took."""
        self.batches += 1
        self.records += records
        if seconds > self.worst_s:
            self.worst_s = seconds
        self.on_commit(records, seconds)


def without_password(url: str) -> str:
    """The URL of a server as it may be shown: neither a password nor anything behind the `?`, which may hold one."""
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        return url
    # A password may hold an @ or a / that should have been escaped.
    user, at, host = rest.partition("?")[0].rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}"
