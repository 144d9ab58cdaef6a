"""What only the SQLite backend has: a file, indexes, a chain of hashes, backups, a disk that may be full."""

import asyncio
import resource
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import apsw
import pytest

from arouter.domain.activity import (
    TIME_DIMENSIONS,
    ActivityQuery,
    Cursor,
    Dimension,
    Filters,
    Scope,
    SummaryQuery,
)
from arouter.domain.adjustment import AdjustedMeanwhile
from arouter.domain.errors import StorageUnavailable
from arouter.domain.usage import METERS
from arouter.domain.users import UserOrder, UsersQuery
from arouter.store.directory_rows import KEPT_CHANGES
from arouter.store.intents import TICK_S
from arouter.store.migrate import migrations
from arouter.store.planning import plan
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.connections import require_sound_library
from arouter.store.sqlite.names import numbers_of
from arouter.store.sqlite.pages import page_statements
from arouter.store.sqlite.pieces import Pieces, Times, slots_of
from arouter.store.sqlite.rows import COLUMNS
from arouter.store.sqlite.selection import select
from arouter.store.sqlite.sums import sums_statement
from arouter.store.sqlite.users import users_statement
from arouter.store.written import TellingLedger
from tests.conformance.backends import Backend, file_of, sqlite
from tests.conformance.samples import FULL, NOON_US, SCOPE, adjust, adjustment, append, ids, key, opening, record


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


def store_of(backend: Backend) -> SqliteStore:
    assert isinstance(backend.store, SqliteStore)
    return backend.store


def problems(backend: Backend) -> tuple[str, ...]:
    return backend.run(backend.ledger.check()).problems


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2"])
def test_a_library_that_loses_writes_is_refused(version: str) -> None:
    with pytest.raises(StorageUnavailable, match=version):
        require_sound_library(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0"])
def test_a_sound_library_is_taken(version: str) -> None:
    require_sound_library(version)


@pytest.mark.parametrize("path", ["", ":memory:", "file::memory:?cache=shared"])
def test_a_database_that_vanishes_is_refused(path: str) -> None:
    with pytest.raises(StorageUnavailable, match="no ledger"):
        SqliteStore.open(path, clock=lambda: 0)


def test_a_new_database_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "arouter.db"
    SqliteStore.open(str(path), clock=lambda: 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arouter.db"
    path.write_bytes(b"not a database at all, but long enough for a header" * 100)
    with pytest.raises(StorageUnavailable):
        SqliteStore.open(str(path), clock=lambda: 0)
    with pytest.raises(StorageUnavailable, match="cannot be created"):
        SqliteStore.open(str(path / "below"), clock=lambda: 0)


def test_a_database_of_a_later_program_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "arouter.db")
    SqliteStore.open(path, clock=lambda: 0)
    connection = apsw.Connection(path)
    connection.pragma("user_version", 99)
    SqliteStore.open(path, clock=lambda: 0)  # The steps since are compatible.
    connection.execute("UPDATE needed_version SET version = 98")
    with pytest.raises(StorageUnavailable, match="version 99"):
        SqliteStore.open(path, clock=lambda: 0)


def test_relaxed_is_a_durability_and_others_are_not(tmp_path: Path) -> None:
    path = str(tmp_path / "arouter.db")
    SqliteStore.open(path, clock=lambda: 0, durability="relaxed")
    with pytest.raises(ValueError):
        SqliteStore.open(path, clock=lambda: 0, durability="never")


def test_the_columns_are_those_of_the_table(backend: Backend) -> None:
    connection = apsw.Connection(file_of(backend))
    columns = [row[1] for row in connection.execute("PRAGMA table_info(records)").fetchall()]
    assert sorted(map(str, columns)) == sorted(COLUMNS)
    assert {*METERS} < {*COLUMNS}


# ---------------------------------------------------------------- plans

USER = {"users": ("alice",)}
PLANS = [
    ({}, {}, "records_by_time"),
    ({}, USER, "records_by_user"),
    ({}, {"unattributed": True}, "records_by_user"),
    ({"key_hash": "key-a"}, {}, "records_by_key"),
    ({"key_hash": "key-a"}, USER, "records_by_user"),
    ({}, {"statuses": ("success",), "start_us": 1, "end_us": 2}, "records_by_time"),
    ({}, {"updated_since_us": 1}, "records_by_time"),
]


@pytest.mark.parametrize("after", [None, Cursor(NOON_US, "gen-1")], ids=["first", "next"])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(("scope", "filters", "index"), PLANS)
def test_a_page_is_read_in_the_order_of_an_index(
    backend: Backend,
    scope: dict[str, str],
    filters: dict[str, tuple[str, ...]],
    index: str,
    descending: bool,
    after: Cursor | None,
) -> None:
    append(backend, record("gen-1"), record("gen-2", opened={"user": None}))
    query = ActivityQuery(
        scope=Scope(organization_id="org_a", **scope),
        filters=Filters(**filters),  # type: ignore[arg-type]
        descending=descending,
        after=after,
    )
    connection = apsw.Connection(file_of(backend))
    selection = select(connection, query.scope, query.filters)
    assert selection is not None
    ((sql, values),) = page_statements(selection, query)
    plan = plan_of(connection, sql, values)
    assert f"SEARCH records USING INDEX {index} (" in plan
    # Only what the index leaves open is sorted: the records of one microsecond, by id.
    assert "TEMP B-TREE" not in plan.replace("USE TEMP B-TREE FOR LAST TERM OF ORDER BY", "")
    assert "SCAN records" not in plan
    assert "SEARCH adjusted USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN" in plan
    if after is not None:
        assert "created_at_us" in plan


@pytest.mark.parametrize(
    ("scope", "filters", "group_by", "searched"),
    [
        ({}, {"users": ("alice",), "start_us": 1}, (), "records USING INDEX records_by_user (organization_no=?"),
        ({}, {"tags": ("x",), "end_us": 2 * NOON_US}, (), "records USING INDEX records_by_time (organization_no=?"),
        ({}, {}, (), "rollups USING PRIMARY KEY (organization_no=? AND slot>? AND slot<?)"),
        (
            {},
            {"models": ("m",)},
            (Dimension.DAY,),
            "rollups USING PRIMARY KEY (organization_no=? AND slot>? AND slot<?)",
        ),
        ({"key_hash": "key-a"}, {}, (), "rollups USING PRIMARY KEY (organization_no=? AND slot=? AND key_no=?)"),
    ],
)
def test_a_summary_searches_an_index(
    backend: Backend,
    scope: dict[str, str],
    filters: dict[str, Any],
    group_by: tuple[Dimension, ...],
    searched: str,
) -> None:
    append(backend, record("gen-1", opened={"tags": ("x",), "requested_model": "m"}))
    connection = apsw.Connection(file_of(backend))
    query = SummaryQuery(scope=Scope(organization_id="org_a", **scope), filters=Filters(**filters), group_by=group_by)
    organization_no = numbers_of(connection, ["org_a"])["org_a"]
    times = Times(tuple(one for one in group_by if one in TIME_DIMENSIONS), ZoneInfo("UTC"))
    pieces = Pieces(connection, query, organization_no, times)
    for span in plan(query, slots_of(connection, organization_no)).spans:
        piece = pieces.of(span)
        assert piece is not None
        text = plan_of(connection, *sums_statement(piece))
        assert f"SEARCH {searched}" in text
        assert "SCAN r" not in text


@pytest.mark.parametrize("order", list(UserOrder))
def test_a_list_of_users_looks_at_no_record(backend: Backend, order: UserOrder) -> None:
    append(backend, record("gen-1"))
    connection = apsw.Connection(file_of(backend))
    for scope in (SCOPE, Scope(organization_id="org_a", key_hash="key-a")):
        statement = users_statement(connection, UsersQuery(scope=scope, prefix="a", order=order))
        assert statement is not None
        plan = plan_of(connection, statement[0], tuple(statement[1]))
        assert "SEARCH user_spans USING PRIMARY KEY (organization_no=?" in plan
        assert "SCAN user_spans" not in plan
        assert "records" not in plan
        if order is UserOrder.NAME:
            assert "(organization_no=? AND name>? AND name<?)" in plan
            assert "TEMP B-TREE" not in plan


def plan_of(connection: apsw.Connection, sql: str, values: tuple[int | str | None, ...]) -> str:
    return "\n".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall())


# ---------------------------------------------------------------- grouping


def test_what_waits_together_is_written_together_and_counted(backend: Backend) -> None:
    append(backend, *(record(f"gen-{number:04}", opened={"user": f"u{number % 3}"}) for number in range(2_500)))
    stats = store_of(backend).stats
    assert stats.records == 2_500
    assert stats.batches < 100
    assert len(ids(backend, users=("u1",))) == 833
    assert problems(backend) == ()


def test_closing_writes_what_is_queued_and_then_refuses(tmp_path: Path) -> None:
    backend = sqlite(tmp_path)

    async def leave() -> list[None]:
        waiting = [backend.ledger.close(record(f"gen-{number}")) for number in range(300)]
        await backend.store.close()
        with pytest.raises(StorageUnavailable):
            await backend.ledger.close(record("gen-late"))
        return await asyncio.gather(*waiting)

    assert len(backend.run(leave())) == 300
    backend.restart()
    assert len(ids(backend)) == 300
    backend.stop()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["arouter.db", "arouter.db-turn-next", "arouter.db-turn-now"]


def test_whoever_wants_a_call_is_called_once_for_each_record(tmp_path: Path) -> None:
    backend = sqlite(tmp_path)
    told: list[tuple[str, Exception | None]] = []

    def close(record_id: str, **changes: Any) -> None:
        ledger = backend.ledger
        assert isinstance(ledger, TellingLedger)
        ledger.close_then(record(record_id, **changes), lambda failure: told.append((record_id, failure)))

    async def scene() -> None:
        close("gen-1")
        close("gen-2", upstream_id="\ud800")
        await backend.ledger.close(record("gen-3"))
        assert [record_id for record_id, _ in told] == ["gen-1", "gen-2"]
        await backend.store.close()
        close("gen-late")

    backend.run(scene())
    (_, first), (_, not_text), (_, closed) = told
    assert first is None
    assert isinstance(not_text, ValueError)
    assert isinstance(closed, StorageUnavailable)
    backend.restart()
    assert sorted(ids(backend)) == ["gen-1", "gen-3"]
    backend.stop()


def test_of_changes_too_long_ago_and_of_those_that_an_older_program_made_it_is_not_known_what_they_were(
    backend: Backend,
) -> None:
    directory = backend.directory

    def keys_after(revision: int) -> frozenset[str] | None:
        return backend.run(directory.changes_after(revision)).keys(())

    def execute(sql: str) -> int:
        with closing(apsw.Connection(store_of(backend).path)) as other:
            return int(other.execute(sql).get)

    backend.run(directory.add_key(key("a"), secret="a"))
    before = backend.run(directory.last_changes()).revision
    execute("UPDATE directory_revision SET revision = revision + 1 RETURNING revision")
    backend.run(directory.add_key(key("b"), secret="b"))
    assert (keys_after(before), keys_after(before + 1)) == (None, frozenset({"key-b"}))
    assert execute("SELECT count(*) FROM directory_changes") == 2
    execute(f"UPDATE directory_revision SET revision = revision + {KEPT_CHANGES} - 2 RETURNING revision")
    backend.run(directory.add_key(key("c"), secret="c"))
    assert execute("SELECT min(revision) FROM directory_changes") == before + 2
    backend.run(directory.add_key(key("d"), secret="d"))
    assert execute("SELECT count(*) FROM directory_changes") == 2, "as many revisions are kept as the bound says"


def test_another_process_writes_and_this_one_sees_it(backend: Backend) -> None:
    other = Backend(lambda clock, _: SqliteStore.open(store_of(backend).path, clock=clock))
    before = backend.run(backend.directory.last_changes()).revision
    other.run(other.directory.add_key(key(), secret="s"))
    append(other, record("gen-other"))
    append(backend, record("gen-mine"), record("gen-other"))
    append(other, record("gen-mine"))
    assert backend.run(backend.directory.last_changes()).revision > before
    assert backend.run(backend.directory.find_key("s")) == key()
    assert sorted(ids(backend)) == sorted(ids(other)) == ["gen-mine", "gen-other"]
    other.stop()
    assert problems(backend) == ()


# ---------------------------------------------------------------- check, backup, status


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE records SET cost = cost + 1 WHERE seq = 2", "sums by quarter of an hour differ"),
        ("UPDATE records SET cost = cost + 1 WHERE seq = 2", "sums by key and hour differ"),
        ("UPDATE user_spans SET first_seen_us = first_seen_us + 1", "their spans do not hold"),
        ("UPDATE user_spans SET last_seen_us = last_seen_us - 1", "their spans do not hold"),
        ("DELETE FROM user_spans", "their spans do not hold"),
        ("UPDATE records SET completed_at_us = 0 WHERE seq = 2", "their hash differs"),
        ("UPDATE records SET user_no = NULL WHERE seq = 2", "their hash differs"),
        ("UPDATE names SET text = 'cheap' WHERE text = 'openai/gpt-5.4'", "their hash differs"),
        ("DELETE FROM record_tags", "their hash differs"),
        ("UPDATE records SET tried = '[]' WHERE seq = 2", "their hash differs"),
        ("UPDATE records SET tried = NULL WHERE seq = 3", "their hash differs"),
        ("DELETE FROM records WHERE seq = 2", "their hash differs"),
        ("DELETE FROM batches WHERE no = 1", "Batches are missing"),
        ("DELETE FROM batches WHERE no = 2", "belong to no batch"),
        ("DELETE FROM end_users", "rows of records refer to rows of end_users"),
        ("UPDATE rollups SET prompt_tokens = prompt_tokens + 1", "sums by quarter of an hour differ"),
        ("DELETE FROM key_hours", "sums by key and hour differ"),
        ("UPDATE key_hours SET last_used_us = last_used_us - 1", "used later in an hour than is noted"),
        ("UPDATE key_hours SET last_used_us = last_used_us + 1", "sums by key and hour differ"),
    ],
)
def test_the_check_tells_what_was_changed_behind_the_ledgers_back(backend: Backend, tampering: str, told: str) -> None:
    append(backend, record("gen-1"))
    append(backend, record("gen-2", opened={"tags": ("x", "y")}), record("gen-3", tried=FULL.tried))
    assert problems(backend) == ()
    apsw.Connection(file_of(backend)).execute(tampering)
    assert told in "\n".join(problems(backend))


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE adjustments SET reason = 'x' WHERE no = 2", "The adjustments of batch 3 are not what was written"),
        ("UPDATE adjustments SET price_version_no = NULL WHERE no = 2", "their hash differs"),
        ("UPDATE adjustments SET author = 'eve' WHERE no = 1", "their hash differs"),
        ("UPDATE adjustments SET author = NULL WHERE no = 3", "their hash differs"),
        ("UPDATE adjustments SET cost = NULL WHERE no = 1", "their hash differs"),
        ("UPDATE adjustments SET record_seq = 2 WHERE no = 1", "their hash differs"),
        ("DELETE FROM adjustments WHERE no = 1", "their hash differs"),
        ("UPDATE adjustments SET batch_no = 1 WHERE no = 3", "The records 1 to 1 are not what was written"),
        ("DELETE FROM batches WHERE no = 4", "rows of adjustments refer to rows of batches"),
        ("UPDATE adjustments SET cost = cost + 1 WHERE no = 3", "go by another adjustment than their latest"),
        ("DELETE FROM adjusted", "go by another adjustment than their latest"),
        ("DELETE FROM adjusted", "sums by quarter of an hour differ"),
        ("UPDATE adjusted SET adjusted_cost = 3", "sums by key and hour differ"),
        ("UPDATE adjusted SET adjusted_at_us = 0", "go by another adjustment than their latest"),
        ("UPDATE records SET service_tier_no = 1 WHERE seq = 1", "The records 1 to 1 are not what was written"),
    ],
)
def test_the_check_tells_what_was_changed_about_adjustments(backend: Backend, tampering: str, told: str) -> None:
    append(backend, record("gen-1"))
    append(backend, record("gen-2"))
    adjust(backend, adjustment("adj-1", "gen-1", 1), adjustment("adj-2", "gen-1", 2))
    adjust(backend, adjustment("adj-3", "gen-2", 5, author="ann"))
    assert problems(backend) == ()
    apsw.Connection(file_of(backend)).execute(tampering)
    assert told in "\n".join(problems(backend))


def test_a_database_of_the_first_schema_is_brought_forward_whole(tmp_path: Path) -> None:
    backend = sqlite(tmp_path)
    append(backend, record("gen-1"), record("gen-2", opened={"tags": ("x",)}), record("gen-own", is_byok=True))
    backend.run(backend.store.close())
    connection = apsw.Connection(str(tmp_path / "arouter.db"))
    # What the first version of the program left: no such column, and no such tables.
    connection.execute(
        "DROP TABLE directory_changes; DROP TABLE arrivals; DROP TABLE arrivals_set_aside; DROP TABLE arrival_files;"
        "DROP TABLE adjusted; DROP TABLE adjustments; ALTER TABLE records DROP COLUMN service_tier_no;"
        "ALTER TABLE records DROP COLUMN tried; DROP TABLE provider_keys; ALTER TABLE batches DROP COLUMN blocks_of;"
        "DROP TABLE user_spans;"
        "DROP TABLE folded_days; DROP TABLE day_blocks;"
        "DROP TABLE own_key_hours; DROP TABLE sealed_ids; DROP TABLE user_blocks; DROP TABLE time_blocks;"
        "DROP TABLE sealed_days; DROP TABLE expired_days; ALTER TABLE organizations DROP COLUMN retention_days;"
        "DROP INDEX user_rules_blocked;"
        "DROP INDEX keys_by_previous_secret; ALTER TABLE keys DROP COLUMN previous_secret;"
        "ALTER TABLE keys DROP COLUMN previous_expires_at_us; ALTER TABLE key_hours DROP COLUMN last_used_us;"
        "ALTER TABLE keys DROP COLUMN rate_limit; ALTER TABLE keys DROP COLUMN default_user_limits;"
        "DROP TABLE guardrails; DROP TABLE user_rules; DROP TABLE usage_days; DROP TABLE counter_uses;"
        "DROP TABLE leases;"
        "DROP TABLE audit; DROP TABLE sign_in_attempts; DROP TABLE sessions; DROP TABLE recovery_codes;"
        "DROP TABLE logins; DROP TABLE credits; DROP TABLE credit_pools; DROP TABLE needed_version; DROP TABLE copies;"
        "DROP TABLE invitations; DROP TABLE members; DROP INDEX workspaces_by_age;"
        "ALTER TABLE organizations DROP COLUMN name; ALTER TABLE organizations DROP COLUMN updated_at_us;"
        "ALTER TABLE workspaces DROP COLUMN name; ALTER TABLE workspaces DROP COLUMN updated_at_us;"
        "ALTER TABLE workspaces DROP COLUMN archived;"
        "PRAGMA user_version = 1"
    )
    connection.close()
    backend.restart()
    assert problems(backend) == ()
    assert backend.run(backend.ledger.user_span(SCOPE, "alice")) is not None
    assert backend.run(backend.ledger.last_used(["key-a"])) == {"key-a": record("gen-2").opening.created_at_us}
    spent = backend.run(backend.ledger.byok_spending("key-a", day_us=0, week_us=0, month_us=0))
    assert spent.total == record("gen-own").cost
    append(backend, record("gen-3", service_tier="flex"), FULL)
    assert adjust(backend, adjustment("adj-1", "gen-1", 1)) == 1
    assert problems(backend) == ()
    backend.stop()


def test_of_two_processes_that_saw_the_same_cost_one_adjusts_it(backend: Backend, tmp_path: Path) -> None:
    other = sqlite(tmp_path)
    append(backend, record("gen-1"))
    row = other.run(other.ledger.get("org_a", "gen-1"))
    assert row is not None
    assert row.adjustment is None
    assert adjust(backend, adjustment("adj-hand", "gen-1", 7), seen={"gen-1": None}) == 1
    with pytest.raises(AdjustedMeanwhile):
        adjust(other, adjustment("adj-run", "gen-1", 9), seen={"gen-1": None})
    assert adjust(other, adjustment("adj-run", "gen-1", 9), seen={"gen-1": "adj-hand"}) == 1
    with pytest.raises(AdjustedMeanwhile):
        adjust(backend, adjustment("adj-late", "gen-1", 8), seen={"gen-1": "adj-hand"})
    row = backend.run(backend.ledger.get("org_a", "gen-1"))
    assert row is not None
    assert row.record.cost == 9
    other.stop()
    assert problems(backend) == ()


def test_a_forgotten_user_does_not_break_the_chain(backend: Backend) -> None:
    append(backend, record("gen-1"))
    apsw.Connection(file_of(backend)).execute("UPDATE end_users SET name = 'forgotten-1'")
    assert problems(backend) == ()


def test_a_backup_is_a_whole_ledger_while_writing_goes_on(backend: Backend, tmp_path: Path) -> None:
    append(backend, *(record(f"gen-{number}") for number in range(2_000)))
    target = tmp_path / "backups" / "copy.db"
    seen: list[tuple[int, int]] = []

    async def both() -> None:
        backing = asyncio.ensure_future(
            store_of(backend).backup(str(target), lambda done, pages: seen.append((done, pages)))
        )
        while not backing.done():
            await backend.ledger.close(record(f"gen-more-{len(seen)}-{threading.active_count()}"))
        await backing

    backend.run(both())
    assert seen[-1][0] == seen[-1][1] > 0
    with pytest.raises(FileExistsError):
        backend.run(store_of(backend).backup(str(target)))
    copy = Backend(lambda clock, _: SqliteStore.open(str(target), clock=clock))
    assert copy.run(copy.ledger.check()).records >= 2_000
    assert problems(copy) == ()
    copy.stop()


def test_the_status_tells_sizes_and_versions(backend: Backend) -> None:
    append(backend, record("gen-1"))
    backend.ledger.open(opening("gen-2"))
    backend.run(asyncio.sleep(4 * TICK_S))
    append(backend, record("gen-3"))
    status = backend.run(store_of(backend).status())
    assert (status.records, status.open_records, status.schema_version) == (2, 1, len(migrations("sqlite")))
    assert status.size + status.wal_size > 4096
    assert status.sqlite_version == apsw.sqlite_lib_version()


# ---------------------------------------------------------------- failures


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_at_once_and_nothing_is_lost_when_there_is_space_again(backend: Backend) -> None:
    append(backend, record("gen-before"))
    store = store_of(backend)

    async def refused() -> list[BaseException | None]:
        closing = [backend.ledger.close(record(f"gen-{n:03}", raw_usage=b"x" * 4_000)) for n in range(200)]
        return await asyncio.gather(*closing, return_exceptions=True)

    with no_file_larger_than(100_000):
        outcomes = backend.run(refused())
        assert {type(outcome) for outcome in outcomes} <= {StorageUnavailable, type(None)}
        assert isinstance(outcomes[-1], StorageUnavailable)
        assert not store.healthy
        assert store.last_error is not None
        assert store.last_error.detail
        assert store.unwritten > 0
        assert "gen-before" in ids(backend)

    while not store.healthy:
        backend.run(asyncio.sleep(0.02))
    assert store.unwritten == 0
    append(backend, record("gen-after"))
    assert len(ids(backend)) == 202
    assert problems(backend) == ()


def test_a_database_locked_for_too_long_is_unavailable(backend: Backend) -> None:
    locker = apsw.Connection(store_of(backend).path)
    locker.execute("BEGIN IMMEDIATE")

    async def wait() -> None:
        with pytest.raises(StorageUnavailable):
            await backend.ledger.close(record("gen-1"))
        locker.execute("ROLLBACK")
        await backend.ledger.close(record("gen-1"))

    backend.run(wait())
    assert store_of(backend).healthy
    assert ids(backend) == ["gen-1"]


def test_the_log_moves_into_the_database_while_it_is_open(backend: Backend) -> None:
    path = Path(store_of(backend).path)
    before = path.stat().st_size
    append(backend, *(record(f"gen-{number}") for number in range(800)))
    end = time.monotonic() + 10
    while path.stat().st_size <= before + 100_000:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert len(ids(backend)) == 800


# ---------------------------------------------------------------- intents


def test_an_intent_whose_record_comes_at_once_is_never_written(backend: Backend) -> None:
    backend.ledger.open(opening("gen-1"))
    append(backend, record("gen-1"))
    backend.run(asyncio.sleep(4 * TICK_S))
    status = backend.run(store_of(backend).status())
    assert (status.records, status.open_records) == (1, 0)


def test_an_intent_that_waits_is_written_when_the_store_closes(backend: Backend) -> None:
    backend.ledger.open(opening("gen-1"))
    backend.restart()
    assert backend.run(backend.ledger.recover(now_us=77)) == 1
