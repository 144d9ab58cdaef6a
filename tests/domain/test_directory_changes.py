"""What has to be forgotten after a change, and what need not be."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.audit import AuditAction
from arouter.domain.directory_changes import DirectoryChanges, Thing

NOTHING = frozenset[str]()
LATER = "key.of_the_next_version"
things = st.frozensets(st.tuples(st.sampled_from([*AuditAction, LATER]), st.sampled_from("abc")))

Told = frozenset[str] | None


def told(said: Iterable[Thing] | None) -> dict[str, Told]:
    """What may be otherwise, by what it is."""
    one = DirectoryChanges(revision=7, things=None if said is None else frozenset(said))
    return {
        "key": one.keys(),
        "provider_key": one.provider_keys(),
        "guardrail": one.guardrails(),
        "credit_pool": one.pools(),
    }


ANY: dict[str, Told] = dict.fromkeys(told(()))
NONE: dict[str, Told] = dict.fromkeys(ANY, NOTHING)


@pytest.mark.parametrize("action", [*AuditAction, LATER], ids=str)
def test_what_each_action_leaves_as_it_was(action: str) -> None:
    subject, _, verb = action.partition(".")
    expected = dict(NONE)
    if subject in expected:
        expected[subject] = frozenset("a")
    elif subject in ("organization", "workspace", "member") and verb != "create":
        expected["key"] = None
    assert told([(action, "a")]) == (ANY if action == LATER else expected)


def test_each_is_told_by_its_id_beside_what_leaves_it_alone() -> None:
    said = [("key.create", "a"), ("key.delete", "b"), ("session.create", "c"), ("credit_pool.update", "d")]
    assert told(said) == {**NONE, "key": frozenset("ab"), "credit_pool": frozenset("d")}
    assert told([*said, ("member.update", "e")]) == {**NONE, "key": None, "credit_pool": frozenset("d")}


def test_where_nothing_changed_nothing_is_told_and_where_nobody_knows_it_may_be_anything() -> None:
    assert told([]) == NONE
    assert told(None) == ANY


@given(things, things)
def test_two_changes_tell_what_each_of_them_tells(one: frozenset[Thing], other: frozenset[Thing]) -> None:
    first, second = told(one), told(other)
    for what, both in told(one | other).items():
        some, more = first[what], second[what]
        assert both == (None if some is None or more is None else some | more)
