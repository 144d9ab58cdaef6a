"""Connections to PostgreSQL: the schema they find, and what becomes of a server that is not there."""

import asyncio

import asyncpg
import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.migrate import migrations, needed
from arouter.store.postgres.migrating import ENGINE
from arouter.store.postgres.pool import Pool
from tests.conformance.samples import NOON_US, record
from tests.postgres_server import PostgresServer
from tests.store.postgres.ledgers import gateway


async def version_of(url: str) -> int:
    pool = Pool(url)
    await pool.start()
    try:
        async with pool.lend() as connection:
            return int(await connection.fetchval("SELECT version FROM schema_version"))
    finally:
        await pool.close()


async def ask_one(pool: Pool) -> int:
    async with pool.lend() as connection:
        return int(await connection.fetchval("SELECT 1"))


def test_many_processes_may_bring_an_empty_database_to_the_schema_at_once(postgres_url: str) -> None:
    async def together() -> list[int]:
        return await asyncio.gather(*(version_of(postgres_url) for _ in range(10)))

    assert asyncio.run(together()) == [len(migrations(ENGINE))] * 10


def test_a_database_of_a_newer_program_is_refused_if_it_needs_one(postgres_url: str) -> None:
    async def run() -> None:
        pool = Pool(postgres_url)
        await pool.start()
        async with pool.lend() as connection:
            assert await connection.fetchval("SELECT needed FROM schema_version") == needed(migrations(ENGINE))
            await connection.execute("UPDATE schema_version SET version = 9999, needed = 9998")
        await pool.close()
        with pytest.raises(StorageUnavailable, match=r"version 9999 and needs a program that knows version 9998"):
            await Pool(postgres_url).start()
        operator = await asyncpg.connect(postgres_url)
        await operator.execute("UPDATE schema_version SET needed = $1", len(migrations(ENGINE)))
        await operator.close()
        assert await version_of(postgres_url) == 9999, "and it stays so"

    asyncio.run(run())


def test_migrating_waits_for_who_reads_and_keeps_nobody_waiting_for_long(postgres_url: str) -> None:
    """Whoever wants a table that a long question reads, too, gets it while the migration tries again and again."""

    async def run() -> None:
        assert await version_of(postgres_url) > 0
        reader, other = [await asyncpg.connect(postgres_url) for _ in range(2)]
        await other.execute(
            "UPDATE schema_version SET version = 8; ALTER TABLE schema_version DROP COLUMN needed; "
            "ALTER TABLE owners DROP COLUMN name; DROP TABLE copies; DROP TABLE directory_changes"
        )
        begun = reader.transaction()
        await begun.start()
        await reader.fetch("SELECT * FROM schema_version")
        migrating = asyncio.ensure_future(version_of(postgres_url))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'schema_version'::regclass"
        async with asyncio.timeout(30):
            while not await other.fetchval(waits):
                pass
            await other.fetch("SELECT version FROM schema_version")
        assert not migrating.done()
        await begun.rollback()
        assert await migrating == len(migrations(ENGINE))
        for connection in (reader, other):
            await connection.close()

    asyncio.run(run())


BEFORE_KEYS_TOLD_THEIR_USE = """
ALTER TABLE keys DROP COLUMN previous_secret, DROP COLUMN previous_expires_at_us;
ALTER TABLE key_hours DROP COLUMN last_used_us;
DROP INDEX user_rules_blocked;
ALTER TABLE members DROP COLUMN workspace_ids;
ALTER TABLE invitations DROP COLUMN workspace_ids;
DROP INDEX records_by_batch;
ALTER TABLE owners DROP COLUMN name;
ALTER TABLE schema_version DROP COLUMN needed;
DROP TABLE directory_changes;
DROP TABLE copies;
UPDATE schema_version SET version = 6;
"""


def test_a_database_of_before_tells_when_keys_were_used(postgres_url: str) -> None:
    async def run() -> None:
        async with gateway(postgres_url) as one:
            for number, key_hash in enumerate(["key-a", "key-b", "key-a", "key-a"]):
                opened = {"key_hash": key_hash, "created_at_us": NOON_US + number * 1_900_000_000}
                await one.ledger.close(record(f"gen-{number}", opened=opened))
            told = await one.ledger.last_used(["key-a", "key-b", "key-c"])
            assert told == {"key-a": NOON_US + 3 * 1_900_000_000, "key-b": NOON_US + 1_900_000_000}
            await one.run(BEFORE_KEYS_TOLD_THEIR_USE)
        async with gateway(postgres_url) as one:
            assert await one.ledger.last_used(["key-a", "key-b", "key-c"]) == told
            assert (await one.ledger.check()).problems == ()

    asyncio.run(run())


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/arouter", "postgresql://nobody.invalid/arouter"])
def test_a_server_that_is_not_there_is_a_storage_that_is_unavailable(url: str) -> None:
    with pytest.raises(StorageUnavailable):
        asyncio.run(Pool(url).start())


def test_an_error_of_a_statement_is_told_as_ours_and_rolls_back(postgres_url: str) -> None:
    async def run() -> int:
        pool = Pool(postgres_url)
        await pool.start()
        async with pool.transaction() as connection:
            await connection.execute("CREATE TABLE things (no INTEGER PRIMARY KEY)")

        async def add_twice() -> None:
            async with pool.transaction() as connection:
                await connection.execute("INSERT INTO things VALUES (1)")
                await connection.execute("INSERT INTO things VALUES (1)")

        with pytest.raises(StorageUnavailable) as told:
            await add_twice()
        assert "things" not in told.value.message
        assert "UniqueViolation" in str(told.value.detail)
        async with pool.lend() as connection:
            count = int(await connection.fetchval("SELECT count(*) FROM things"))
        await pool.close()
        return count

    assert asyncio.run(run()) == 0


def test_the_server_may_be_killed_and_come_back(postgres_server: PostgresServer, postgres_url: str) -> None:
    async def run() -> None:
        pool = Pool(postgres_url)
        await pool.start()
        assert await ask_one(pool) == 1
        postgres_server.kill()
        with pytest.raises(StorageUnavailable):
            await ask_one(pool)
        await asyncio.to_thread(postgres_server.start)
        assert await ask_one(pool) == 1
        await pool.close()

    asyncio.run(run())


def test_the_server_is_told_to_end_a_transaction_that_stands_still(
    postgres_url: str,
) -> None:
    async def run() -> str:
        pool = Pool(postgres_url)
        await pool.start()
        async with pool.lend() as connection:
            told = str(await connection.fetchval("SHOW idle_in_transaction_session_timeout"))
        await pool.close()
        return told

    assert asyncio.run(run()) == "30s"


def test_the_server_gives_up_what_a_machine_that_vanished_had_locked(postgres_url: str) -> None:
    async def run() -> list[str]:
        pool = Pool(postgres_url)
        await pool.start()
        async with pool.lend() as connection:
            names = ("idle_in_transaction_session_timeout", "tcp_keepalives_idle", "tcp_keepalives_count")
            found = [await connection.fetchval(f"SHOW {name}") for name in names]
        await pool.close()
        return found

    assert asyncio.run(run()) == ["30s", "10", "4"]
