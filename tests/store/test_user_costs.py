"""What users cost, in order: of more of them than are looked at at once, and with and without the columns of days."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Filters
from arouter.domain.money import Picodollars
from arouter.store.buckets import DAY_US
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.user_costs import AT_ONCE, in_order
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import SCOPE, append, record

DAY = 20_751


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


def fold(backend: Backend) -> None:
    """Make the columns of every day."""
    store = backend.store
    assert isinstance(store, SqliteStore)
    later = (DAY + 9) * DAY_US
    for day in backend.run(store.days_to_fold(later)):
        assert backend.run(store.fold(day, later))


@given(st.integers(), st.integers(0, 3 * AT_ONCE))
def test_pieces_in_order_are_all_in_order(seed: int, count: int) -> None:
    random = Random(seed)
    costs = [random.randrange(-(2**70), 2**70) for _ in range(count)]
    assert [*in_order(costs)] == sorted(costs, reverse=True)


def test_more_users_than_are_read_at_once(backend: Backend) -> None:
    wanted = [number * 7919 % 100_003 for number in range(AT_ONCE + 7)]
    append(
        backend,
        *(
            record(
                f"gen-{number}",
                opened={"user": f"u{number}", "created_at_us": DAY * DAY_US + number},
                cost=Picodollars(cost),
            )
            for number, cost in enumerate(wanted)
        ),
    )
    filters = Filters(start_us=DAY * DAY_US)
    assert [*backend.run(backend.ledger.user_costs(SCOPE, filters))] == sorted(wanted, reverse=True)


def test_columns_and_what_is_beside_them_are_added_up(backend: Backend) -> None:
    costs = ((DAY, "a", 5), (DAY, "b", 9), (DAY, None, 99), (DAY + 1, "a", 2**63 - 1), (DAY + 1, "c", -4))
    for number, (day, user, cost) in enumerate(costs):
        at_us = day * DAY_US + number
        append(backend, record(f"gen-{number}", opened={"user": user, "created_at_us": at_us}, cost=Picodollars(cost)))
    fold(backend)
    append(backend, record("late", opened={"user": "b", "created_at_us": (DAY + 2) * DAY_US}, cost=Picodollars(1)))
    found = backend.run(backend.ledger.user_costs(SCOPE, Filters()))
    assert [*found] == [2**63 + 4, 10, -4]
    within = Filters(start_us=DAY * DAY_US, end_us=(DAY + 1) * DAY_US + 4)
    assert [*backend.run(backend.ledger.user_costs(SCOPE, within))] == [2**63 + 4, 9]
