"""Credits and records that several gateways write at the same moment; what is changed behind their backs is found."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.credits import CreditKind
from arouter.domain.money import Picodollars
from arouter.store.postgres.batch import prepared, write
from arouter.store.postgres.pool import Pool
from arouter.store.stores import Store
from tests.conformance.backends import BACKENDS, Backend
from tests.conformance.samples import NOON_US, append, record
from tests.conformance.test_credits import add, balance, entry, every, switch

RECORDS = 56
"""One costs twice as much as the one before: a sum says which of them are in it, and each cannot be in it twice."""
LOCK = "SELECT no FROM audit_ends WHERE organization_id = 'org_a' FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = BACKENDS["postgres"](tmp_path)
    yield made
    made.stop()


@pytest.fixture
def gateways(backend: Backend) -> Iterator[list[Store]]:
    """Three more on the same database."""
    made = [backend.beside() for _ in range(3)]
    yield made
    for store in made:
        backend.run(store.close())


@pytest.fixture
def other(backend: Backend) -> Iterator[Any]:
    """Connections of somebody else's."""
    pool = Pool(backend.store._pool.url)  # type: ignore[attr-defined]
    backend.run(pool.start())
    yield pool
    backend.run(pool.close())


def cost_of(number: int) -> int:
    return 1 << number


def test_records_that_are_closed_while_a_pool_is_switched_are_counted_once(
    backend: Backend, gateways: list[Store]
) -> None:
    """Some gateways close records while another one switches the pool on and off: what an opening entry makes up for is
    all that was committed while the pool was off, and nothing that was while it was on."""
    committed, begun, turns = 0, 0, 0
    openings: dict[str, tuple[int, int]] = {}
    """Of each entry, the costs that were committed before its call, and those that had been begun after it."""
    ends: list[tuple[int, int]] = []
    """The same of each time that it was switched off."""

    async def close(store: Store, numbers: range) -> None:
        nonlocal committed, begun
        for number in numbers:
            begun += cost_of(number)
            await store.ledger.close(record(f"gen-{number}", cost=Picodollars(cost_of(number))))
            committed += cost_of(number)

    async def switch_on_and_off(closing: "asyncio.Future[Any]") -> None:
        nonlocal turns
        while not closing.done() or turns < 2:
            before, name = committed, f"crd_{turns}"
            await backend.directory.switch_credits("org_a", enabled=True, opening_id=name, now_us=NOON_US)
            openings[name] = before, begun
            if turns == 0:
                await close(backend.store, range(1, 2))
            before = committed
            await backend.directory.switch_credits("org_a", enabled=False, opening_id="-", now_us=NOON_US)
            ends.append((before, begun))
            turns += 1

    async def work() -> None:
        await close(backend.store, range(1))
        closing = asyncio.ensure_future(
            asyncio.gather(*(close(store, range(place, RECORDS, 3)) for place, store in enumerate(gateways, 2)))
        )
        await switch_on_and_off(closing)
        await closing

    backend.run(work())
    switch(backend, True, "crd_end")
    openings["crd_end"] = committed, begun
    everything = cost_of(RECORDS) - 1
    made = {one.id: one.amount for one in every(backend)}
    # Of each record one bit: a sum of those that are in several openings would not be that of them as sets.
    together = 0
    for turn, name in enumerate(openings):
        amount = made.get(name, 0)
        assert amount & ~everything == together & amount == 0
        together |= amount
        certain, possible = openings[name]
        on_before = 0 if turn == 0 else ends[turn - 1][1]
        assert certain & ~on_before & ~amount == 0, "committed while it was off, and not in"
        off_before = 0 if turn == 0 else ends[turn - 1][0]
        assert amount & ~possible == amount & off_before == 0, "while it was on, or not even begun"
    assert together & 0b11 == 0b01, "the first was committed before there was a pool, the second while it was on"
    account = backend.run(backend.directory.credit_account("org_a"))
    assert account is not None
    assert (account.spent, account.total, account.balance) == (everything, together, together - everything)
    assert backend.run(backend.ledger.check()).problems == ()


def test_a_record_that_is_not_committed_yet_holds_up_nothing_and_counts_when_it_is(
    backend: Backend, other: Pool
) -> None:
    append(backend, record("gen-1", cost=3))

    async def work() -> None:
        async with other.transaction() as connection:
            await write(connection, prepared([record("gen-2", cost=40)]), NOON_US)
            await backend.directory.add_credit(entry(amount=100), opening_id="crd_0")
            account = await backend.directory.credit_account("org_a")
            assert account is not None
            assert (account.total, account.spent) == (103, 3)

    backend.run(work())
    assert {one.id: one.amount for one in every(backend)} == {"crd_0": 3, "crd_1": 100}
    assert balance(backend) == 60


def test_what_is_committed_while_a_change_waits_for_its_turn_was_before_it(backend: Backend, other: Pool) -> None:
    switch(backend, True)
    switch(backend, False)

    async def work() -> None:
        async with other.transaction() as connection:
            await connection.execute(LOCK)
            waiting = asyncio.ensure_future(
                backend.directory.switch_credits("org_a", enabled=True, opening_id="crd_0", now_us=NOON_US)
            )
            while not await connection.fetchval(WAITING):
                assert not waiting.done()
            await backend.ledger.close(record("gen-1", cost=3))
            # Another organization's, and the look at this one's, wait for nobody.
            await backend.directory.add_credit(entry("crd_b", organization_id="org_b"), opening_id="-")
            assert await backend.directory.credit_account("org_a") is not None
        assert await waiting

    backend.run(work())
    assert {one.id: one.amount for one in every(backend)} == {"crd_0": 3}
    assert balance(backend) == 0


def test_entries_that_gateways_add_at_once_are_all_in_the_sum(backend: Backend, gateways: list[Store]) -> None:
    everybody = [backend.store, *gateways]
    append(backend, record("gen-1", cost=3))

    async def pay(place: int, store: Store) -> None:
        for turn in range(8):
            one = entry(f"crd_{place}-{turn}", cost_of(turn), reference=f"{place}-{turn}")
            await store.directory.add_credit(one, opening_id=f"crd_opening_{place}-{turn}")

    async def work() -> None:
        await asyncio.gather(*(pay(place, store) for place, store in enumerate(everybody)))

    backend.run(work())
    assert balance(backend) == len(everybody) * (cost_of(8) - 1)
    assert [one.amount for one in every(backend) if one.kind is CreditKind.OPENING] == [3]
    assert backend.run(backend.ledger.check()).problems == ()


def test_what_is_refused_or_changes_nothing_leaves_nothing(backend: Backend, other: Pool) -> None:
    append(backend, record("gen-1", cost=2**63 - 1))
    for bad in (entry(description="\ud800"), entry(amount=1)):
        with pytest.raises(ValueError):
            add(backend, bad)
    assert not switch(backend, False)

    async def rows() -> list[int]:
        async with other.lend() as connection:
            return [
                await connection.fetchval(f"SELECT count(*) FROM {table}")
                for table in ("credits", "credit_pools", "audit", "audit_ends", "directory_revision")
            ]

    assert backend.run(rows()) == [0, 0, 0, 0, 0]


def test_the_cost_at_the_end_of_a_pool_may_be_more_than_a_number_of_the_database(backend: Backend) -> None:
    switch(backend, True)
    append(backend, *(record(f"gen-{number}", cost=2**63 - 1) for number in range(3)))
    switch(backend, False)
    append(backend, record("gen-9", cost=5))
    assert switch(backend, True, "crd_0")
    assert [one.amount for one in every(backend)] == [5]
    assert balance(backend) == -3 * (2**63 - 1)


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE credits SET amount = amount + 1 WHERE id = 'crd_1'", "The credit crd_1 of org_a is not what"),
        ("UPDATE credits SET amount = amount + 1 WHERE id = 'crd_1'", "do not add up"),
        ("UPDATE credits SET description = 'x' WHERE id = 'crd_0'", "The credit crd_0 of org_a is not what"),
        ("UPDATE credits SET organization_id = 'org_b' WHERE id = 'crd_1'", "The credits of org_b are in no pool"),
        ("DELETE FROM credits WHERE id = 'crd_1'", "The credit crd_1 of org_a is in the audit log, and is missing"),
        ("UPDATE credit_pools SET total = total + 1", "do not add up"),
        ("DELETE FROM credit_pools", "The credits of org_a are in no pool"),
        (
            "INSERT INTO credits (id, organization_id, created_at_us, kind, amount, description)"
            " VALUES ('crd_9', 'org_a', 1, 'gift', 1, 'mine')",
            "The credit crd_9 of org_a is not what the audit log says",
        ),
    ],
)
def test_the_check_finds_what_was_changed(backend: Backend, other: Pool, tampering: str, told: str) -> None:
    async def tamper() -> None:
        async with other.lend() as connection:
            await connection.execute(tampering)

    append(backend, record("gen-1", cost=3))
    add(backend, entry())
    assert backend.run(backend.ledger.check()).problems == ()
    backend.run(tamper())
    assert told in "\n".join(backend.run(backend.ledger.check()).problems)
