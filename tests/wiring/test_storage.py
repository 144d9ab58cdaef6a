"""The database that the settings name, and the first keys."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.keys import KeyKind, digest, has_key_shape
from arouter.engine.clock import SystemClock
from arouter.settings import Settings, SettingsError, Storage
from arouter.store.stores import without_password
from arouter.wiring.started import FirstKeys
from arouter.wiring.storage import database_name, database_path, find_home, first_keys, open_store


def at(directory: Path, url: str = "sqlite:///a.db", **changes: Any) -> Settings:
    return Settings(storage=Storage(url=url, **changes), directory=directory)


def test_a_path_is_relative_to_the_configuration_or_absolute(tmp_path: Path) -> None:
    assert database_path(at(tmp_path)) == tmp_path / "a.db"
    assert database_path(at(tmp_path, "sqlite:////var/a.db")) == Path("/var/a.db")


@pytest.mark.parametrize("url", ["", "sqlite:///", "sqlite:", "mysql://user:secret@host/db", "a.db"])
def test_other_databases_are_refused_without_showing_a_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"^storage\.url must be sqlite:///.* or postgresql://") as refused:
        database_path(at(tmp_path, url))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "rest",
    [
        *("", "user:se/cret@host/db", "user:se?cret@host/db", "user:se#cret@host/db", "user:secret@host:port/db"),
        *("user:secret@host", "user:secret@host/", "user:secret@/db", "user:secret@[::1/db", "user:secret@a:1,b:x/db"),
    ],
)
def test_a_server_that_cannot_be_read_is_refused_without_showing_a_password(tmp_path: Path, rest: str) -> None:
    with pytest.raises(SettingsError, match=r"^storage\.url must be postgresql://user:password@host") as refused:
        database_path(at(tmp_path, f"postgresql://{rest}"))
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host:5432/db", "postgresql://user@host:5432/db"),
        ("postgres://user@host/db?sslmode=require&password=secret", "postgres://user@host/db"),
        ("postgresql://user:se@cr/et@host/db", "postgresql://user@host/db"),
        ("postgresql://a:1,b:2/db", "postgresql://a:1,b:2/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("nothing", "nothing"),
    ],
)
def test_a_server_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://host/db", "postgres://user:secret@host:5432/db?sslmode=verify-full", "postgresql://[::1]:5/db"),
        *("postgresql://user@a:1,b:2/db", "postgresql:///db?host=/run/postgresql"),
    ],
)
def test_a_server_has_no_path_and_a_name_without_a_password(tmp_path: Path, url: str) -> None:
    settings = at(tmp_path, url)
    assert database_path(settings) is None
    assert database_name(settings) == without_password(url)


def test_what_only_a_file_can_do_is_refused_for_a_server(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^storage\.seal_after_days is for SQLite"):
        database_path(at(tmp_path, "postgresql://host/db", seal_after_days=7))
    assert database_path(at(tmp_path, "postgresql://host/db", retention_days=7)) is None


def test_nobody_is_taken_for_dead_within_a_second(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^storage\.lost_after_s must be at least 1, not 0\.5$"):
        database_path(at(tmp_path, "postgresql://host/db", lost_after_s=0.5))
    with pytest.raises(SettingsError, match=r"^storage\.outage_limit_s must be at least 0"):
        database_path(at(tmp_path, "postgresql://host/db", outage_limit_s=-1.0))


def test_a_server_without_the_driver_says_how_to_get_it() -> None:
    without = (
        "import sys; sys.modules['asyncpg'] = None\n"
        "from arouter.settings import Settings, Storage\n"
        "from arouter.wiring.storage import database_path\n"
        "try: database_path(Settings(storage=Storage(url='postgresql://user:secret@host/db')))\n"
        "except Exception as exc: print(type(exc).__name__, exc)"
    )
    told = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=True).stdout
    assert told == (
        "SettingsError storage.url names PostgreSQL: asyncpg is not installed: `pip install 'arouter[postgres]'`\n"
    )


def test_nothing_of_the_driver_is_loaded_for_a_file() -> None:
    looked = (
        "import sys\n"
        "from arouter.settings import Settings\n"
        "from arouter.wiring.gateway import Gateway\n"
        "from arouter.wiring.storage import database_path\n"
        "database_path(Settings())\n"
        "print('asyncpg' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True, check=True).stdout
    assert told == "False\n"


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
