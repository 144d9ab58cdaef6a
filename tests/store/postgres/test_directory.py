"""Several gateways that change one directory at once: each change as if it were alone, and each seen by all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest

from arouter.domain.audit import AuditEntry, AuditQuery
from arouter.domain.errors import StorageUnavailable
from arouter.domain.guardrails import UserRules
from arouter.domain.organizations import LastAdmin
from arouter.domain.roles import Role
from arouter.store.base import Home
from arouter.store.directory_rows import KEPT_CHANGES
from arouter.store.postgres.audit import check_audit
from arouter.store.postgres.directory import PostgresDirectory
from arouter.store.postgres.pool import Pool
from tests.conformance.samples import key
from tests.conformance.test_organizations import NOW_US, ORGANIZATIONS, WORKSPACES, invitation, member
from tests.postgres_server import PostgresServer, fresh_database

Result = TypeVar("Result")

GATEWAYS = 4
ROUNDS = 8
ADA = ("org_a", "mem_ada")
HOME = Home(organization_id="org_a", workspace_id="ws_a", secret=bytes(32))


async def nothing_waits() -> None:
    """No records are appended beside the directory."""


class Gateways:
    """Some gateways' directories in one database."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self.pools = pools
        self.directories = [PostgresDirectory(pool, lambda: NOW_US, nothing_waits) for pool in pools]
        self.one = self.directories[0]

    async def each(self, ask: Callable[[int, PostgresDirectory], Awaitable[Result]]) -> list[Result | BaseException]:
        """What it comes to when every gateway does this at once."""
        asked = (ask(number, directory) for number, directory in enumerate(self.directories))
        return await asyncio.gather(*asked, return_exceptions=True)

    async def log(self, organization_id: str = "org_a") -> Sequence[AuditEntry]:
        query = AuditQuery(organization_id=organization_id, descending=False, limit=1_000)
        return await self.one.audit_page(query)

    async def faults(self) -> list[str]:
        async with self.pools[0].transaction("repeatable_read", readonly=True) as connection:
            return [fault async for fault in check_audit(connection)]

    async def execute(self, statement: str) -> None:
        async with self.pools[0].lend() as connection:
            await connection.execute(statement)


@asynccontextmanager
async def gateways() -> AsyncIterator[Gateways]:
    """With a connection open in each: none comes late to what is done at once."""
    url = await asyncio.to_thread(fresh_database)
    async with AsyncExitStack() as stack:
        pools = [Pool(url) for _ in range(GATEWAYS)]
        for pool in pools:
            await pool.start()
            stack.push_async_callback(pool.close)
        yield Gateways(pools)


@asynccontextmanager
async def with_organizations() -> AsyncIterator[Gateways]:
    async with gateways() as made:
        for pair in zip(ORGANIZATIONS, WORKSPACES, strict=True):
            await made.one.add_organization(*pair)
        yield made


async def join(address: str, number: int, directory: PostgresDirectory) -> None:
    await directory.add_member(member(f"{address}-{number}", email=address))


async def accept(secret: str, number: int, directory: PostgresDirectory) -> bool:
    made = member(f"{secret}-{number}")
    return await directory.accept_invitation(secret, made, now_us=NOW_US, password="hash")


async def use_code(code: str, _: int, directory: PostgresDirectory) -> bool:
    return await directory.use_recovery_code(*ADA, code)


async def use_step(step: int, _: int, directory: PostgresDirectory) -> bool:
    return await directory.use_totp(*ADA, step)


async def confirm(step: int, number: int, directory: PostgresDirectory) -> bool:
    codes = [f"{number}-{one}" for one in range(3)]
    return await directory.confirm_totp(*ADA, secret="s", step=step, recovery=codes)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


# ---------------------------------------------------------------- what may be once


@pytest.mark.parametrize("how", ["demoted", "disabled", "deleted"])
def test_of_admins_who_end_each_other_at_once_one_stays(how: str) -> None:
    async def end(directory: PostgresDirectory, number: int) -> bool:
        one = member(f"{number}", role=Role.ADMIN)
        if how == "deleted":
            return await directory.delete_member("org_a", one.id)
        return await directory.replace_member(
            replace(one, role=Role.MEMBER) if how == "demoted" else replace(one, disabled=True)
        )

    async def work() -> None:
        async with with_organizations() as made:
            for number in range(GATEWAYS):
                await made.one.add_member(member(f"{number}", role=Role.ADMIN))
            told = await made.each(lambda number, directory: end(directory, number))
            assert sorted(map(type, told), key=str) == sorted([LastAdmin, *[bool] * (GATEWAYS - 1)], key=str)
            left = [one for one in await made.one.list_members("org_a") if one.role is Role.ADMIN and not one.disabled]
            assert len(left) == 1

    run(work())


def test_an_address_is_given_to_one_member_only() -> None:
    async def work() -> None:
        async with with_organizations() as made:
            for turn in range(ROUNDS):
                address = f"{turn}@example.com"
                told = await made.each(partial(join, address))
                assert sum(one is None for one in told) == 1
                assert sum(isinstance(one, ValueError) for one in told) == GATEWAYS - 1
                assert len(await made.one.members_with_email(address)) == 1

    run(work())


def test_an_invitation_is_accepted_once() -> None:
    async def work() -> None:
        async with with_organizations() as made:
            for turn in range(ROUNDS):
                await made.one.add_invitation(invitation(f"{turn}"), secret=f"s{turn}")
                told = await made.each(partial(accept, f"s{turn}"))
                assert sorted(map(str, told)) == [*["False"] * (GATEWAYS - 1), "True"]
            assert len(await made.one.list_members("org_a")) == ROUNDS

    run(work())


def test_a_recovery_code_and_a_time_step_are_used_once() -> None:
    async def work() -> None:
        async with with_organizations() as made:
            await made.one.add_member(member())
            await made.one.set_password(*ADA, "hash")
            await made.one.enrol_totp(*ADA, "s")
            codes = [f"code-{turn}" for turn in range(ROUNDS)]
            assert await made.one.confirm_totp(*ADA, secret="s", step=0, recovery=codes)
            for turn, code in enumerate(codes):
                used = await made.each(partial(use_code, code))
                assert sorted(map(str, used)) == [*["False"] * (GATEWAYS - 1), "True"]
                used = await made.each(partial(use_step, turn + 1))
                assert sorted(map(str, used)) == [*["False"] * (GATEWAYS - 1), "True"]

    run(work())


def test_an_app_is_confirmed_once_and_its_recovery_codes_are_those_of_that_time() -> None:
    async def work() -> None:
        async with with_organizations() as made:
            await made.one.add_member(member())
            await made.one.set_password(*ADA, "hash")
            for turn in range(ROUNDS):
                await made.one.enrol_totp(*ADA, "s")
                told = await made.each(partial(confirm, turn))
                assert sorted(map(str, told)) == [*["False"] * (GATEWAYS - 1), "True"]
                left = await made.each(lambda number, directory: directory.use_recovery_code(*ADA, f"{number}-0"))
                assert left == told
                await made.one.remove_totp(*ADA)

    run(work())


def test_no_more_attempts_to_sign_in_are_let_through_at_once_than_one_after_another() -> None:
    async def work() -> None:
        async with gateways() as made:

            async def attempts(_: int, directory: PostgresDirectory) -> list[int | None]:
                asked = (directory.begin_attempt("who", NOW_US, most=10, within_us=100) for _ in range(8))
                return await asyncio.gather(*asked)

            told = [one for some in await made.each(attempts) if isinstance(some, list) for one in some]
            assert told.count(None) == 10
            assert told.count(NOW_US + 100) == 8 * GATEWAYS - 10
            assert await made.one.begin_attempt("who", NOW_US + 100, most=10, within_us=100) is None

    run(work())


def test_the_home_is_one_whoever_asks_first() -> None:
    async def work() -> None:
        async with gateways() as made:
            told = await made.each(
                lambda number, directory: directory.home(
                    Home(organization_id=f"org_{number}", workspace_id=f"ws_{number}", secret=bytes([number] * 32)),
                    now_us=1,
                )
            )
            assert len(set(told)) == 1
            (home,) = {one for one in told if isinstance(one, Home)}
            assert [one.id for one in await made.one.list_organizations()] == [home.organization_id]
            assert len(await made.log(home.organization_id)) == 2

    run(work())


# ---------------------------------------------------------------- what all see


def test_each_log_is_one_chain_whoever_writes_and_every_change_has_a_number_of_its_own() -> None:
    async def work() -> None:
        async with with_organizations() as made:
            before = (await made.one.last_changes()).revision

            async def change(number: int, directory: PostgresDirectory) -> None:
                for turn in range(ROUNDS):
                    for name in ("org_a", "org_b"):
                        one = key(f"{name}-{number}-{turn}", organization_id=name)
                        await directory.add_key(one, secret=one.hash)
                        await directory.replace_key(replace(one, disabled=True))

            assert await made.each(change) == [None] * GATEWAYS
            changes = 2 * GATEWAYS * ROUNDS
            for name in ("org_a", "org_b"):
                assert [one.no for one in await made.log(name)] == list(range(1, 2 + changes + 1))
            assert await made.faults() == []
            assert (await made.one.last_changes()).revision == before + 2 * changes

    run(work())


def test_who_asks_for_changes_again_and_again_is_told_of_every_key_once() -> None:
    async def work() -> None:
        async with gateways() as made:
            writing = True
            told: list[str] = []

            async def follow() -> None:
                revision = (await made.one.last_changes()).revision
                ready.set()
                last = False
                while not last:
                    last = not writing
                    changes = await made.one.changes_after(revision)
                    keys = changes.keys(())
                    assert keys is not None
                    told.extend(keys)
                    revision = changes.revision

            async def write(number: int, directory: PostgresDirectory) -> None:
                for turn in range(4 * ROUNDS):
                    one = key(f"{number}-{turn}")
                    await directory.add_key(one, secret=one.hash)

            ready = asyncio.Event()
            following = asyncio.ensure_future(follow())
            await ready.wait()
            assert await made.each(write) == [None] * GATEWAYS
            writing = False
            await following
            assert sorted(told) == sorted(
                key(f"{number}-{turn}").hash for number in range(GATEWAYS) for turn in range(4 * ROUNDS)
            )

    run(work())


def test_of_changes_too_long_ago_and_of_those_that_an_older_program_made_it_is_not_known_what_they_were() -> None:
    async def work() -> None:
        async with gateways() as made:

            async def keys_after(revision: int) -> frozenset[str] | None:
                return (await made.one.changes_after(revision)).keys(())

            await made.one.add_key(key("a"), secret="a")
            before = (await made.one.last_changes()).revision
            await made.execute("UPDATE directory_revision SET revision = revision + 1")
            await made.one.add_key(key("b"), secret="b")
            assert (await keys_after(before), await keys_after(before + 1)) == (None, frozenset({key("b").hash}))
            await made.execute(f"UPDATE directory_revision SET revision = revision + {KEPT_CHANGES}")
            await made.one.add_key(key("c"), secret="c")
            async with made.pools[0].lend() as connection:
                assert await connection.fetchval("SELECT count(*) FROM directory_changes") == 1

    run(work())


def test_who_reads_a_revision_sees_every_change_up_to_it() -> None:
    async def work() -> None:
        async with gateways() as made:
            writing = True

            async def read() -> int:
                looks = 0
                while writing:
                    revision = (await made.one.last_changes()).revision
                    assert len(await made.one.list_keys("org_a", limit=1_000)) >= revision
                    looks += 1
                return looks

            async def write(number: int, directory: PostgresDirectory) -> None:
                for turn in range(4 * ROUNDS):
                    one = key(f"{number}-{turn}")
                    await directory.add_key(one, secret=one.hash)

            reading = asyncio.ensure_future(read())
            assert await made.each(write) == [None] * GATEWAYS
            writing = False
            assert await reading > 1

    run(work())


def test_who_follows_the_rules_of_users_misses_none() -> None:
    async def work() -> None:
        async with gateways() as made:
            writing, seen, since = True, set[tuple[str, str]](), 0

            async def look() -> None:
                nonlocal since
                change = await made.one.user_rules_changed(since)
                assert change.latest >= since
                assert change.users is not None
                seen.update(change.users)
                since = change.latest

            async def follow() -> None:
                while writing:
                    await look()

            async def write(number: int, directory: PostgresDirectory) -> None:
                for turn in range(4 * ROUNDS):
                    # Organizations of their own wait for nothing of each other's but the number.
                    rules = UserRules(organization_id=f"org_{number}", user=f"user-{turn}", blocked=True)
                    await directory.put_user_rules(rules)

            following = asyncio.ensure_future(follow())
            assert await made.each(write) == [None] * GATEWAYS
            writing = False
            await following
            await look()
            assert len(seen) == since == GATEWAYS * 4 * ROUNDS

    run(work())


# ---------------------------------------------------------------- what is left behind


def test_what_is_refused_or_changes_nothing_leaves_nothing() -> None:
    async def work() -> None:
        async with gateways() as made:
            assert not await made.one.replace_key(key("nobody", organization_id="org_x"))
            with pytest.raises(ValueError):
                await made.one.add_member(member())
            with pytest.raises(ValueError):
                await made.one.add_key(key("\ud800"), secret="s3same")
            with pytest.raises(ValueError) as told:
                await made.one.add_key(key("x", created_at_us=2**63), secret="s3same")
            assert "s3same" not in str(told.value)
            await made.one.add_key(key("a"), secret="s3same")
            with pytest.raises(ValueError) as told:
                await made.one.add_key(key("b"), secret="s3same")
            assert "s3same" not in str(told.value)
            async with made.pools[0].lend() as connection:
                ends = await connection.fetch("SELECT organization_id, no FROM audit_ends")
            assert [tuple(row) for row in ends] == [("org_a", 1)]
            assert (await made.one.last_changes()).revision == 1

    run(work())


def test_a_change_that_nobody_waits_for_any_more_is_undone_and_holds_up_nobody() -> None:
    async def work() -> None:
        async with with_organizations() as made:
            async with made.pools[1].transaction() as connection:
                await connection.execute("SELECT no FROM audit_ends WHERE organization_id = 'org_a' FOR UPDATE")
                waiting = asyncio.ensure_future(made.one.add_key(key("a"), secret="a"))
                while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    assert not waiting.done()
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                # What belongs to another organization does not wait.
                await made.directories[2].add_key(key("b", organization_id="org_b"), secret="b")
            await made.one.add_key(key("c"), secret="c")
            assert [one.target_id for one in await made.log()] == ["org_a", "ws_a", "key-c"]

    run(work())


def test_a_server_that_is_killed_has_each_change_wholly_or_not_at_all_and_those_that_were_told(
    postgres_server: PostgresServer,
) -> None:
    async def work() -> None:
        async with gateways() as made:
            done: list[str] = []
            enough = asyncio.Event()

            async def change(number: int, directory: PostgresDirectory) -> None:
                for turn in range(10_000):
                    one = key(f"{number}-{turn}", organization_id=f"org_{number % 2}")
                    await directory.add_key(one, secret=one.hash)
                    done.append(one.hash)
                    if len(done) == 10 * GATEWAYS:
                        enough.set()

            changing = asyncio.ensure_future(made.each(change))
            await enough.wait()
            postgres_server.kill()
            assert {type(one) for one in await changing} == {StorageUnavailable}
            await asyncio.to_thread(postgres_server.start)
            told = [entry.target_id for name in ("org_0", "org_1") for entry in await made.log(name)]
            kept = [one.hash for name in ("org_0", "org_1") for one in await made.one.list_keys(name, limit=10_000)]
            assert sorted(map(str, told)) == sorted(kept)
            assert set(done) <= set(kept)
            assert len(kept) <= len(done) + GATEWAYS
            assert (await made.one.last_changes()).revision == len(kept)
            assert await made.faults() == []

    run(work())


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE audit SET actor_id = 'mem_eve' WHERE no = 4", "Entry 4 of the audit log of org_a is not what was"),
        ("UPDATE audit SET after = NULL WHERE no = 3", "Entry 3 of the audit log of org_a is not what was"),
        ("UPDATE audit SET at_us = at_us + 1 WHERE no = 5", "Entry 5 of the audit log of org_a is not what was"),
        ("DELETE FROM audit WHERE no = 2", "Entries are missing before entry 3"),
        ("DELETE FROM audit WHERE no = 5", "Entries are missing behind entry 4"),
        ("DELETE FROM audit", "Entries are missing behind entry 0"),
        ("UPDATE audit_ends SET no = 4", "Entry 5 of the audit log of org_a is not the last one"),
        ("UPDATE audit SET organization_id = 'org_b' WHERE no = 5", "The audit log of org_b has entries that were"),
    ],
)
def test_the_check_finds_what_was_changed(tampering: str, told: str) -> None:
    async def work() -> None:
        async with gateways() as made:
            await made.one.home(HOME, now_us=1)
            for name in "abc":
                await made.one.add_key(key(name), secret=name)
            assert await made.faults() == []
            await made.execute(tampering)
            assert told in "\n".join(await made.faults())

    run(work())
