"""`make bench-activity` works: it runs small, and what it measures with is what the ledger would be given."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bench.activity.blocks import BlockLoader
from bench.activity.build import Loaded, Loader, OnRecords, RowLoader, build, clear, found_world
from bench.activity.figures import Figures, Goal, goals, read
from bench.activity.show import BEGIN, END, verdict, write_section
from bench.activity.tables import Tables
from bench.activity.world import DATABASE, NOTE, Size, read_world

from arouter.domain.activity import ActivityQuery, Scope, SummaryQuery, Totals
from arouter.domain.record import Record
from arouter.sandbox.history.columns import History
from arouter.sandbox.history.population import Plan
from arouter.sandbox.history.records import records_of
from arouter.store.attempts import write_attempts
from arouter.store.sqlite import SqliteStore
from tests.sandbox.test_history import OWNER, START_US, listed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def history() -> History:
    return History(Plan(seed=3, start_us=START_US, days=10, users=200, records=20_000), listed)


def _fields(record: Record) -> dict[str, Any]:
    """A record as a row of the table has it."""
    opening, usage = record.opening, record.usage
    of_opening = (
        *("id", "request_id", "created_at_us", "session_id", "streamed", "user", "organization_id", "workspace_id"),
        *("key_hash", "endpoint", "requested_model", "app_url", "app_title"),
    )
    of_usage = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    of_record = (
        *("completed_at_us", "upstream_id", "http_status", "is_byok", "attempts", "latency_us", "raw_usage", "cost"),
        *("time_to_first_token_us", "model", "provider", "upstream_model", "finish_reason", "error_code"),
        *("price_source", "price_version", "rated_cost"),
    )
    return {
        **{name: getattr(opening, name) for name in of_opening},
        **{name: getattr(usage, name) for name in of_usage},
        **{name: getattr(record, name) for name in of_record},
        "tags": list(opening.tags) or None,
        "tried": write_attempts(record.tried) if record.tried else None,
        "status": record.status.value,
        "usage_source": record.usage_source.value,
    }


def test_the_table_of_a_day_says_what_its_records_say(history: History) -> None:
    tables = Tables(history, OWNER)
    for number in (0, 8):
        day = history.day(number)
        assert tables.of(day).to_pylist() == [_fields(record) for record in records_of(history, day, OWNER)]


# ---------------------------------------------------------------- the database

SIZE = Size(records=600, users=40, days=6, seed=5)


class _Stopping(RowLoader):
    """Somebody pulls the plug after a day."""

    async def load(self, store: SqliteStore, day: int, on_records: OnRecords) -> Loaded:
        if day:
            raise KeyboardInterrupt
        return await super().load(store, day, on_records)


def test_a_building_goes_on_where_it_ended_and_is_found_again(tmp_path: Path) -> None:
    world = asyncio.run(found_world(tmp_path, SIZE))
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(build(tmp_path, world, _Stopping(world), lambda records: None))
    again = read_world(tmp_path, SIZE)
    assert again is not None
    assert (again.days_done, again.whole) == (1, False)
    seen: list[int] = []
    asyncio.run(build(tmp_path, again, RowLoader(again), seen.append))
    found = read_world(tmp_path, SIZE)
    assert found is not None
    assert found.whole
    assert found.records == 600 + 6
    assert found.bytes > 0
    assert read_world(tmp_path, msgspec.structs.replace(SIZE, seed=6)) is None


def test_blocks_hold_what_rows_hold(tmp_path: Path) -> None:
    async def built(folder: Path, *, as_blocks: bool) -> tuple[list[Record], Totals]:
        world = await found_world(folder, SIZE)
        loader: Loader = BlockLoader(world) if as_blocks else RowLoader(world)
        await build(folder, world, loader, lambda records: None)
        store = SqliteStore.open(str(folder / DATABASE), clock=lambda: world.end_us)
        await store.start()
        scope = Scope(organization_id=world.tenants[0].organization_id)
        page = await store.ledger.page(ActivityQuery(scope=scope, limit=1000))
        sums = await store.ledger.summary(SummaryQuery(scope=scope))
        report = await store.ledger.check()
        await store.close()
        assert report.problems == ()
        assert report.records == 606
        return [_anywhere(row.record) for row in page.rows], sums.totals

    for name in ("rows", "blocks"):
        (tmp_path / name).mkdir()
    as_rows = asyncio.run(built(tmp_path / "rows", as_blocks=False))
    assert len(as_rows[0]) == 600
    assert asyncio.run(built(tmp_path / "blocks", as_blocks=True)) == as_rows


def _anywhere(record: Record) -> Record:
    """Without what each database makes anew."""
    return replace(record, opening=replace(record.opening, organization_id="", workspace_id="", key_hash=""))


def test_only_what_a_building_made_is_removed(tmp_path: Path) -> None:
    for name in (DATABASE, f"{DATABASE}-wal", NOTE, "mine.txt"):
        (tmp_path / name).write_text("x")
    clear(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


# ---------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("activity")


@pytest.fixture(scope="module")
def told(folder: Path) -> Figures:
    """A short run."""
    command = [sys.executable, "-m", "bench.activity", "--records", "2000", "--users", "50", "--days", "6"]
    command += ["--seconds", "0.2", "--exported", "500", "--rate", "200", "--folder", str(folder)]
    ended = subprocess.run(
        [*command, "--json", str(folder / "figures.json")], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "GB are free" in ended.stdout
    assert "add up to what the summary says" in ended.stdout
    return read(folder / "figures.json")


def test_everything_adds_up(told: Figures) -> None:
    assert told.good
    assert told.built.records == 2020
    assert {"ndjson", "csv"} <= {one.format for one in told.exported}
    for one in told.exported:
        assert one.equal
        assert 500 <= one.records <= 2000
        assert one.peak_mb > 10


def test_requests_were_recorded_all_the_time(told: Figures) -> None:
    assert list(told.phases) == ["pages", "sums", "HTTP", "exports"]
    for phase in told.phases.values():
        assert phase.records > 0
        assert 0 < phase.commit_p50_ms <= phase.commit_p99_ms <= phase.commit_most_ms


def test_every_question_was_asked(told: Figures) -> None:
    names = [one.name for one in told.answered]
    assert len(set(names)) == len(names) == 14
    for one in told.answered:
        assert one.asked > 0
        assert 0 < one.p50_ms <= one.p95_ms <= one.most_ms
    assert {goal.text.rpartition(",")[2] for goal in goals(told)} >= {" p95", " p99", " resident memory"}


def test_goals_are_bounds_from_above_or_below() -> None:
    goal = Goal(text="", unit="ms", value=5.0, bound=5.0)
    assert goal.met
    assert not msgspec.structs.replace(goal, value=5.1).met
    assert msgspec.structs.replace(goal, value=5.1, least=True).met
    assert not msgspec.structs.replace(goal, value=4.9, least=True).met


def test_what_does_not_add_up_is_told(told: Figures) -> None:
    broken = msgspec.structs.replace(told, whole=False)
    assert not broken.good
    assert "DOES NOT equal" in verdict(broken)
    wrong = msgspec.structs.replace(told, exported=[msgspec.structs.replace(told.exported[0], equal=False)])
    assert not wrong.good
    assert "DO NOT add up" in verdict(wrong)


def test_the_page_gets_the_figures_between_its_marks(told: Figures, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_section(page, told)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert " cores of a virtual machine" in text
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "2,020 records" in text
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="needs one"):
        write_section(page, told)


def test_the_page_of_the_project_has_the_marks() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
