"""What every directory does with credits: appended once, and together with the records' costs an exact balance."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arouter.domain.activity import Cursor
from arouter.domain.audit import Actor, ActorKind, AuditQuery
from arouter.domain.counters import NEVER_US, Counter, Meter
from arouter.domain.credits import CreditConflict, CreditEntry, CreditKind, TooManyCredits
from arouter.domain.guardrails import Target
from arouter.domain.money import LARGEST, Picodollars
from tests.conformance.backends import BACKENDS, Backend
from tests.conformance.samples import NOON_US, adjust, adjustment, append, record

DOLLAR = 10**12
SOMEBODY = Actor(kind=ActorKind.KEY, id="key-boss", request_id="req-7")


def entry(name: str = "crd_1", amount: int = DOLLAR, **changes: Any) -> CreditEntry:
    plain = CreditEntry(
        id=name,
        organization_id="org_a",
        created_at_us=NOON_US,
        kind=CreditKind.TOP_UP,
        amount=Picodollars(amount),
        description="Top-up",
    )
    return replace(plain, **changes)


def add(backend: Backend, one: CreditEntry, opening_id: str = "crd_0") -> CreditEntry:
    return backend.run(backend.directory.add_credit(one, opening_id=opening_id))


def switch(backend: Backend, on: bool, opening_id: str = "crd_on", organization_id: str = "org_a") -> bool:
    return backend.run(
        backend.directory.switch_credits(organization_id, enabled=on, opening_id=opening_id, now_us=NOON_US)
    )


def balance(backend: Backend, organization_id: str = "org_a") -> int | None:
    account = backend.run(backend.directory.credit_account(organization_id))
    return None if account is None else account.balance


def every(backend: Backend, organization_id: str = "org_a") -> list[CreditEntry]:
    return list(backend.run(backend.directory.list_credits(organization_id, limit=1000)))


def actions(backend: Backend, organization_id: str = "org_a") -> list[str]:
    query = AuditQuery(organization_id=organization_id, descending=False)
    return [f"{one.action} {one.target_id}" for one in backend.run(backend.directory.audit_page(query))]


FULL = entry(
    "crd_full",
    -1,
    kind=CreditKind.CORRECTION,
    description="ü\x00",
    reference="invoice 7",
    idempotency_key="key 7",
)


def test_an_organization_has_a_pool_from_its_first_entry(backend: Backend) -> None:
    assert backend.run(backend.directory.credit_account("org_a")) is None
    assert backend.run(backend.directory.every_credit_total()) == {}
    assert add(backend, entry()) == entry()
    assert add(backend, FULL) == FULL
    backend.restart()
    account = backend.run(backend.directory.credit_account("org_a"))
    assert account is not None
    assert (account.enabled, account.total, account.spent, account.balance) == (True, DOLLAR - 1, 0, DOLLAR - 1)
    for among, found in ((None, {"org_a": DOLLAR - 1}), (("org_b", "org_a"), {"org_a": DOLLAR - 1}), (("org_b",), {})):
        assert backend.run(backend.directory.every_credit_total(among)) == found
    assert backend.run(backend.directory.every_credit_total(())) == {}
    assert backend.run(backend.directory.get_credit("org_a", "crd_full")) == FULL
    assert backend.run(backend.directory.get_credit("org_b", "crd_full")) is None
    assert every(backend) == [FULL, entry()]
    assert every(backend, "org_b") == []
    assert balance(backend, "org_b") is None


def test_what_was_used_before_does_not_count(backend: Backend) -> None:
    append(backend, record("gen-1", cost=3), record("gen-2", cost=None), record("gen-3", cost=0))
    append(backend, record("gen-b", cost=50, opened={"organization_id": "org_b"}))
    adjust(backend, adjustment("adj-1", "gen-1", 7))
    add(backend, entry(amount=10))
    assert [(one.id, one.kind, one.amount) for one in every(backend)] == [
        ("crd_1", CreditKind.TOP_UP, 10),
        ("crd_0", CreditKind.OPENING, 7),
    ]
    assert balance(backend) == 10
    append(backend, record("gen-4", cost=3), record("gen-5", cost=1, is_byok=True))
    assert balance(backend) == 6, "on an own key, too"
    adjust(backend, adjustment("adj-2", "gen-4", 40))
    assert balance(backend) == -31
    add(backend, entry("crd_2", 31), "crd_never")
    assert balance(backend) == 0
    account = backend.run(backend.directory.credit_account("org_a"))
    assert account is not None
    assert (account.total, account.spent) == (48, 48)
    adjust(backend, adjustment("adj-3", "gen-1", 5))
    assert balance(backend) == 2, "a correction counts, of whatever is corrected"


def test_what_was_closed_before_is_in_although_nobody_waited_for_it(backend: Backend) -> None:
    async def run() -> int | None:
        closing = [backend.ledger.close(record(f"gen-{number}", cost=1)) for number in range(50)]
        await backend.directory.add_credit(entry(amount=10), opening_id="crd_0")
        closing.append(backend.ledger.close(record("gen-later", cost=7)))
        await backend.directory.switch_credits("org_a", enabled=False, opening_id="-", now_us=NOON_US)
        closing.append(backend.ledger.close(record("gen-last", cost=100)))
        await backend.directory.switch_credits("org_a", enabled=True, opening_id="crd_2", now_us=NOON_US)
        for one in closing:
            await one
        account = await backend.directory.credit_account("org_a")
        return None if account is None else account.balance

    assert backend.run(run()) == 3
    assert {one.id: one.amount for one in every(backend)} == {"crd_0": 50, "crd_1": 10, "crd_2": 100}


def test_what_is_used_while_it_is_off_does_not_count(backend: Backend) -> None:
    assert not switch(backend, False), "there is none"
    assert switch(backend, True)
    assert not switch(backend, True)
    assert (balance(backend), every(backend)) == (0, [])
    append(backend, record("gen-1", cost=5))
    add(backend, entry(amount=20))
    assert switch(backend, False)
    assert not switch(backend, False)
    assert balance(backend) is None
    assert backend.run(backend.directory.every_credit_total()) == {}
    append(backend, record("gen-2", cost=1000))
    add(backend, entry("crd_2", 3))
    assert balance(backend) is None, "an entry does not switch on what was switched off"
    assert switch(backend, True, "crd_again")
    assert balance(backend) == 18
    assert {one.id: one.amount for one in every(backend)} == {"crd_1": 20, "crd_2": 3, "crd_again": 1000}
    assert backend.run(backend.ledger.check()).problems == ()


def test_an_entry_that_is_told_twice_is_one(backend: Backend) -> None:
    first = add(backend, entry(reference="invoice 7", idempotency_key="k1"))
    revision = backend.run(backend.directory.last_changes()).revision
    noted = actions(backend)
    for again in (
        entry("crd_2", reference="invoice 7", idempotency_key="k1", created_at_us=NOON_US + 1),
        entry("crd_3", reference="invoice 7", idempotency_key="k2"),
        entry("crd_4", reference="invoice 7"),
    ):
        assert add(backend, again) == first
    assert (backend.run(backend.directory.last_changes()).revision, actions(backend)) == (revision, noted)
    for other, name in (
        (entry("crd_5", 2 * DOLLAR, reference="invoice 7"), "reference"),
        (entry("crd_5", reference="invoice 8", idempotency_key="k1"), "idempotency_key"),
        (entry("crd_5", idempotency_key="k1"), "idempotency_key"),
        (entry("crd_5", reference="invoice 7", kind=CreditKind.GIFT), "reference"),
        (entry("crd_5", reference="invoice 7", description="other"), "reference"),
    ):
        with pytest.raises(CreditConflict) as told:
            add(backend, other)
        assert (told.value.name, told.value.entry) == (name, first)
    assert every(backend) == [first]
    theirs = entry("crd_6", organization_id="org_b", reference="invoice 7", idempotency_key="k1")
    assert add(backend, theirs) == theirs
    bare = [add(backend, entry(f"crd_{number}")) for number in (7, 8)]
    assert len(every(backend)) == 1 + len(bare), "without a reference nothing is the same"


def test_an_entry_is_once_only_however_many_processes_add_it(backend: Backend) -> None:
    other = backend.beside()

    async def run() -> set[CreditEntry]:
        stores = (backend.store, other) * 10
        return {
            *await asyncio.gather(
                *(
                    store.directory.add_credit(entry(f"crd_{number}", reference="r"), opening_id=f"crd_0{number}")
                    for number, store in enumerate(stores)
                )
            )
        }

    assert len(backend.run(run())) == 1
    assert balance(backend) == DOLLAR
    backend.run(other.close())


def test_what_cannot_be_kept_changes_nothing(backend: Backend) -> None:
    add(backend, entry(amount=LARGEST))
    for bad in (entry("crd_2", 1), entry("crd_1", 1), entry("crd_3", -1, description="\ud800")):
        with pytest.raises(ValueError):
            add(backend, bad)
    with pytest.raises(TooManyCredits):
        add(backend, entry("crd_2", 1))
    append(backend, record("gen-b", cost=1, opened={"organization_id": "org_b"}))
    with pytest.raises(TooManyCredits):
        add(backend, entry("crd_b", LARGEST, organization_id="org_b"))
    assert (every(backend, "org_b"), balance(backend, "org_b"), actions(backend, "org_b")) == ([], None, [])
    assert balance(backend) == LARGEST
    assert len(every(backend)) == 1


def test_every_change_is_noted_with_who_made_it(backend: Backend) -> None:
    append(backend, record("gen-1", cost=3))
    directory = backend.directory.acting(SOMEBODY)
    backend.run(directory.add_credit(entry(), opening_id="crd_0"))
    backend.run(directory.switch_credits("org_a", enabled=False, opening_id="-", now_us=NOON_US))
    backend.run(directory.switch_credits("org_a", enabled=True, opening_id="crd_2", now_us=NOON_US))
    assert actions(backend) == [
        "credit_pool.update org_a",
        "credit.create crd_0",
        "credit.create crd_1",
        "credit_pool.update org_a",
        "credit_pool.update org_a",
    ]
    found = backend.run(backend.directory.audit_page(AuditQuery(organization_id="org_a")))
    assert {one.actor for one in found} == {SOMEBODY}
    assert backend.run(backend.ledger.check()).problems == ()


def test_pages_follow_each_other(backend: Backend) -> None:
    made = [entry(f"crd_{number}", created_at_us=NOON_US + number // 3) for number in range(10)]
    for one in made[::2] + made[1::2]:
        add(backend, one)
    wanted = sorted(made, key=lambda one: (one.created_at_us, one.id), reverse=True)
    for limit in (1, 3, 10, 11):
        found: list[CreditEntry] = []
        after: Cursor | None = None
        while page := backend.run(backend.directory.list_credits("org_a", limit=limit, after=after)):
            found += page
            after = page[-1].cursor
        assert found == wanted


COST = st.none() | st.integers(0, 5) | st.integers(0, LARGEST // 100)
STEP = st.one_of(
    st.tuples(st.just("spend"), COST),
    st.tuples(st.just("adjust"), COST),
    st.tuples(st.just("add"), st.integers(-5, 5).filter(bool) | st.integers(1, LARGEST // 100)),
    st.tuples(st.just("switch"), st.booleans()),
    st.tuples(st.just("restart"), st.none()),
)


@given(steps=st.lists(STEP, max_size=25))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_the_balance_is_what_was_paid_in_less_what_was_used_since(
    name: str, steps: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Against a model that knows one number: what came in and went out while the pool was on, and what came in while it
    was off. And always: entries - costs = balance, and the sum is what the counter goes by."""
    backend = BACKENDS[name](tmp_path_factory.mktemp("credits"))
    try:
        left, on, ever = 0, False, False
        costs: dict[str, int | None] = {}
        for number, (what, value) in enumerate(steps):
            before = sum(cost or 0 for cost in costs.values())
            if what == "spend":
                append(backend, record(f"gen-{number}", cost=value))
                costs[f"gen-{number}"] = value
            elif what == "adjust" and costs:
                record_id = [*costs][number % len(costs)]
                adjust(backend, adjustment(f"adj-{number}", record_id, value))
                costs[record_id] = value
            elif what == "add":
                add(backend, entry(f"crd_{number}", value, kind=CreditKind.CORRECTION), f"crd_o{number}")
                left, on, ever = left + value, on or not ever, True
            elif what == "switch":
                switch(backend, value, f"crd_o{number}")
                on, ever = value, ever or value
            elif what == "restart":
                backend.restart()
            if on and what in ("spend", "adjust"):
                left -= sum(cost or 0 for cost in costs.values()) - before
        assert balance(backend) == (left if on else None)
        account = backend.run(backend.directory.credit_account("org_a"))
        assert (account is not None) == ever
        if account is not None:
            assert account.total == sum(one.amount for one in every(backend))
            assert account.spent == sum(cost or 0 for cost in costs.values())
            (standing,) = backend.run(backend.counters.standings([LIFETIME]))
            assert standing.posted == account.spent
        assert backend.run(backend.ledger.check()).problems == ()
    finally:
        backend.stop()


LIFETIME = Counter(
    meter=Meter.COST,
    scope=Target.ORGANIZATION,
    organization_id="org_a",
    scope_id="org_a",
    start_us=0,
    end_us=NEVER_US,
)
