"""`arouter demo --history`: a pretend past, once and whole, beside nothing real."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from arouter.engine.clock import SystemClock
from arouter.settings import load
from arouter.store.sqlite import SqliteStore
from arouter.wiring.storage import find_home
from tests.cli.process import (
    COMMAND,
    SOURCE,
    TIMEOUT_S,
    Running,
    call,
    environment,
    misused,
    refused,
    running,
    told,
)
from tests.conformance.samples import record

SMALL = ("--history", "--days", "12", "--users", "30", "--records", "1500")
RECORDS = 1500
BASE = ("demo", "--port", "0", "--requests", "0", "--database", "demo.db")


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[Running]:
    with running(*BASE, *options, cwd=folder) as process:
        yield process
        assert process.stop() == 0


def of_database(folder: Path) -> dict[str, str]:
    return {"AROUTER_STORAGE__URL": f"sqlite:///{folder / 'demo.db'}"}


def stored(folder: Path) -> int:
    """How many records there are."""
    return int(told("db", "status", cwd=folder, env=of_database(folder))["records"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a demo with a past was, and was stopped."""
    folder = tmp_path_factory.mktemp("demo")
    with demo(folder, *SMALL) as process:
        past = process.ready["history"]
        assert (past["records"], past["added"]) == (RECORDS, RECORDS)
        sums = call(f"{process.url}/v1/activity/summary?group_by=day", process.ready["management_key"])[1]
        assert sums["totals"]["requests"] == RECORDS
        assert sums["totals"]["cost"] > 0
        assert len(sums["data"]) == 12
        assert past["start"][:10] == sums["data"][0]["day"][:10]
        assert sums["data"][-1]["day"] < past["end"]
        of_user = call(f"{process.url}/v1/activity?user={past['user']}", process.ready["management_key"])[1]
        assert of_user["data"]
        names = {key["name"] for key in call(f"{process.url}/v1/keys", process.ready["management_key"])[1]["data"]}
        assert {"assistant", "coding agents", "globex (customer)"} < names
    return folder


def test_it_is_a_sound_ledger(folder: Path) -> None:
    checked = told("db", "check", cwd=folder, env=of_database(folder))
    assert (checked["records"], checked["problems"]) == (RECORDS, [])


def test_its_costs_are_those_that_the_price_lists_give(folder: Path) -> None:
    outcome = told("prices", "reprice", "--start", "2020-01-01", "--dry-run", cwd=folder, env=of_database(folder))
    assert (outcome["records"], outcome["changed"]) == (RECORDS, 0)


def test_the_same_again_adds_nothing(folder: Path) -> None:
    with demo(folder, *SMALL) as process:
        assert process.ready["history"]["records"] == RECORDS
        assert process.ready["history"]["added"] == 0
    assert stored(folder) == RECORDS


def test_another_one_is_refused(folder: Path) -> None:
    line = refused(*BASE, *SMALL, "--seed", "2", cwd=folder)
    assert "has another history, that of `arouter demo --history --days 12 --users 30 --records 1500 --seed 1`" in line
    assert stored(folder) == RECORDS


def test_one_that_was_killed_is_finished(tmp_path: Path) -> None:
    options = ("--history", "--days", "12", "--users", "30", "--records", "25000")
    process = subprocess.Popen(
        [*COMMAND, *BASE, *options], cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + TIMEOUT_S
    while not _has_begun(tmp_path):
        assert time.monotonic() < deadline
    process.kill()
    process.wait()
    before = stored(tmp_path)
    assert before < 25_000
    with demo(tmp_path, *options) as again:
        assert again.ready["history"]["records"] == 25_000
        assert again.ready["history"]["added"] == 25_000 - before
    assert told("db", "check", cwd=tmp_path, env=of_database(tmp_path))["problems"] == []
    assert stored(tmp_path) == 25_000


def test_real_records_stay_alone_unless_somebody_is_sure(tmp_path: Path) -> None:
    _ask_once(tmp_path)
    line = refused(*BASE, *SMALL, cwd=tmp_path)
    assert "holds 1 records that are not the sandbox's. A ledger forgets nothing" in line
    assert "--yes" in line
    assert stored(tmp_path) == 1
    with demo(tmp_path, *SMALL, "--yes") as process:
        assert process.ready["history"]["added"] == RECORDS
    assert stored(tmp_path) == RECORDS + 1


def _has_begun(folder: Path) -> bool:
    """Whether some of it is there. Before, there may be no database, or one whose tables are being made."""
    try:
        connection = apsw.Connection(str(folder / "demo.db"), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error:
        return False
    try:
        return bool(connection.execute("SELECT count(*) >= 100 FROM records").get)
    except apsw.Error:
        return False
    finally:
        connection.close()


def _ask_once(folder: Path) -> None:
    """Make a database in which somebody asked a real provider."""

    async def write() -> None:
        clock = SystemClock()
        store = SqliteStore.open(str(folder / "demo.db"), clock=clock.now_us)
        await store.start()
        home = await find_home(store, clock)
        opened = {"organization_id": home.organization_id, "workspace_id": home.workspace_id}
        await store.ledger.close(record("gen-real", opened=opened))
        await store.close()

    asyncio.run(write())


def test_figures_of_a_history_need_one() -> None:
    assert "--records has a meaning with --history only" in misused("demo", "--records", "5")


def test_without_numpy_it_says_what_to_install(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')\n")
    line = refused(*BASE, *SMALL, cwd=tmp_path, env={"PYTHONPATH": f"{absent}:{SOURCE}"})
    assert "pip install 'arouter[analytics]'" in line


def test_a_demo_without_a_past_needs_no_numpy() -> None:
    code = "import sys, arouter.cli.demo; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE)}).returncode == 0


def test_it_touches_only_the_database_of_the_demo(tmp_path: Path) -> None:
    (tmp_path / "arouter.toml").write_text('[storage]\nurl = "sqlite:///mine.db"\n')
    assert load(tmp_path / "arouter.toml", environment={}).storage.url == "sqlite:///mine.db"
    with demo(tmp_path, *SMALL):
        pass
    assert not (tmp_path / "mine.db").exists()
