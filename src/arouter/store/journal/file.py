"""The tables of one journal.

Records are kept as JSON: all of a record, and nothing that a later version could not read. Every method is to be called
within a transaction of `JournalFile.transaction`, from one thread at a time. What SQLite raises passes through.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import apsw
import msgspec

from arouter.domain.errors import StorageUnavailable
from arouter.domain.interruption import interrupted
from arouter.domain.record import Opening, Record
from arouter.domain.value import value
from arouter.store.queries import parse_queries, read_sql
from arouter.store.sqlite.connections import BUSY_TIMEOUT_MS, prepare_file, require_sound_library, transaction

ENGINE = "journal"
VERSION = 1
_APPLICATION_ID = 0x4152_4A4C

_ADDING = frozenset({"append", "open", "set_aside"})

_decode_record = msgspec.json.Decoder(Record).decode
_decode_opening = msgspec.json.Decoder(Opening).decode


@value(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record that waits."""

    no: int
    id: str
    known: bool
    """Whether the ledger may know from elsewhere that the request ran: others may then have closed it."""
    body: str

    @property
    def record(self) -> Record:
        return _decode_record(self.body)


@value(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A record that the ledger refused for good, as JSON, and why."""

    id: str
    at_us: int
    reason: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a journal holds."""

    records: int = 0
    openings: int = 0
    set_aside: int = 0
    oldest_us: int | None = None
    """When the first record that waits was closed; None if none does."""
    bytes: int = 0
    """Of the file's pages that are in use."""

    @property
    def is_empty(self) -> bool:
        return not (self.records or self.openings or self.set_aside)


def write_record(record: Record) -> str:
    """As the journal keeps it. ValueError for a text that is not Unicode."""
    return msgspec.json.encode(record).decode()


def write_opening(opening: Opening) -> str:
    """As the journal keeps it. ValueError for a text that is not Unicode."""
    return msgspec.json.encode(opening).decode()


@cache
def _queries() -> dict[str, str]:
    return dict(parse_queries(read_sql(ENGINE, "queries.sql")))


class JournalFile:
    """A connection to one journal."""

    def __init__(self, path: str) -> None:
        """Makes the file where there is none. StorageUnavailable or apsw.Error if it cannot be opened."""
        require_sound_library(apsw.sqlite_lib_version())
        prepare_file(path)
        self._connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        self._counts: dict[str, int] = {}
        """Of rows by table, counted on from the first time that somebody asked."""
        try:
            self._prepare(path)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, path: str) -> None:
        connection = self._connection
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.pragma("journal_mode", "wal")
        # Always: the ledger's own durability says how soon a record is on disk, and nobody knows when it is back.
        connection.pragma("synchronous", "FULL")
        version = int(connection.pragma("user_version"))
        if version > VERSION:
            raise StorageUnavailable(
                f"The journal {path} was written by a later version. Install that, or a later one."
            )
        if version < VERSION:
            with transaction(connection):
                connection.execute(read_sql(ENGINE, "schema.sql"))
                connection.pragma("application_id", _APPLICATION_ID)
                connection.pragma("user_version", VERSION)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything within is on disk afterwards, or nothing is."""
        try:
            with transaction(self._connection):
                yield
        except BaseException:
            self._counts = {}
            raise

    # ---------------------------------------------------------------- writing

    def append(self, record_id: str, body: str, *, closed_at_us: int, known: bool) -> None:
        """A record; its opening is forgotten. One that waits already changes nothing."""
        self._change("records", "append", record_id, closed_at_us, int(known), body)
        self._change("openings", "close", record_id)

    def open(self, openings: Sequence[Opening]) -> None:
        """Requests that run. One whose text is not Unicode is left out: its record could not be kept either."""
        for opening in openings:
            try:
                body = write_opening(opening)
            except ValueError:
                continue
            self._change("openings", "open", opening.id, body)

    def close_openings(self, record_ids: Sequence[str]) -> None:
        """The ledger has their records."""
        for record_id in record_ids:
            self._change("openings", "close", record_id)

    def interrupt(self, *, now_us: int) -> int:
        """Make records of the openings that a dead process left; how many there were."""
        left = self._execute("openings").fetchall()
        for record_id, body in left:
            record = interrupted(_decode_opening(str(body)), now_us=now_us)
            self.append(str(record_id), write_record(record), closed_at_us=now_us, known=False)
        return len(left)

    def remove(self, numbers: Sequence[int]) -> None:
        """Records that the ledger has."""
        for number in numbers:
            self._change("records", "remove", number)

    def set_aside(self, refused: Sequence[SetAside]) -> None:
        """Keep what the ledger refused for good."""
        for one in refused:
            self._change("set_aside", "set_aside", one.id, one.at_us, one.reason, one.body)

    def forget_set_aside(self, record_ids: Sequence[str]) -> None:
        """They are kept elsewhere."""
        for record_id in record_ids:
            self._change("set_aside", "forget_set_aside", record_id)

    def touch(self) -> None:
        """Write one page: a transaction that changes nothing proves nothing."""
        self._connection.pragma("user_version", VERSION)

    # ---------------------------------------------------------------- reading

    def take(self, limit: int, *, after: int = 0) -> Sequence[Entry]:
        """The first records that wait behind a number, in their order. They stay until they are removed."""
        return [
            Entry(no=int(no), id=str(record_id), known=bool(known), body=str(body))
            for no, record_id, known, body in self._execute("take", after, limit)
        ]

    def all_set_aside(self) -> Sequence[SetAside]:
        """Oldest first."""
        return [
            SetAside(id=str(record_id), at_us=int(at_us), reason=str(reason), body=str(body))
            for record_id, at_us, reason, body in self._execute("all_set_aside")
        ]

    def held(self) -> Held:
        """What there is, counted."""
        if not self._counts:
            counted = next(self._execute("counts"))
            self._counts = dict(zip(("records", "openings", "set_aside"), map(int, counted), strict=True))
        counts = self._counts
        oldest = self._execute("oldest").fetchone()
        pages = int(self._connection.pragma("page_count")) - int(self._connection.pragma("freelist_count"))
        return Held(
            records=counts["records"],
            openings=counts["openings"],
            set_aside=counts["set_aside"],
            oldest_us=None if oldest is None else int(oldest[0]),
            bytes=pages * int(self._connection.pragma("page_size")),
        )

    def _change(self, table: str, name: str, *values: str | int) -> None:
        """A statement that adds rows to a table, or takes them away."""
        self._execute(name, *values)
        if self._counts:
            changed = self._connection.changes()
            self._counts[table] += changed if name in _ADDING else -changed

    def _execute(self, name: str, *values: str | int) -> apsw.Cursor:
        return self._connection.execute(_queries()[name], values)
