"""A whole database copied into another: every answer is the same, and whatever differs is found."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arouter.domain.activity import METRICS, SUMMED_METRICS, ActivityQuery, Dimension, Filters, Scope, SummaryQuery
from arouter.domain.adjustment import Adjustment
from arouter.domain.audit import AuditQuery
from arouter.domain.errors import InvalidRequest, StorageUnavailable
from arouter.domain.record import Record
from arouter.domain.users import UsersQuery
from arouter.jobs.moving import Copied, CopyRefused, compare, copy
from arouter.store.base import Home
from arouter.store.moving import MOVED, Held, Movable, Rows
from arouter.store.postgres.database import PostgresStore
from arouter.store.postgres.moving import PostgresMovable
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.moving import SqliteMovable
from arouter.store.sqlite.sealed import DAY_US
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import FULL, FULL_KEY, NOON_US, adjust, adjustment, append, key, opening, record
from tests.conformance.test_credits import entry
from tests.conformance.test_guardrails import RULES, guardrail
from tests.conformance.test_organizations import invitation, member
from tests.conformance.test_provider_keys import SEALED, provider_key
from tests.conformance.test_sign_in import session
from tests.postgres_server import fresh_database
from tests.store.test_sealing import DAY, at
from tests.store.test_sqlite_stateful import ADJUSTMENTS, RECORDS

PATIENCE_S = 20
HOME = Home(organization_id="org_a", workspace_id="ws_a", secret=bytes(range(32)))
Place = str
"""The path of a file, or the URL of a PostgreSQL database."""


def movable(place: Place, *, is_target: bool = False) -> Movable:
    made = PostgresMovable if "://" in place else SqliteMovable
    return made(place, is_target=is_target)


async def nothing_left() -> int:
    return 0


async def copy_over(source: Place, target: Place) -> Copied:
    one, other = movable(source), movable(target, is_target=True)
    await one.start()
    try:
        await other.start()
        try:
            return await copy(one, other, recover=nothing_left)
        finally:
            await other.close()
    finally:
        await one.close()


def copied(source: Place, target: Place) -> Copied:
    return asyncio.run(copy_over(source, target))


def opened(place: Place) -> Backend:
    if "://" in place:
        return Backend(lambda clock, _: PostgresStore.open(place, clock=clock))
    return Backend(lambda clock, _: SqliteStore.open(place, clock=clock))


@contextlib.contextmanager
def using(place: Place) -> Iterator[Backend]:
    backend = opened(place)
    try:
        yield backend
    finally:
        backend.stop()


def make_home(backend: Backend) -> None:
    backend.run(backend.directory.home(HOME, now_us=1))


def path_of(folder: Path) -> Place:
    return str(folder / "arouter.db")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Backend]:
    """An SQLite store with a home."""
    made = sqlite(tmp_path)
    make_home(made)
    yield made
    made.stop()


def begin(backend: Backend, record_id: str) -> None:
    """A request runs: it is on disk."""
    store = backend.store
    assert isinstance(store, SqliteStore | PostgresStore)

    async def begin() -> None:
        store.ledger.open(opening(record_id))
        async with asyncio.timeout(PATIENCE_S):
            while not (await store.status()).open_records:  # noqa: ASYNC110  the database tells nobody
                await asyncio.sleep(0.01)

    backend.run(begin())


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where there is nothing yet."""
    return fresh_database() if request.param == "postgres" else str(tmp_path / "target.db")


# ---------------------------------------------------------------- every answer


def answers(backend: Backend, *, of_sums: bool = False) -> list[Any]:
    """What a ledger tells, in every way that there is; with `of_sums` nothing that only records could tell."""
    metrics = SUMMED_METRICS if of_sums else METRICS
    ledger, run = backend.ledger, backend.run
    told: list[Any] = [run(ledger.written_until())]
    for organization in ("org_a", "org_b"):
        scope = Scope(organization_id=organization)
        page = run(ledger.page(ActivityQuery(scope=scope, filters=Filters(), limit=1000)))
        told.append(page)
        for row in page.rows:
            told.append(run(ledger.adjustments_of(organization, row.record.opening.id)))
        for at_us in sorted({row.written_at_us for row in page.rows}):
            for filters in (Filters(updated_since_us=at_us), Filters(written_until_us=at_us)):
                found = run(ledger.page(ActivityQuery(scope=scope, filters=filters, limit=1000)))
                told.append([row.record.opening.id for row in found.rows])
        for dimension in Dimension:
            if of_sums and dimension is Dimension.TAG:
                continue
            summary = run(ledger.summary(SummaryQuery(scope=scope, group_by=(dimension,), metrics=frozenset(metrics))))
            told.append((summary.rows, summary.totals))
        told.append(run(ledger.list_users(UsersQuery(scope=scope))))
        told.append(run(ledger.user_costs(scope, Filters())))
    told.append(run(ledger.last_used(["key-a", "key-b", "key-c"])))
    for key_hash in ("key-a", "key-b", "key-c"):
        told.append(run(ledger.spending(key_hash, day_us=0, week_us=0, month_us=0)))
        told.append(run(ledger.byok_spending(key_hash, day_us=0, week_us=0, month_us=0)))
    return told


WRITTEN = st.lists(
    st.tuples(st.integers(1, 20), st.lists(RECORDS, max_size=6), st.lists(ADJUSTMENTS, max_size=4)), max_size=5
)


def write(backend: Backend, written: list[tuple[int, list[Record], list[Adjustment]]], *, sealed: bool) -> None:
    for place, (now_us, records, adjustments) in enumerate(written):
        backend.clock.now_us = now_us
        append(backend, *records)
        if adjustments:
            adjust(backend, *adjustments)
        if sealed and place == len(written) // 2:
            assert isinstance(backend.store, SqliteStore)
            backend.run(backend.store.archive.seal(before_us=2**62))


def there_and_back(written: Any, *, sealed: bool, between: Place | None) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        first, middle, last = str(folder / "a.db"), between or str(folder / "b.db"), str(folder / "c.db")
        with using(first) as backend:
            make_home(backend)
            write(backend, written, sealed=sealed)
            expected = answers(backend)
        assert copied(first, middle).is_right
        with using(middle) as backend:
            assert answers(backend) == expected
        assert copied(middle, last).is_right
        with using(last) as backend:
            assert answers(backend) == expected


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(written=WRITTEN, sealed=st.booleans())
def test_a_ledger_copied_there_and_back_answers_as_before(written: Any, sealed: bool) -> None:
    there_and_back(written, sealed=sealed, between=None)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(written=WRITTEN, sealed=st.booleans())
def test_a_ledger_copied_to_postgresql_and_back_answers_as_before(written: Any, sealed: bool) -> None:
    there_and_back(written, sealed=sealed, between=fresh_database())


# ---------------------------------------------------------------- the directory


def fill_directory(backend: Backend) -> None:
    run, directory = backend.run, backend.directory
    for one in (key("prod"), FULL_KEY, key("gone")):
        run(directory.add_key(one, secret=f"secret-{one.hash}"))
    run(directory.delete_key("org_a", "key-gone", now_us=5))
    run(directory.add_provider_key(provider_key(), SEALED))
    run(directory.add_guardrail(guardrail()))
    run(directory.put_user_rules(replace(RULES, user="alice")))
    run(directory.put_user_rules(replace(RULES, user="b\x00b", blocked=True, reason="", blocked_at_us=4)))
    run(directory.add_member(member()))
    run(directory.add_invitation(invitation(), secret="invited"))
    run(directory.set_password("org_a", "mem_ada", "argon2"))
    run(directory.enrol_totp("org_a", "mem_ada", "totp"))
    run(directory.confirm_totp("org_a", "mem_ada", secret="totp", step=5, recovery=["r1", "r2"]))
    run(directory.add_session(session(), secret="cookie"))
    run(directory.add_credit(entry(), opening_id="crd_0"))
    append(backend, FULL)
    run(directory.switch_credits("org_a", enabled=False, opening_id="crd_1", now_us=NOON_US))
    run(directory.begin_attempt("who", 7, most=5, within_us=100))


def directory_answers(backend: Backend) -> list[Any]:
    run, directory = backend.run, backend.directory
    return [
        run(directory.home(replace(HOME, organization_id="org_x"), now_us=1)),
        run(directory.find_key("secret-key-full")),
        run(directory.find_key("secret-key-gone")),
        run(directory.list_keys("org_a")),
        run(directory.label_keys("org_a", ["key-gone", "key-prod"])),
        run(directory.every_provider_key()),
        run(directory.every_guardrail()),
        run(directory.list_credits("org_a", limit=10)),
        run(directory.credit_account("org_a")),
        run(directory.get_user_rules("org_a", "alice")),
        run(directory.get_user_rules("org_a", "b\x00b")),
        run(directory.user_rules_changed(0)),
        run(directory.get_login("org_a", "mem_ada")),
        run(directory.find_session("cookie")),
        run(directory.audit_page(AuditQuery(organization_id="org_a", limit=100))),
    ]


def test_the_directory_arrives_with_its_secrets_and_its_log(source: Backend, target: Place, tmp_path: Path) -> None:
    fill_directory(source)
    expected = directory_answers(source)
    source.restart()
    moved = copied(path_of(tmp_path), target)
    assert moved.is_right
    assert {one.what for one in moved.compared[: len(MOVED)] if not one.source} == set()
    with using(target) as backend:
        assert directory_answers(backend) == expected
        # And it goes on: the chain of the log, the numbers of changes, the keys.
        changes = backend.run(backend.directory.user_rules_changed(0)).latest
        backend.run(backend.directory.put_user_rules(replace(RULES, user="carol")))
        assert backend.run(backend.directory.user_rules_changed(changes)).users == frozenset({("org_a", "carol")})
        backend.run(backend.directory.add_key(key("next"), secret="n"))
        append(backend, record("gen-1"))
        assert backend.run(backend.ledger.check()).problems == ()


def test_whatever_differs_is_found(source: Backend, tmp_path: Path) -> None:
    fill_directory(source)
    append(source, *(record(f"gen-{number}") for number in range(3)))
    adjust(source, adjustment("adj-1", "gen-1", 5))
    source.restart()
    target = str(tmp_path / "target.db")
    assert copied(path_of(tmp_path), target).is_right

    async def differing() -> set[str]:
        one, other = movable(path_of(tmp_path)), movable(target)
        await one.start()
        await other.start()
        found = {each.what for each in await compare(one, other) if not each.is_same}
        await one.close()
        await other.close()
        return found

    assert asyncio.run(differing()) == set()
    connection = apsw.Connection(target)
    for statement, what in (
        ("UPDATE keys SET secret = 'x' WHERE hash = 'key-prod'", "keys"),
        ("DELETE FROM recovery_codes WHERE code = 'r1'", "recovery codes"),
        ("UPDATE records SET latency_us = 1 WHERE id = 'gen-1'", "records"),
        ("UPDATE records SET written_at_us = 1 WHERE id = 'gen-2'", "records"),
        ("UPDATE adjustments SET reason = 'no'", "adjustments"),
        ("UPDATE user_spans SET last_seen_us = last_seen_us + 1", "users of keys: first and last seen"),
        ("UPDATE rollups SET cost_units = cost_units + 1", "sums by quarter of an hour"),
        ("UPDATE key_hours SET cost_rest = cost_rest + 1", "sums by key and hour"),
        ("UPDATE usage_days SET tokens = tokens + 1 WHERE scope = 4", "sums by user and day"),
    ):
        connection.execute("BEGIN")
        connection.execute(statement)
        assert connection.changes() > 0
        connection.execute("COMMIT")
        found = asyncio.run(differing())
        assert what in found, statement
    assert {"keys", "records", "adjustments"} <= found
    moved = copied(path_of(tmp_path), target)
    assert (moved.complete, moved.is_right) == (True, False)
    assert any(problem.startswith("target: ") for problem in moved.problems)


# ---------------------------------------------------------------- what has expired


def test_what_expired_records_left_behind_arrives(source: Backend, target: Place, tmp_path: Path) -> None:
    old = [at(number, is_byok=number % 2 == 0) for number in range(40)]
    new = [at(86_400 + number) for number in range(30)]
    append(source, *old, *new)
    adjust(source, adjustment("adj-1", old[3].opening.id, 5), adjustment("adj-2", new[3].opening.id, 7))
    assert isinstance(source.store, SqliteStore)
    archive = source.store.archive
    source.run(archive.seal(before_us=(DAY + 1) * DAY_US))
    expired = source.run(archive.expire(default_days=10, now_us=(DAY + 11) * DAY_US))
    assert expired is not None
    assert expired.records == 40
    append(source, at(50))  # late: one of an expired day is there
    expected = answers(source, of_sums=True)
    source.restart()
    moved = copied(path_of(tmp_path), target)
    assert (moved.is_right, moved.records, moved.adjustments, moved.left_out) == (True, 31, 1, 1)
    back = str(tmp_path / "back.db")
    assert copied(target, back).is_right
    within = SummaryQuery(scope=Scope(organization_id="org_a"), filters=Filters(start_us=old[20].opening.created_at_us))
    for place in (target, back):
        with using(place) as backend:
            assert answers(backend, of_sums=True) == expected
            with pytest.raises(InvalidRequest, match="have expired"):
                backend.run(backend.ledger.summary(within))
            append(backend, at(51), at(90_000))
            adjust(backend, adjustment("adj-3", at(50).opening.id, 9))
            assert backend.run(backend.ledger.check()).problems == ()


def test_a_copy_is_refused_once_records_of_the_source_have_expired(source: Backend, tmp_path: Path) -> None:
    append(source, at(1), at(86_400))
    begin(source, "gen-open")
    target = str(tmp_path / "target.db")
    append(source, record("gen-other"))
    assert not copied(path_of(tmp_path), target).complete
    assert isinstance(source.store, SqliteStore)
    source.run(source.store.archive.expire(default_days=1, now_us=(DAY + 2) * DAY_US))
    with pytest.raises(CopyRefused, match="expired since"):
        copied(path_of(tmp_path), target)


# ---------------------------------------------------------------- what is refused, and what goes on


def test_while_a_gateway_runs_the_copy_is_behind_and_then_goes_on(
    source: Backend, target: Place, tmp_path: Path
) -> None:
    begin(source, "gen-open")
    append(source, FULL)
    first = copied(path_of(tmp_path), target)
    assert (first.complete, first.is_right, first.records) == (False, False, 1)
    with pytest.raises(StorageUnavailable, match="not complete"):
        opened(target)
    append(source, record("gen-open"), record("gen-2", opened={"created_at_us": NOON_US + 1}))
    adjust(source, adjustment("adj-1", "gen-full", 5))
    source.restart()  # ended in peace
    second = copied(path_of(tmp_path), target)
    assert (second.is_right, second.records, second.adjustments) == (True, 2, 1)
    expected = answers(source)
    with using(target) as backend:
        assert answers(backend) == expected
    assert copied(path_of(tmp_path), target).is_right


def test_a_gateway_none_of_whose_requests_takes_long_is_seen(source: Backend, tmp_path: Path) -> None:
    append(source, FULL)
    target = str(tmp_path / "target.db")
    assert not copied(path_of(tmp_path), target).complete
    source.restart()
    assert copied(path_of(tmp_path), target).is_right


def test_a_gateway_on_postgresql_is_seen_and_its_database_copied_once_it_has_stopped(tmp_path: Path) -> None:
    place, target = fresh_database(), str(tmp_path / "target.db")
    with using(place) as backend:
        make_home(backend)
        begin(backend, "gen-open")
        append(backend, record("gen-1"))
        assert (moved := copied(place, target)).complete is False
        assert moved.records == 1
        append(backend, record("gen-open"))
        expected = answers(backend)
    moved = copied(place, target)
    assert (moved.is_right, moved.records) == (True, 1)
    with using(target) as backend:
        assert answers(backend) == expected


def test_only_an_empty_target_is_taken(source: Backend, target: Place, tmp_path: Path) -> None:
    with using(target) as backend:
        backend.run(backend.directory.home(replace(HOME, organization_id="org_x", workspace_id="ws_x"), now_us=1))
    assert copied(path_of(tmp_path), target).is_right, "somebody has made the database already"
    (tmp_path / "other").mkdir()
    other = path_of(tmp_path / "other")
    with using(other) as backend:
        backend.run(backend.directory.home(replace(HOME, secret=bytes(32)), now_us=1))
    with pytest.raises(CopyRefused, match="copy of another database"):
        copied(other, target)
    with using(other) as backend:
        append(backend, record("gen-1"))
    with pytest.raises(CopyRefused, match="not empty"):
        copied(path_of(tmp_path), other)


def test_a_directory_that_arrives_in_part_is_not_there(source: Backend, target: Place, tmp_path: Path) -> None:
    fill_directory(source)
    source.restart()

    async def broken(source: Movable) -> AsyncIterator[Rows]:
        for table in ("organizations", "workspaces", "keys"):
            async for rows in source.rows(table):
                yield rows
        raise ConnectionResetError

    async def replace_in_part() -> Held:
        one, other = movable(path_of(tmp_path)), movable(target, is_target=True)
        await one.start()
        await other.start()
        with pytest.raises((ConnectionResetError, StorageUnavailable)):
            await other.replace(broken(one))
        held = await other.held()
        await one.close()
        await other.close()
        return held

    assert asyncio.run(replace_in_part()).others == []
    assert copied(path_of(tmp_path), target).is_right


def test_nothing_is_copied_from_a_database_that_nobody_has_used(tmp_path: Path) -> None:
    path = path_of(tmp_path)
    with using(path):
        pass
    with pytest.raises(CopyRefused, match="nobody has used"):
        copied(path, str(tmp_path / "target.db"))
