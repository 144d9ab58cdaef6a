"""The journal as the settings want it, and what is told of it."""

import asyncio
from pathlib import Path

import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.settings import Settings, load
from arouter.store.journal.folder import Folder
from arouter.store.journal.outage import Outage
from arouter.store.journal.store import JournaledStore
from arouter.store.memory import MemoryLedger, MemoryStore
from arouter.store.sqlite import SqliteStore
from arouter.store.stores import CommitStats, DatabaseStatus, Retention
from arouter.web.metrics import Metrics
from arouter.wiring.journal import delivery, is_behind, ledger_checks, watch_journal, with_journal
from arouter.wiring.storage import journal_folder, lost_after_s
from tests.conformance.samples import opening, record
from tests.store.journal.unsteady import Told, Weather, unsteady, until

SERVER = '[storage]\nurl = "postgresql://arouter@127.0.0.1:1/arouter"\n'


def settings(folder: Path, text: str) -> Settings:
    (folder / "arouter.toml").write_text(text)
    return load(environment={}, cwd=folder)


class Server(MemoryStore):
    """As far as a database on a server goes."""

    healthy = True
    last_error: StorageUnavailable | None = None
    unwritten = delayed = lost = 0
    stats = CommitStats()
    partitions = None

    @property
    def retention(self) -> Retention:
        raise NotImplementedError

    async def status(self) -> DatabaseStatus:
        raise NotImplementedError


def test_a_server_has_a_journal_and_a_file_has_none(tmp_path: Path) -> None:
    on_server = settings(tmp_path, SERVER)
    assert journal_folder(on_server) == tmp_path / "arouter-journal"
    assert journal_folder(settings(tmp_path, SERVER + "outage_limit_s = 0\n")) is None
    assert journal_folder(settings(tmp_path, SERVER + "journal = '/var/lib/j'\n")) == Path("/var/lib/j")
    assert journal_folder(settings(tmp_path, "")) is None
    server = Server(clock=lambda: 7)
    assert isinstance(with_journal(server, on_server, now_us=lambda: 7, name=""), JournaledStore)
    file = SqliteStore.open(str(tmp_path / "arouter.db"), clock=lambda: 7)
    assert with_journal(file, settings(tmp_path, ""), now_us=lambda: 7, name="") is file
    assert delivery(file) == {}
    assert not is_behind(file)
    assert [check.name for check in ledger_checks(file)] == ["ledger"]


def test_a_gateway_is_ready_within_the_bound_and_says_where_records_go(tmp_path: Path) -> None:
    async def work() -> None:
        server = Server(clock=lambda: 7)
        inner = unsteady(server)
        server.ledger = inner
        store = JournaledStore(server, Folder(tmp_path), Outage(limit_s=0.3), now_us=lambda: 9_000_000, observer=Told())
        metrics = Metrics()
        await store.start()
        watch_journal(metrics, store, now_us=lambda: 11_500_000)
        (job,) = delivery(store).values()
        running = asyncio.get_running_loop().create_task(job())
        assert [(one.name, one.ok, one.text) for one in ledger_checks(store)] == [
            ("ledger", True, ""),
            ("journal", True, ""),
        ]
        inner.weather = Weather.REFUSED
        store.ledger.open(opening("gen-1"))
        await store.ledger.close(record("gen-1"))
        assert (store.healthy, store.last_error, is_behind(store)) == (False, None, True)
        ledger, journal = ledger_checks(store)
        assert ledger.ok
        assert journal.text == "The storage is away: records go to the journal, and 1 wait there."
        told = metrics.text().decode()
        for name, value in (("outage", 1.0), ("journal_records", 1.0), ("journal_oldest_seconds", 2.5)):
            assert f'\narouter_{name}{{of=""}} {value}\n' in told
        await until(lambda: not ledger_checks(store)[0].ok)
        assert "more than 0.3 seconds" in ledger_checks(store)[0].text
        inner.weather = Weather.FINE
        await until(lambda: not is_behind(store))
        await until(lambda: "\narouter_journal_delivered_total 1.0\n" in metrics.text().decode())
        assert (store.healthy, store.last_error) == (True, None)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()

    asyncio.run(work())


@pytest.mark.parametrize("text", ["", SERVER + "outage_limit_s = 0\n"])
def test_without_a_journal_the_store_is_the_database_itself(tmp_path: Path, text: str) -> None:
    server = Server(clock=lambda: 7)
    assert with_journal(server, settings(tmp_path, text), now_us=lambda: 7, name="") is server
    assert isinstance(server.ledger, MemoryLedger)


@pytest.mark.parametrize(
    ("text", "lost_s"), [("", 320.0), ("outage_limit_s = 0", 20.0), ("outage_limit_s = 60\nlost_after_s = 5", 5.0)]
)
def test_nobody_takes_a_gateway_for_dead_that_may_still_go_on(tmp_path: Path, text: str, lost_s: float) -> None:
    assert lost_after_s(settings(tmp_path, SERVER + text)) == lost_s
