"""What every backend does with counters: posted + leased never passes the limit, and posted is what the records say."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.counters import FRESH_US, MINUTE_US, NEVER_US, Counter, Meter, Window, bounds
from arouter.domain.guardrails import Target
from arouter.domain.money import Picodollars
from arouter.domain.record import Status
from arouter.domain.usage import Usage
from arouter.domain.windows import DAY_US
from arouter.store.base import Counters, Leased, LeaseWanted, Standing
from tests.conformance.backends import Backend
from tests.conformance.samples import NOON_US, adjust, adjustment, append, key, record

DAY, DAY_END = bounds(Window.DAY, NOON_US)
MINUTE, MINUTE_END = bounds(Window.MINUTE, NOON_US)


def counter(meter: Meter = Meter.COST, scope: Target = Target.USER, scope_id: str = "alice", **changes: Any) -> Counter:
    plain = Counter(meter=meter, scope=scope, organization_id="org_a", scope_id=scope_id, start_us=DAY, end_us=DAY_END)
    return replace(plain, **changes)


PER_MINUTE = counter(Meter.REQUESTS, start_us=MINUTE, end_us=MINUTE_END)
RUNNING = counter(Meter.CONCURRENT, start_us=0, end_us=NEVER_US)


def lease(
    backend: Backend, of: Counter, limit: int, *, by: Counters | None = None, now_us: int = NOON_US, **wanted: Any
) -> Leased:
    async def run() -> Leased:
        one = LeaseWanted(counter=of, limit=limit, **{"keep": 0, **wanted})
        return (await (backend.counters if by is None else by).lease([one], now_us=now_us))[0]

    return backend.run(run())


def standing(backend: Backend, of: Counter) -> tuple[int, int]:
    found: Standing = backend.run(_standings(backend, of))
    return found.posted, found.leased


async def _standings(backend: Backend, of: Counter) -> Standing:
    return (await backend.counters.standings([of]))[0]


@contextmanager
def second(backend: Backend) -> Iterator[Counters]:
    store = backend.beside()
    yield store.counters
    backend.run(store.close())


@pytest.mark.parametrize("of", [counter(), PER_MINUTE, RUNNING], ids=["in the ledger", "a minute", "concurrent"])
def test_nobody_gets_more_than_there_is(backend: Backend, of: Counter) -> None:
    assert lease(backend, of, 10, need=7).granted == 7
    with second(backend) as other:
        told = lease(backend, of, 10, by=other, need=7)
        assert (told.granted, told.others) == (3, 7)
        assert lease(backend, of, 10, by=other, keep=3, need=1).granted == 0
        assert standing(backend, of)[1] == 10


def test_what_is_of_no_use_is_not_granted(backend: Backend) -> None:
    lease(backend, counter(), 10, need=7)
    with second(backend) as other:
        assert lease(backend, counter(), 10, by=other, need=9, least=4).granted == 0
        assert standing(backend, counter())[1] == 7
        assert lease(backend, counter(), 10, by=other, need=9, least=3).granted == 3


def test_a_lease_takes_the_place_of_the_one_before(backend: Backend) -> None:
    lease(backend, counter(), 100, need=60)
    assert lease(backend, counter(), 100, keep=20, need=10).granted == 10
    assert standing(backend, counter()) == (0, 30)
    lease(backend, counter(), 100)
    assert standing(backend, counter()) == (0, 0)


def test_who_is_alone_takes_half_and_beside_others_half_of_its_part(backend: Backend) -> None:
    assert lease(backend, counter(), 1000, need=1, greedy=True).granted == 500
    with second(backend) as other:
        assert lease(backend, counter(), 1000, by=other, need=1, greedy=True).granted == 125


def test_what_is_posted_of_whole_days_is_what_the_records_say(backend: Backend) -> None:
    backend.run(backend.directory.add_key(key("a", hash="key-a", creator="mem_1"), secret="s1"))
    backend.run(backend.directory.add_key(key("b", hash="key-b", creator="mem_1"), secret="s2"))
    backend.run(backend.directory.delete_key("org_a", "key-b", now_us=NOON_US))
    append(
        backend,
        record("gen-1", cost=Picodollars(2**63 - 1)),
        record("gen-2", opened={"key_hash": "key-b", "workspace_id": "ws_b"}, cost=Picodollars(5)),
        record("gen-3", opened={"user": None}, cost=None, usage=Usage(input_tokens=7)),
        record("gen-4", opened={"created_at_us": DAY - 1}, cost=Picodollars(3)),
        record("gen-5", opened={"created_at_us": DAY_END}, cost=Picodollars(3)),
        record("gen-6", status=Status.REJECTED, usage=Usage(), cost=None),
        record("gen-7", opened={"organization_id": "org_b", "key_hash": "key-c", "workspace_id": "ws_c"}),
    )
    scopes = {
        Target.ORGANIZATION: ("org_a", 2**63 + 4, 3, 247),
        Target.WORKSPACE: ("ws_a", 2**63 - 1, 2, 127),
        Target.KEY: ("key-a", 2**63 - 1, 2, 127),
        Target.MEMBER: ("mem_1", 2**63 + 4, 3, 247),
        Target.USER: ("alice", 2**63 + 4, 2, 240),
    }
    for scope, (scope_id, cost, requests, tokens) in scopes.items():
        of = counter(scope=scope, scope_id=scope_id)
        assert standing(backend, of) == (cost, 0), scope
        assert standing(backend, replace(of, meter=Meter.REQUESTS)) == (requests, 0), scope
        assert standing(backend, replace(of, meter=Meter.TOKENS)) == (tokens, 0), scope
    assert standing(backend, counter(start_us=0, end_us=NEVER_US))[0] == 2**63 + 10
    assert standing(backend, counter(start_us=DAY - DAY_US, end_us=DAY))[0] == 3
    assert standing(backend, counter(scope_id="bob"))[0] == 0
    assert not backend.run(backend.ledger.check()).problems


@pytest.mark.parametrize("user", ["", "a", "a\x00", "a\x00b", "7", "7.0", "ü", "u\u0308", '"', "null"])
def test_users_are_told_apart_byte_for_byte(backend: Backend, user: str) -> None:
    names = ["", "a", "a\x00", "a\x00b", "7", "7.0", "ü", "u\u0308", '"', "null"]
    append(
        backend,
        *(record(f"gen-{at}", opened={"user": name}, cost=Picodollars(10**at)) for at, name in enumerate(names)),
    )
    assert standing(backend, counter(scope_id=user)) == (10 ** names.index(user), 0)


def test_a_record_that_was_closed_before_counts(backend: Backend) -> None:
    async def run() -> Leased:
        closing = backend.ledger.close(record("gen-1", cost=Picodollars(6)))
        leasing = backend.counters.lease([LeaseWanted(counter=counter(), limit=10, keep=0, need=5)], now_us=NOON_US)
        await closing
        return (await leasing)[0]

    told = backend.run(run())
    assert (told.posted, told.granted) == (6, 4)


def test_an_adjustment_changes_what_is_posted_and_recalls_what_was_leased(backend: Backend) -> None:
    append(backend, record("gen-1", cost=Picodollars(6)))
    lease(backend, counter(), 10, need=1)
    assert backend.run(backend.counters.recalled()) == []
    adjust(backend, adjustment("adj-1", "gen-1", 9))
    assert backend.run(backend.counters.recalled()) == [(counter(), 10)]
    told = lease(backend, counter(), 10, keep=1, need=1)
    assert (told.posted, told.granted) == (9, 0)
    assert backend.run(backend.counters.recalled()) == []
    assert not backend.run(backend.ledger.check()).problems


def test_what_passed_the_limit_leaves_no_room_and_is_told(backend: Backend) -> None:
    append(backend, record("gen-1", cost=Picodollars(16)))
    told = lease(backend, counter(), 10, need=1, greedy=True)
    assert (told.posted, told.granted, told.pending) == (16, 0, False)


def test_what_is_used_of_a_minute_is_posted_with_the_lease(backend: Backend) -> None:
    lease(backend, PER_MINUTE, 10, need=5)
    assert lease(backend, PER_MINUTE, 10, keep=1, used=3, need=1).posted == 3
    assert standing(backend, PER_MINUTE) == (3, 2)
    later = replace(PER_MINUTE, start_us=MINUTE_END, end_us=MINUTE_END + MINUTE_US)
    assert lease(backend, later, 10, need=10).granted == 10


def test_others_are_asked_for_what_they_do_not_need(backend: Backend) -> None:
    lease(backend, counter(), 10, keep=9, need=1)
    with second(backend) as other:
        told = lease(backend, counter(), 10, by=other, need=1)
        assert (told.granted, told.pending) == (0, False), "all of it is held"
        assert backend.run(backend.counters.recalled()) == [(counter(), 10)]
        lease(backend, counter(), 20, keep=0)
        lease(backend, counter(), 10, keep=0)
        assert lease(backend, counter(), 10, need=1, greedy=True).granted == 5
        assert lease(backend, counter(), 10, by=other, need=6).pending
        assert backend.run(backend.counters.recalled()) == [(counter(), 10)]
        lease(backend, counter(), 10, by=other)
        lease(backend, counter(), 10, keep=10)  # It needs all of it.
        assert backend.run(backend.counters.recalled()) == []
        told = lease(backend, counter(), 10, by=other, need=1)
        assert (told.granted, told.pending) == (0, False)
        lease(backend, counter(), 10, keep=4)
        assert lease(backend, counter(), 10, by=other, need=6).granted == 6


def test_what_was_said_long_ago_is_asked_again(backend: Backend) -> None:
    lease(backend, counter(), 10, need=10)
    with second(backend) as other:
        assert not lease(backend, counter(), 10, by=other, need=1, now_us=NOON_US + FRESH_US).pending
        assert lease(backend, counter(), 10, by=other, need=1, now_us=NOON_US + FRESH_US + 1).pending
        lease(backend, counter(), 10, keep=10, now_us=NOON_US + FRESH_US)
        assert not lease(backend, counter(), 10, by=other, need=1, now_us=NOON_US + FRESH_US + 1).pending


def test_who_only_looks_is_told_when_everybody_has_answered(backend: Backend) -> None:
    lease(backend, counter(), 10, need=8)
    with second(backend) as other:
        assert not lease(backend, counter(), 10, by=other).pending
        assert lease(backend, counter(), 10, by=other, recall=True).pending
        assert lease(backend, counter(), 10, by=other).pending
        lease(backend, counter(), 10, keep=5, need=9)
        assert lease(backend, counter(), 10, by=other).pending, "it took what it could get, and does not hold it"
        lease(backend, counter(), 10, keep=5)
        told = lease(backend, counter(), 10, by=other)
        assert (told.others, told.pending) == (5, False)


def test_leases_under_different_limits_see_each_other(backend: Backend) -> None:
    lease(backend, counter(), 10, need=4)
    told = lease(backend, counter(), 5, need=2)
    assert (told.granted, told.others) == (1, 4)
    assert backend.run(backend.counters.recalled()) == [(counter(), 10)]


def test_a_lease_ends_with_its_process(backend: Backend) -> None:
    for of in (counter(), PER_MINUTE, RUNNING):
        lease(backend, of, 10, need=6)
    backend.restart()
    assert standing(backend, counter()) == (0, 0)
    assert standing(backend, RUNNING) == (0, 0)
    assert standing(backend, PER_MINUTE) == (6, 0)


def test_counters_of_equal_names_are_not_the_same(backend: Backend) -> None:
    odd = 'a"],0,[\x00'
    lease(backend, counter(scope_id=odd), 10, need=1)
    lease(backend, counter(scope=Target.KEY, scope_id=odd), 10, need=2)
    lease(backend, counter(organization_id="org_b", scope_id=odd), 10, need=3)
    assert standing(backend, counter(scope_id=odd)) == (0, 1)
    assert standing(backend, counter(scope_id="")) == (0, 0)


def test_many_leases_are_renewed_in_their_order(backend: Backend) -> None:
    async def run() -> list[int]:
        wanted = [LeaseWanted(counter=counter(), limit=limit, keep=0, need=8) for limit in (20, 10, 18)]
        return [one.granted for one in await backend.counters.lease(wanted, now_us=NOON_US)]

    assert backend.run(run()) == [8, 2, 8]
