"""What has to be forgotten after a change, and what need not be."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.audit import AuditAction
from arouter.domain.directory_changes import DirectoryChanges

SUBJECTS = sorted({action.subject for action in AuditAction})
things = st.frozensets(st.tuples(st.sampled_from([*SUBJECTS, "of_the_next_version"]), st.sampled_from("abc")))


def changes(told: Iterable[tuple[str, str]] | None) -> DirectoryChanges:
    return DirectoryChanges(revision=7, things=None if told is None else frozenset(told))


def spared(told: Iterable[tuple[str, str]] | None) -> tuple[bool, bool, bool]:
    """Whether all API keys, all providers' keys and all limits are as they were."""
    one = changes(told)
    return one.keys() == frozenset(), one.spares_provider_keys(), one.spares_limits()


@pytest.mark.parametrize(
    ("subject", "spares"),
    [
        ("key", (False, True, True)),
        ("provider_key", (True, False, True)),
        ("guardrail", (True, True, False)),
        ("credit", (True, True, False)),
        ("credit_pool", (True, True, False)),
        ("session", (True, True, True)),
        ("login", (True, True, True)),
        ("user", (True, True, True)),
        ("record", (True, True, True)),
        ("member", (False, True, True)),
        ("workspace", (False, True, True)),
        ("invitation", (False, True, True)),
        ("organization", (False, False, False)),
        ("of_the_next_version", (False, False, False)),
    ],
)
def test_what_each_subject_leaves_as_it_was(subject: str, spares: tuple[bool, bool, bool]) -> None:
    assert spared([(subject, "a")]) == spares


def test_every_action_of_the_audit_log_has_its_say() -> None:
    table = test_what_each_subject_leaves_as_it_was.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert set(SUBJECTS) <= {subject for subject, _ in table}


def test_keys_are_told_by_their_hashes_beside_what_leaves_them_alone() -> None:
    assert changes([("key", "a"), ("key", "b"), ("session", "c")]).keys() == frozenset("ab")
    assert changes([("key", "a"), ("member", "c")]).keys() is None
    assert changes([("user", "a")]).keys() == frozenset()


def test_where_nothing_changed_everything_is_spared_and_where_nobody_knows_nothing_is() -> None:
    assert spared([]) == (True, True, True)
    assert spared(None) == (False, False, False)


@given(things, things)
def test_two_changes_spare_what_each_of_them_spares(
    one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]
) -> None:
    both = zip(spared(one), spared(other), strict=True)
    assert spared(one | other) == tuple(first and second for first, second in both)
