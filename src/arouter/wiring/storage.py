"""The database that the settings name, and what it holds before anybody did anything."""

import re
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from arouter.domain import ids, keys
from arouter.domain.errors import StorageUnavailable
from arouter.domain.keys import Key, KeyKind
from arouter.engine.clock import Clock
from arouter.settings import Settings, SettingsError
from arouter.store.base import Home
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import Database, Store, without_password
from arouter.wire import extras
from arouter.wiring.started import FirstKeys

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")
_HOSTS = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s,:\[\]]+)(?::\d+)?(?:,(?:\[[0-9A-Fa-f:.%]+\]|[^\s,:\[\]]+)(?::\d+)?)*")
_GRACE_S = 20.0
_POSTGRES_MODULE = "arouter.store.postgres.database"


def database_path(settings: Settings) -> Path | None:
    """The SQLite file; None where the database is PostgreSQL's. SettingsError for what is not supported."""
    if settings.storage.ledger_url:
        raise SettingsError("storage.ledger_url is not supported yet; leave it empty")
    url = settings.storage.url
    if url.startswith(POSTGRES):
        _check_postgres(settings)
        return None
    if not url.startswith(SQLITE) or url == SQLITE:
        raise SettingsError(
            "storage.url must be sqlite:///path/to/file.db or postgresql://user@host/database; "
            f"{url.partition(':')[0] if '://' in url else 'this'} is not supported"
        )
    return settings.directory / url.removeprefix(SQLITE)


def database_name(settings: Settings) -> str:
    """Where the database is, for people and logs: the file, or the URL without its password."""
    path = database_path(settings)
    return without_password(settings.storage.url) if path is None else str(path)


def journal_folder(settings: Settings) -> Path | None:
    """Where the journals are; None if there are none."""
    if settings.storage.outage_limit_s <= 0 or settings.storage.url.startswith("sqlite:"):
        return None
    return settings.directory / settings.storage.journal


def open_store(
    settings: Settings,
    *,
    clock: Clock,
    on_commit: Callable[[int, float], None] = lambda records, seconds: None,
    on_checkpoint_failure: Callable[[StorageUnavailable], None] = lambda failure: None,
    on_directory_change: Callable[[], None] = lambda: None,
    name: str = "",
) -> Database:
    """The database, made or migrated where needed: a file now, PostgreSQL's when the store is started.

    `on_directory_change` is called on the event loop after changes by any process, where the database tells of them.
    `name` is this process's own: by it others may learn that it is dead. StorageUnavailable with a text for the
    operator; SettingsError for what cannot be.
    """
    path = database_path(settings)
    if path is None:
        return cast(
            Database,
            _postgres().PostgresStore.open(
                settings.storage.url,
                clock=clock.now_us,
                durability=settings.storage.durability,
                on_commit=on_commit,
                on_directory_change=on_directory_change,
                grace_s=lost_after_s(settings),
                name=name,
            ),
        )
    return SqliteStore.open(
        str(path),
        clock=clock.now_us,
        durability=settings.storage.durability,
        on_commit=on_commit,
        on_checkpoint_failure=on_checkpoint_failure,
    )


def lost_after_s(settings: Settings) -> float:
    """How long a gateway may be out of sight: for as long as it may go on without the database, what it leased is its
    own, and its records may still come."""
    chosen = settings.storage.lost_after_s
    return _GRACE_S + settings.storage.outage_limit_s if chosen is None else chosen


def postgres_version(settings: Settings) -> Coroutine[Any, Any, int]:
    """The schema version of the PostgreSQL database, without changing it; 0 if there is nothing in it."""
    return cast(Coroutine[Any, Any, int], _postgres().version_of(settings.storage.url))


def _check_postgres(settings: Settings) -> None:
    """SettingsError for a URL that cannot be read, and for what only a file can have. No message quotes the URL."""
    if not _is_server(settings.storage.url):
        raise SettingsError(
            "storage.url must be postgresql://user:password@host:port/database; escape /, @, :, ? and # in the "
            "password as %2F, %40, %3A, %3F and %23"
        )
    if settings.storage.seal_after_days is not None:
        raise SettingsError("storage.seal_after_days is for SQLite; leave it unset with PostgreSQL")
    if settings.storage.outage_limit_s < 0:
        raise SettingsError("storage.outage_limit_s must be at least 0, and 0 is for no journal")
    if (lost_s := lost_after_s(settings)) < 1:
        raise SettingsError(f"storage.lost_after_s must be at least 1, not {lost_s:g}")
    _postgres()


def _is_server(url: str) -> bool:
    """Whether a database is named, and hosts before it, or in the parameter `host`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    hosts = parts.netloc.rpartition("@")[2]
    return len(parts.path) > 1 and bool(_HOSTS.fullmatch(hosts) or (not hosts and "host=" in parts.query))


def _postgres() -> Any:
    """The module that needs the driver. SettingsError if that is not installed."""
    try:
        return extras.postgres(_POSTGRES_MODULE)
    except extras.ExtraMissing as missing:
        raise SettingsError(f"storage.url names PostgreSQL: {missing}") from missing


async def find_home(store: Store, clock: Clock) -> Home:
    """The database's organization and workspace, made if there are none."""
    candidate = Home(
        organization_id=ids.named_id("org", secrets.token_bytes(8)),
        workspace_id=ids.named_id("ws", secrets.token_bytes(8)),
        secret=secrets.token_bytes(32),
    )
    return await store.directory.home(candidate, now_us=clock.now_us())


def make_key(home: Home, kind: KeyKind, name: str, *, now_us: int) -> tuple[Key, str]:
    """A new key with default rules, and its plaintext."""
    plaintext = keys.new_plaintext(kind, secrets.token_bytes(keys.ENTROPY_BYTES))
    key = Key(
        hash=keys.digest(plaintext),
        name=name,
        kind=kind,
        label=keys.masked(plaintext),
        organization_id=home.organization_id,
        workspace_id=home.workspace_id,
        creator=None,
        created_at_us=now_us,
    )
    return key, plaintext


async def first_keys(store: Store, home: Home, clock: Clock) -> FirstKeys | None:
    """A live and a management key if the database has no key at all; None if it has, or another process that starts at
    this moment made them."""
    if await store.directory.list_keys(home.organization_id, limit=1):
        return None
    live, live_plaintext = make_key(home, KeyKind.LIVE, "first", now_us=clock.now_us())
    management, management_plaintext = make_key(home, KeyKind.MANAGEMENT, "management", now_us=clock.now_us())
    made = await store.directory.add_first_keys([(live, live.hash), (management, management.hash)])
    return FirstKeys(live=live_plaintext, management=management_plaintext) if made else None
