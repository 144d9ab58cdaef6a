"""What has to be forgotten after a change, and what need not be."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.audit import AuditAction
from arouter.domain.directory_changes import DirectoryChanges, Thing

NOTHING = (True, True, True)
LATER = "key.of_the_next_version"
things = st.frozensets(st.tuples(st.sampled_from([*AuditAction, LATER]), st.sampled_from("abc")))


def changes(told: Iterable[Thing] | None) -> DirectoryChanges:
    return DirectoryChanges(revision=7, things=None if told is None else frozenset(told))


def spared(told: Iterable[Thing] | None) -> tuple[bool, bool, bool]:
    """Whether all API keys, all providers' keys and all limits are as they were."""
    one = changes(told)
    return one.keys() == frozenset(), one.spares_provider_keys(), one.spares_limits()


@pytest.mark.parametrize("action", [*AuditAction, LATER], ids=str)
def test_what_each_action_leaves_as_it_was(action: str) -> None:
    subject, _, verb = action.partition(".")
    expected = {
        "key": (False, True, True),
        "provider_key": (True, False, True),
        "guardrail": (True, True, False),
        "credit": (True, True, False),
        "credit_pool": (True, True, False),
    }.get(subject, NOTHING)
    if subject in ("organization", "workspace", "member") and verb != "create":
        expected = (False, True, True)
    assert spared([(action, "a")]) == ((False, False, False) if action == LATER else expected)


def test_keys_are_told_by_their_hashes_beside_what_leaves_them_alone() -> None:
    assert changes([("key.create", "a"), ("key.delete", "b"), ("session.create", "c")]).keys() == frozenset("ab")
    assert changes([("key.update", "a"), ("member.update", "c")]).keys() is None
    assert changes([("user.update", "a")]).keys() == frozenset()


def test_where_nothing_changed_everything_is_spared_and_where_nobody_knows_nothing_is() -> None:
    assert spared([]) == NOTHING
    assert spared(None) == (False, False, False)


@given(things, things)
def test_two_changes_spare_what_each_of_them_spares(one: frozenset[Thing], other: frozenset[Thing]) -> None:
    both = zip(spared(one), spared(other), strict=True)
    assert spared(one | other) == tuple(first and second for first, second in both)
