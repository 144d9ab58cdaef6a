"""The database that the settings name, and the first keys."""

import asyncio
from pathlib import Path

import pytest

from arouter.domain.keys import KeyKind, digest, has_key_shape
from arouter.engine.clock import SystemClock
from arouter.settings import Settings, SettingsError, Storage
from arouter.wiring.started import FirstKeys
from arouter.wiring.storage import database_path, find_home, first_keys, open_store


def at(directory: Path, url: str = "sqlite:///a.db", **changes: str) -> Settings:
    return Settings(storage=Storage(url=url, **changes), directory=directory)  # type: ignore[arg-type]


def test_a_path_is_relative_to_the_configuration_or_absolute(tmp_path: Path) -> None:
    assert database_path(at(tmp_path)) == tmp_path / "a.db"
    assert database_path(at(tmp_path, "sqlite:////var/a.db")) == Path("/var/a.db")


@pytest.mark.parametrize("url", ["", "sqlite:///", "sqlite:", "postgresql://user:secret@host/db", "a.db"])
def test_other_databases_are_refused_without_showing_a_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"^storage\.url must be sqlite:///") as refused:
        database_path(at(tmp_path, url))
    assert "secret" not in str(refused.value)


def test_a_second_database_is_not_supported_yet(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"storage\.ledger_url"):
        database_path(at(tmp_path, ledger_url="clickhouse://x"))


def test_the_first_keys_are_made_once_and_only_their_digest_is_kept(tmp_path: Path) -> None:
    made: list[FirstKeys | None] = []

    async def start() -> None:
        store = open_store(at(tmp_path), clock=SystemClock())
        await store.start()
        try:
            home = await find_home(store, SystemClock())
            made.append(await first_keys(store, home, SystemClock()))
            first = made[0]
            assert first is not None
            live = await store.directory.find_key(digest(first.live))
            management = await store.directory.find_key(digest(first.management))
            assert live is not None
            assert management is not None
            assert (live.kind, management.kind) == (KeyKind.LIVE, KeyKind.MANAGEMENT)
            assert live.organization_id == home.organization_id
            assert len(home.secret) == 32
        finally:
            await store.close()

    asyncio.run(start())
    asyncio.run(start())
    assert made[1] is None
    first = made[0]
    assert first is not None
    assert has_key_shape(first.live)
    assert has_key_shape(first.management)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert first.live.encode() not in stored
    assert first.management.encode() not in stored
