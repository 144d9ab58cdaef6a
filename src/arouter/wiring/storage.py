"""The database that the settings name, and what it holds before anybody did anything."""

import secrets
from collections.abc import Callable
from pathlib import Path

from arouter.domain import ids, keys
from arouter.domain.errors import StorageUnavailable
from arouter.domain.keys import Key, KeyKind
from arouter.engine.clock import Clock
from arouter.settings import Settings, SettingsError
from arouter.store.base import Home
from arouter.store.sqlite import SqliteStore
from arouter.wiring.started import FirstKeys

SQLITE = "sqlite:///"


def database_path(settings: Settings) -> Path:
    """The SQLite file. SettingsError for what is not supported."""
    if settings.storage.ledger_url:
        raise SettingsError("storage.ledger_url is not supported yet; leave it empty")
    url = settings.storage.url
    if not url.startswith(SQLITE) or url == SQLITE:
        raise SettingsError(
            f"storage.url must be sqlite:///path/to/file.db; {url.partition(':')[0]} is not supported yet"
        )
    return settings.directory / url.removeprefix(SQLITE)


def open_store(
    settings: Settings,
    *,
    clock: Clock,
    on_commit: Callable[[int, float], None] = lambda records, seconds: None,
    on_checkpoint_failure: Callable[[StorageUnavailable], None] = lambda failure: None,
) -> SqliteStore:
    """The database, made or migrated where needed. StorageUnavailable with a text for the operator."""
    return SqliteStore.open(
        str(database_path(settings)),
        clock=clock.now_us,
        durability=settings.storage.durability,
        on_commit=on_commit,
        on_checkpoint_failure=on_checkpoint_failure,
    )


async def find_home(store: SqliteStore, clock: Clock) -> Home:
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


async def first_keys(store: SqliteStore, home: Home, clock: Clock) -> FirstKeys | None:
    """A live and a management key if the database has no key at all."""
    if await store.directory.list_keys(home.organization_id, limit=1):
        return None
    live, live_plaintext = make_key(home, KeyKind.LIVE, "first", now_us=clock.now_us())
    management, management_plaintext = make_key(home, KeyKind.MANAGEMENT, "management", now_us=clock.now_us())
    await store.directory.add_key(live, secret=live.hash)
    await store.directory.add_key(management, secret=management.hash)
    return FirstKeys(live=live_plaintext, management=management_plaintext)
