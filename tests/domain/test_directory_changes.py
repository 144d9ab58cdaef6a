"""What has to be forgotten after a change, and what need not be."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.audit import AuditAction
from arouter.domain.directory_changes import DirectoryChanges, Thing
from tests.engine.samples import key

NOTHING = frozenset[str]()
LATER = "key.of_the_next_version"
ORGANIZATIONS = ("org_1", "org_2")
KNOWN = [replace(key(), organization_id=name, hash=f"{name}-{number}") for name in ORGANIZATIONS for number in (1, 2)]
things = st.frozensets(
    st.tuples(st.sampled_from([*AuditAction, LATER]), st.sampled_from(ORGANIZATIONS), st.sampled_from("abc"))
)

Told = frozenset[str] | None


def told(said: Iterable[Thing] | None) -> dict[str, Told]:
    """What may be otherwise, by what it is."""
    one = DirectoryChanges(revision=7, things=None if said is None else frozenset(said))
    return {
        "key": one.keys(KNOWN),
        "provider_key": one.provider_keys(),
        "guardrail": one.guardrails(),
        "credits": one.credits(),
    }


ANY: dict[str, Told] = dict.fromkeys(told(()))
NONE: dict[str, Told] = dict.fromkeys(ANY, NOTHING)


@pytest.mark.parametrize("action", [*AuditAction, LATER], ids=str)
def test_what_each_action_leaves_as_it_was(action: str) -> None:
    subject, _, verb = action.partition(".")
    expected = dict(NONE)
    if subject in ("key", "guardrail"):
        expected[subject] = frozenset("a")
    elif subject == "provider_key":
        expected[subject] = frozenset({"org_1"})
    elif subject in ("credit", "credit_pool"):
        expected["credits"] = frozenset({"org_1"})
    elif subject in ("organization", "workspace", "member") and verb != "create":
        expected["key"] = frozenset({"org_1-1", "org_1-2"})
    assert told([(action, "org_1", "a")]) == (ANY if action == LATER else expected)


def test_keys_that_are_named_are_told_beside_those_of_an_organization() -> None:
    said = [("key.create", "org_2", "a"), ("session.create", "org_1", "c"), ("key.delete", "org_1", "b")]
    assert told(said) == {**NONE, "key": frozenset("ab")}
    assert told([*said, ("member.update", "org_1", "e")])["key"] == frozenset({"a", "b", "org_1-1", "org_1-2"})


def test_where_nothing_changed_nothing_is_told_and_where_nobody_knows_it_may_be_anything() -> None:
    assert told([]) == NONE
    assert told(None) == ANY


@given(things, things)
def test_two_changes_tell_what_each_of_them_tells(one: frozenset[Thing], other: frozenset[Thing]) -> None:
    first, second = told(one), told(other)
    for what, both in told(one | other).items():
        some, more = first[what], second[what]
        assert both == (None if some is None or more is None else some | more)
