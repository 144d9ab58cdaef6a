"""What a database needs beside requests, and tells of itself."""

import asyncio
from pathlib import Path

import structlog

from arouter.settings import Settings
from arouter.store.postgres.database import PostgresStore
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import Database
from arouter.wiring.upkeep import file_metrics, upkeep
from tests.conformance.samples import NOON_US
from tests.postgres_server import fresh_database


def jobs_of(store: Database) -> set[str]:
    return set(upkeep(store, Settings(), now_us=lambda: NOON_US, log=structlog.get_logger()))


def test_a_file_is_sealed_and_folded_and_tells_of_its_log(tmp_path: Path) -> None:
    async def run() -> dict[str, int]:
        store = SqliteStore.open(str(tmp_path / "a.db"), clock=lambda: NOON_US)
        assert jobs_of(store) == {"seal and expire", "fold days"}
        await store.start()
        metrics = {name: read()[""] for name, _, read in file_metrics(store)}
        await store.close()
        return metrics

    metrics = asyncio.run(run())
    assert set(metrics) == {"storage_log_bytes", "storage_checkpoints_up"}
    assert metrics["storage_checkpoints_up"] == 1


def test_on_a_server_records_expire_and_nothing_else_is_to_be_done() -> None:
    store = PostgresStore.open(fresh_database(), clock=lambda: NOON_US)
    assert jobs_of(store) == {"expire"}
    assert file_metrics(store) == ()
