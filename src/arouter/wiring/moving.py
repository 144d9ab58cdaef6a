"""Two databases by their URLs, opened to copy one into the other."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from arouter.engine.clock import Clock
from arouter.jobs.moving import CopyRefused
from arouter.settings import Settings, SettingsError
from arouter.store.moving import Movable
from arouter.store.sqlite.moving import SqliteMovable
from arouter.wire import extras
from arouter.wiring.storage import database_path, open_store

_POSTGRES_MODULE = "arouter.store.postgres.moving"


def at(settings: Settings, url: str, option: str) -> Settings:
    """The same settings for another database. SettingsError, which names the option, for a URL that is none of one."""
    # What only a file can have says nothing of the other database.
    storage = replace(settings.storage, url=url, seal_after_days=None, retention_days=None)
    made = replace(settings, storage=storage)
    try:
        database_path(made)
    except SettingsError as problem:
        raise SettingsError(str(problem).replace("storage.url", option)) from None
    return made


def open_pair(source: Settings, target: Settings) -> tuple[Movable, Movable]:
    """Both databases, not started. CopyRefused if they are one, or if there is no source."""
    there = database_path(source)
    if there == database_path(target) and (there is not None or source.storage.url == target.storage.url):
        raise CopyRefused("the source and the target are one database")
    if there is not None and not there.exists():
        raise CopyRefused(f"there is no database at {there}")
    return _open(source, is_target=False), _open(target, is_target=True)


def recovering(source: Settings, clock: Clock) -> Callable[[], Awaitable[int]]:
    """What closes in the source, as the next start of a gateway would, the requests that a dead process left open."""

    async def recover() -> int:
        store = open_store(source, clock=clock)
        await store.start()
        try:
            return await store.ledger.recover(now_us=clock.now_us())
        finally:
            await store.close()

    return recover


def _open(settings: Settings, *, is_target: bool) -> Movable:
    path = database_path(settings)
    if path is not None:
        return SqliteMovable(str(path), is_target=is_target)
    module: Any = extras.postgres(_POSTGRES_MODULE)
    return cast(Movable, module.PostgresMovable(settings.storage.url, is_target=is_target))
