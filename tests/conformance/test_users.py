"""What every ledger knows of its users: when they were seen, and lists of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Filters, Scope
from arouter.domain.money import Picodollars
from arouter.domain.users import UserCursor, UserOrder, UsersPage, UserSpan, UsersQuery, end_of_prefix
from arouter.store.base import KeySecrets
from tests.conformance.backends import Backend
from tests.conformance.samples import NOON_US, SCOPE, append, key, record
from tests.conformance.test_ledger import USERS, assert_sound

KEY_A = Scope(organization_id="org_a", key_hash="key-a")
KEY_B = Scope(organization_id="org_a", key_hash="key-b")
WORKSPACE_B = Scope(organization_id="org_a", workspace_id="ws_b")


def see(backend: Backend, user: str | None, at_us: int, **opened: object) -> None:
    name = f"gen-{user!r}-{at_us}-{sorted(opened.items())}"
    append(backend, record(name, opened={"user": user, "created_at_us": NOON_US + at_us, **opened}))


def span(backend: Backend, user: str, scope: Scope = SCOPE) -> tuple[int, int] | None:
    found = backend.run(backend.ledger.user_span(scope, user))
    return None if found is None else (found.first_seen_us - NOON_US, found.last_seen_us - NOON_US)


def page(backend: Backend, scope: Scope = SCOPE, **query: object) -> UsersPage:
    return backend.run(backend.ledger.list_users(UsersQuery(scope=scope, **query)))  # type: ignore[arg-type]


def names(backend: Backend, scope: Scope = SCOPE, **query: object) -> list[str]:
    """Of all pages, one after the other."""
    found: list[str] = []
    after: UserCursor | None = None
    while True:
        one = page(backend, scope, after=after, **query)
        found += [each.user for each in one.users]
        if one.next_cursor is None:
            return found
        after = UserCursor.from_text(one.next_cursor.to_text())


# ---------------------------------------------------------------- when a user was seen


def test_a_user_was_seen_from_its_first_record_to_its_last(backend: Backend) -> None:
    see(backend, "alice", 5)
    assert span(backend, "alice") == (5, 5)
    see(backend, "alice", 9)
    see(backend, "alice", 1)  # a request that began earlier and ended later
    see(backend, "bob", 7)
    assert (span(backend, "alice"), span(backend, "bob")) == ((1, 9), (7, 7))
    backend.restart()
    assert span(backend, "alice") == (1, 9)
    assert_sound(backend)


def test_nobody_was_never_seen(backend: Backend) -> None:
    assert span(backend, "alice") is None
    see(backend, None, 1)
    assert span(backend, "alice") is None
    assert page(backend) == UsersPage(users=(), next_cursor=None)


@pytest.mark.parametrize("user", USERS)
def test_a_user_is_any_text(backend: Backend, user: str) -> None:
    for number, other in enumerate(USERS):
        see(backend, other, number)
    place = USERS.index(user)
    assert span(backend, user) == (place, place)


def test_a_scope_sees_when_its_own_requests_were(backend: Backend) -> None:
    see(backend, "alice", 1)
    see(backend, "alice", 5, key_hash="key-b", workspace_id="ws_b")
    see(backend, "alice", 9, organization_id="org_b", key_hash="key-c")
    see(backend, "bob", 3, key_hash="key-b")
    assert span(backend, "alice") == (1, 5)
    assert span(backend, "alice", KEY_A) == (1, 1)
    assert span(backend, "alice", KEY_B) == (5, 5)
    assert span(backend, "alice", WORKSPACE_B) == (5, 5)
    assert span(backend, "bob", WORKSPACE_B) is None
    assert span(backend, "alice", Scope(organization_id="org_b")) == (9, 9)
    assert span(backend, "alice", Scope(organization_id="org_c")) is None
    assert span(backend, "alice", Scope(organization_id="org_b", key_hash="key-a")) is None


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_users_are_listed_in_either_order(backend: Backend, limit: int) -> None:
    for user, at_us in (("b", 4), ("a", 2), ("c", 9), ("a", 8), ("é", 5), ("\U0001f642", 5), ("\ue000", 5)):
        see(backend, user, at_us)
    by_name = ["a", "b", "c", "é", "\ue000", "\U0001f642"]
    assert names(backend, order=UserOrder.NAME, descending=False, limit=limit) == by_name
    assert names(backend, order=UserOrder.NAME, descending=True, limit=limit) == by_name[::-1]
    assert names(backend, limit=limit) == ["c", "a", "\U0001f642", "\ue000", "é", "b"]
    assert names(backend, descending=False, limit=limit) == ["b", "é", "\ue000", "\U0001f642", "a", "c"]
    first_seen = ["a", "b", "é", "\ue000", "\U0001f642", "c"]
    assert names(backend, order=UserOrder.FIRST_SEEN, descending=False, limit=limit) == first_seen
    assert names(backend, order=UserOrder.FIRST_SEEN, descending=True, limit=limit) == first_seen[::-1]


def test_a_page_says_when_each_was_seen(backend: Backend) -> None:
    see(backend, "a", 2)
    see(backend, "a", 8)
    assert page(backend).users == (UserSpan(user="a", first_seen_us=NOON_US + 2, last_seen_us=NOON_US + 8),)


def test_the_last_page_says_so(backend: Backend) -> None:
    see(backend, "a", 1)
    see(backend, "b", 2)
    assert page(backend, limit=2).next_cursor is None
    assert page(backend, limit=1).next_cursor == UserCursor(at_us=NOON_US + 2, user="b")


@pytest.mark.parametrize("order", list(UserOrder))
def test_a_prefix_is_matched_byte_for_byte(backend: Backend, order: UserOrder) -> None:
    for number, user in enumerate(USERS):
        see(backend, user, number)
    for prefix in ("", "a", "A", "u", "'", "%", "_", "\x00", "\U0010ffff", "🙂", "a\x00b"):
        found = names(backend, order=order, prefix=prefix, limit=2)
        assert sorted(found) == sorted(user for user in USERS if user.startswith(prefix))


@pytest.mark.parametrize("order", list(UserOrder))
def test_a_list_shows_whom_the_scope_covers(backend: Backend, order: UserOrder) -> None:
    see(backend, "alice", 1)
    see(backend, "bob", 2, key_hash="key-b")
    see(backend, "carol", 3, key_hash="key-b", workspace_id="ws_b")
    see(backend, "dora", 4, organization_id="org_b", key_hash="key-c")
    assert sorted(names(backend, order=order)) == ["alice", "bob", "carol"]
    assert sorted(names(backend, KEY_B, order=order)) == ["bob", "carol"]
    assert names(backend, WORKSPACE_B, order=order) == ["carol"]
    assert names(backend, Scope(organization_id="org_b"), order=order) == ["dora"]
    assert names(backend, Scope(organization_id="nobody"), order=order) == []


# ---------------------------------------------------------------- what they cost


def test_costs_of_users_come_greatest_first(backend: Backend) -> None:
    for number, (user, cost) in enumerate((("a", 5), ("b", 9), (None, 99), ("a", 2), ("c", None), ("d", 2**63 - 1))):
        amount = None if cost is None else Picodollars(cost)
        append(backend, record(f"gen-{number}", opened={"user": user}, cost=amount))
    append(backend, record("gen-d", opened={"user": "d", "key_hash": "key-b"}, cost=Picodollars(2**63 - 1)))

    def costs(scope: Scope = SCOPE, **filters: Any) -> list[int]:
        return [*backend.run(backend.ledger.user_costs(scope, Filters(**filters)))]

    assert costs() == [2**64 - 2, 9, 7, 0]
    assert costs(KEY_B) == [2**63 - 1]
    assert costs(users=("a", "b")) == [9, 7]
    assert costs(unattributed=True) == []
    assert costs(end_us=NOON_US) == []
    assert costs(Scope(organization_id="nobody")) == []


def test_costs_below_zero_are_in_order_too(backend: Backend) -> None:
    for number, (user, cost) in enumerate(
        (("a", 5_000_000), ("a", -999_999), ("b", 4_000_005), ("c", -1), ("d", -1_000_000), ("e", -999_999), ("f", 0))
    ):
        append(backend, record(f"gen-{number}", opened={"user": user}, cost=Picodollars(cost)))
    found = backend.run(backend.ledger.user_costs(SCOPE, Filters()))
    assert [*found] == [4_000_005, 4_000_001, 0, -1, -999_999, -1_000_000]


def test_many_users_are_in_order(backend: Backend) -> None:
    wanted = [number * 7919 % 1_000 for number in range(300)]
    append(
        backend,
        *(
            record(f"gen-{number}", opened={"user": f"u{number}"}, cost=Picodollars(cost))
            for number, cost in enumerate(wanted)
        ),
    )
    assert [*backend.run(backend.ledger.user_costs(SCOPE, Filters()))] == sorted(wanted, reverse=True)


# ---------------------------------------------------------------- words of the domain


@given(st.text(max_size=3), st.text(max_size=4))
def test_a_prefix_ends_before_the_first_text_behind_it(prefix: str, text: str) -> None:
    end = end_of_prefix(prefix)
    assert text.startswith(prefix) == (text >= prefix and (end is None or text < end))


@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_is_read_back(at_us: int, user: str) -> None:
    cursor = UserCursor(at_us=at_us, user=user)
    assert UserCursor.from_text(cursor.to_text()) == cursor


@pytest.mark.parametrize("text", ["", "x", "!!!!", "AAAAAAAAAAD_", "ü"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        UserCursor.from_text(text)


# ---------------------------------------------------------------- the secret of a key


def test_a_key_has_the_secret_that_it_was_given_last(backend: Backend) -> None:
    directory = backend.directory
    backend.run(directory.add_key(key("a"), secret="1" * 64))
    assert backend.run(directory.secrets_of("org_a", "key-a")) == KeySecrets(current="1" * 64)
    assert backend.run(directory.secrets_of("org_b", "key-a")) is None
    assert backend.run(directory.secrets_of("org_a", "key-b")) is None
    backend.run(directory.rotate_key("org_a", "key-a", secret="2" * 64, label="x", now_us=1))
    assert backend.run(directory.secrets_of("org_a", "key-a")) == KeySecrets(current="2" * 64)
    backend.run(directory.rotate_key("org_a", "key-a", secret="3" * 64, label="x", now_us=2, previous_expires_at_us=9))
    both = KeySecrets(current="3" * 64, previous="2" * 64, previous_expires_at_us=9)
    assert backend.run(directory.secrets_of("org_a", "key-a")) == both
    backend.run(directory.delete_key("org_a", "key-a", now_us=3))
    assert backend.run(directory.secrets_of("org_a", "key-a")) is None
