"""What a database needs beside requests, and tells of itself."""

import asyncio
from pathlib import Path

import structlog

from arouter.settings import Settings, Storage
from arouter.store.postgres.database import PostgresStore
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import Database
from arouter.wiring.journal import with_journal
from arouter.wiring.upkeep import file_metrics, upkeep
from tests.conformance.samples import NOON_US
from tests.postgres_server import fresh_database
from tests.store.postgres.ledgers import gateway

PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'records'::regclass"
FAR_US = 7_000_000_000_000_000


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
    assert set(metrics) == {"storage_log_bytes", "storage_checkpoints_up", "records_arrived"}
    assert (metrics["storage_checkpoints_up"], metrics["records_arrived"]) == (1, 0)


def test_on_a_server_records_expire_and_their_partitions_are_looked_after(tmp_path: Path) -> None:
    url = fresh_database()
    settings = Settings(storage=Storage(url=url), directory=tmp_path)
    store = PostgresStore.open(url, clock=lambda: NOON_US)
    assert jobs_of(store) == {"expire"}
    assert file_metrics(store) == ()
    behind = with_journal(store, settings, now_us=lambda: NOON_US, name="a")
    assert behind is not store
    assert behind.partitions is store.partitions is not None

    async def run() -> int:
        await store.start()
        async with gateway(store.url) as other:
            while await other.ask(PARTITIONS) > 2:  # what earlier tests left in this database
                await store.partitions.drop_empty(now_us=FAR_US)
            (keep,) = upkeep(behind, settings, now_us=lambda: NOON_US, log=structlog.get_logger()).values()
            await keep.__self__.once()  # type: ignore[attr-defined]
            made = await other.ask(PARTITIONS)
        await store.close()
        return made

    assert asyncio.run(run()) == 2 + 3, "those of many years, and of three months"
