"""A gateway with a copy: settings that cannot be, and sums that come from the copy it follows with."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from arouter.domain.activity import SummaryQuery
from arouter.engine.clock import SystemClock
from arouter.settings import SettingsError, load
from arouter.store.routed import RoutedLedger
from arouter.store.sqlite import SqliteStore
from arouter.wiring.clickhouse import WithCopy, check_copy
from arouter.wiring.gateway import Gateway
from tests.conformance.backends import inside
from tests.conformance.samples import SCOPE, record
from tests.store.clickhouse.engine import new_place


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("url = 'clickhouse'", "clickhouse.url"),
        ("url = 'http://me:hunter2@x'", "clickhouse.url"),
        ("url = 'http://x'\ndatabase = 'a b'", "a b"),
        ("url = 'http://x'\ncluster = 'a;b'", "a;b"),
        ("url = 'http://x'\nmost_lag_s = -1", "clickhouse.most_lag_s"),
    ],
)
def test_what_cannot_be_fails_before_a_database_is_made(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "arouter.toml").write_text(f"[clickhouse]\n{text}\n")
    with pytest.raises(SettingsError, match=named) as refused:
        Gateway(load(environment={}, cwd=tmp_path))
    assert "hunter2" not in str(refused.value)
    assert not (tmp_path / "arouter.db").exists()


def test_without_a_url_there_is_no_copy(tmp_path: Path) -> None:
    settings = load(environment={}, cwd=tmp_path)
    check_copy(settings)

    async def run() -> None:
        store = SqliteStore.open(str(tmp_path / "arouter.db"), clock=SystemClock().now_us)
        made = WithCopy(settings, store.ledger, store.feed, store.directory, SystemClock())
        assert made.ledger is store.ledger
        await made.run()
        await made.close()

    asyncio.run(run())


def test_the_copy_follows_and_answers() -> None:
    inside()  # keeps the engine
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "arouter.toml").write_text(
            f"[clickhouse]\nurl = 'chdb:'\ndatabase = '{new_place().database}'\nfollow_every_s = 0.01\n"
        )
        settings = load(environment={}, cwd=Path(folder))

        async def run() -> None:
            clock = SystemClock()
            store = SqliteStore.open(str(Path(folder) / "arouter.db"), clock=clock.now_us)
            await store.start()
            made = WithCopy(settings, store.ledger, store.feed, store.directory, clock)
            following = asyncio.ensure_future(made.run())
            await store.ledger.close(record("gen-1"))
            ledger = made.ledger
            assert isinstance(ledger, RoutedLedger)
            while not ledger.answered_by_copy:
                answer = await ledger.summary(SummaryQuery(scope=SCOPE))
                assert answer.totals.requests == 1
            following.cancel()
            await made.close()
            await store.close()

        asyncio.run(asyncio.wait_for(run(), 60))
