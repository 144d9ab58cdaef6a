"""A copy whose process is killed at any point is the same in the end."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from arouter.domain.ids import generation_id
from arouter.jobs.moving import compare
from arouter.store.base import Home
from arouter.store.moving import Movable
from arouter.store.postgres.moving import PostgresMovable
from arouter.store.sqlite.moving import SqliteMovable
from tests.cli.process import arouter, started
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import NOON_US, adjust, adjustment, append, key, record
from tests.postgres_server import fresh_database

RECORDS = 9_000
AT_ONCE = 1_500
PATIENCE_S = 60


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger that is copied in several pieces."""
    folder = tmp_path_factory.mktemp("source")
    backend = sqlite(folder)
    home = Home(organization_id="org_a", workspace_id="ws_a", secret=bytes(32))
    backend.run(backend.directory.home(home, now_us=1))
    backend.run(backend.directory.add_key(key("a"), secret="s"))
    _fill(backend)
    backend.stop()
    return folder


def _fill(backend: Backend) -> None:
    for start in range(0, RECORDS, AT_ONCE):
        backend.clock.now_us += 1
        some = range(start, start + AT_ONCE)
        times = [NOON_US + number * 1_000_000 for number in some]
        ids = [generation_id(at_us, number.to_bytes(8)) for at_us, number in zip(times, some, strict=True)]
        append(
            backend,
            *(
                record(each, opened={"created_at_us": at_us, "user": f"user-{at_us % 97}"})
                for each, at_us in zip(ids, times, strict=True)
            ),
        )
        adjust(backend, *(adjustment(f"adj-{each}", each, 7) for each in ids[:100]))


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_database() if request.param == "postgres" else f"sqlite:///{tmp_path}/target.db"


def movable(url: str, *, is_target: bool = False) -> Movable:
    if url.startswith("sqlite:///"):
        return SqliteMovable(url.removeprefix("sqlite:///"), is_target=is_target)
    return PostgresMovable(url, is_target=is_target)


async def place_of(target: str) -> tuple[str, bool] | None:
    """The position of the ledger, and whether the directory has arrived."""
    database = movable(target, is_target=True)
    await database.start()
    try:
        state = await database.copy_state()
        return None if state is None else (state.position, "keys" in (await database.held()).others)
    finally:
        await database.close()


async def all_that_differs(source: str, target: str) -> tuple[list[str], tuple[str, ...]]:
    one, other = movable(source), movable(target)
    await one.start()
    await other.start()
    differing = [each.what for each in await compare(one, other) if not each.is_same]
    problems = tuple((await other.check()).problems)
    await one.close()
    await other.close()
    return differing, problems


def test_a_copy_that_is_killed_goes_on_where_it_was(source: Path, target: str) -> None:
    url = f"sqlite:///{source}/arouter.db"
    places: list[tuple[str, bool]] = []
    kills = 0
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with started("db", "copy", "--from", url, "--to", target, "--json", cwd=source) as process:
            while process.poll() is None:
                assert time.monotonic() < deadline
                place = asyncio.run(place_of(target))
                if place is not None and place not in places:
                    places.append(place)
                    process.kill()
                    process.wait()
                    kills += 1
            if process.returncode == 0:
                break
    assert kills >= 4, "it is copied in more pieces than that"
    assert places[-1][1], "it was killed while it compared, too"
    assert asyncio.run(all_that_differs(url, target)) == ([], ())
    again = arouter("db", "copy", "--from", url, "--to", target, "--json", cwd=source)
    told = json.loads(again.stdout)
    assert (again.returncode, told["complete"], told["same"], told["records"]) == (0, True, True, 0)
    assert {each["what"]: each["target"] for each in told["compared"]}["records"] == RECORDS
