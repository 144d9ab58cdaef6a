"""What every directory does with guardrails, and with what is said of single users."""

from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.guardrails import Guardrail, Lists, Target, UserRules
from arouter.domain.limits import Budget, LimitReset, Limits
from arouter.domain.money import Picodollars
from tests.conformance.backends import Backend
from tests.conformance.samples import append, record

NOW_US = 1_790_000_000_000_000


def guardrail(guardrail_id: str = "grl_a", **changes: Any) -> Guardrail:
    plain = Guardrail(
        id=guardrail_id,
        organization_id="org_a",
        name="all",
        target=Target.ORGANIZATION,
        target_id=None,
        created_at_us=NOW_US,
    )
    return replace(plain, **changes)


FULL = guardrail(
    name="na\x00me 🔑",
    target=Target.USER,
    target_id="",
    limits=Limits(
        budget=Budget(limit=Picodollars(2**63 - 1), reset=LimitReset.WEEKLY),
        requests_per_minute=0,
        requests_per_day=1,
        tokens_per_minute=2,
        tokens_per_day=10**12,
        concurrent_requests=3,
    ),
    lists=Lists(
        allowed_models=(),
        ignored_models=("a/b", "ü"),
        allowed_providers=("openai",),
        ignored_providers=("groq",),
        zero_data_retention=True,
    ),
    disabled=True,
    creator="mem_1",
    updated_at_us=NOW_US + 1,
)


def add(backend: Backend, *guardrails: Guardrail) -> None:
    for one in guardrails:
        backend.run(backend.directory.add_guardrail(one))


def listed(backend: Backend, **options: Any) -> list[str]:
    return [one.id for one in backend.run(backend.directory.list_guardrails("org_a", **options))]


@pytest.mark.parametrize("sample", [guardrail(), FULL], ids=["plain", "full"])
def test_a_guardrail_is_read_back_as_it_was_added(backend: Backend, sample: Guardrail) -> None:
    add(backend, sample)
    backend.restart()
    assert backend.run(backend.directory.get_guardrail("org_a", sample.id)) == sample
    assert backend.run(backend.directory.get_guardrail("org_b", sample.id)) is None
    assert backend.run(backend.directory.get_guardrail("org_a", "grl_b")) is None


def test_they_are_listed_newest_first_and_in_pages(backend: Backend) -> None:
    add(
        backend,
        guardrail("grl_1"),
        guardrail("grl_2", created_at_us=NOW_US + 1, disabled=True),
        guardrail("grl_3", created_at_us=NOW_US + 1),
        guardrail("grl_4", organization_id="org_b"),
    )
    assert listed(backend) == ["grl_3", "grl_2", "grl_1"]
    assert listed(backend, include_disabled=False) == ["grl_3", "grl_1"]
    assert listed(backend, offset=1, limit=1) == ["grl_2"]
    assert [one.id for one in backend.run(backend.directory.every_guardrail())] == ["grl_1", "grl_3", "grl_4"]
    for among, found in (((), []), (("grl_4", "grl_2", "grl_1", "grl_5"), ["grl_1", "grl_4"])):
        assert [one.id for one in backend.run(backend.directory.every_guardrail(among))] == found


def test_an_id_is_taken_once(backend: Backend) -> None:
    add(backend, guardrail())
    with pytest.raises(ValueError):
        add(backend, guardrail(organization_id="org_b"))


def test_one_is_replaced_and_deleted_in_its_own_organization_only(backend: Backend) -> None:
    add(backend, guardrail())
    directory = backend.directory
    assert not backend.run(directory.replace_guardrail(guardrail(organization_id="org_b", name="theirs")))
    assert not backend.run(directory.delete_guardrail("org_b", "grl_a"))
    assert backend.run(directory.replace_guardrail(FULL))
    assert backend.run(directory.get_guardrail("org_a", "grl_a")) == FULL
    assert backend.run(directory.delete_guardrail("org_a", "grl_a"))
    assert not backend.run(directory.delete_guardrail("org_a", "grl_a"))
    assert not backend.run(directory.replace_guardrail(FULL))


def test_each_change_raises_the_revision(backend: Backend) -> None:
    seen = [backend.run(backend.directory.last_changes()).revision]
    add(backend, guardrail())
    seen.append(backend.run(backend.directory.last_changes()).revision)
    backend.run(backend.directory.replace_guardrail(FULL))
    seen.append(backend.run(backend.directory.last_changes()).revision)
    backend.run(backend.directory.delete_guardrail("org_a", "grl_a"))
    seen.append(backend.run(backend.directory.last_changes()).revision)
    assert seen == sorted(set(seen))


RULES = UserRules(
    organization_id="org_a",
    user="ü\x00 ",
    limits=FULL.limits,
    blocked=True,
    reason="fraud",
    blocked_at_us=NOW_US,
    updated_at_us=NOW_US + 1,
)


def test_what_is_said_of_a_user_is_kept_byte_for_byte(backend: Backend) -> None:
    directory = backend.directory
    empty = UserRules(organization_id="org_a", user="")
    for rules in (RULES, empty):
        backend.run(directory.put_user_rules(rules))
    backend.restart()
    directory = backend.directory
    assert backend.run(directory.get_user_rules("org_a", RULES.user)) == RULES
    assert backend.run(directory.get_user_rules("org_a", "")) == empty
    assert backend.run(directory.get_user_rules("org_a", "ü\x00")) is None
    assert backend.run(directory.get_user_rules("org_b", RULES.user)) is None
    backend.run(directory.put_user_rules(replace(RULES, blocked=False, reason=None)))
    assert backend.run(directory.get_user_rules("org_a", RULES.user)) == replace(RULES, blocked=False, reason=None)
    with pytest.raises(ValueError):
        backend.run(directory.get_user_rules("org_a", "\ud800"))
    with pytest.raises(ValueError):
        backend.run(directory.put_user_rules(replace(RULES, user="\ud800")))


def test_what_is_said_of_several_users(backend: Backend) -> None:
    directory = backend.directory
    other = replace(RULES, organization_id="org_b")
    for rules in (RULES, replace(RULES, user="", blocked=False, reason=None), replace(RULES, user="ü\x00"), other):
        backend.run(directory.put_user_rules(rules))
    found = backend.run(directory.user_rules_of("org_a", ["", "nobody", RULES.user]))
    assert found == {"": replace(RULES, user="", blocked=False, reason=None), RULES.user: RULES}
    assert backend.run(directory.user_rules_of("org_a", ["ü\x00"])) == {"ü\x00": replace(RULES, user="ü\x00")}
    assert backend.run(directory.user_rules_of("org_a", [])) == {}
    with pytest.raises(ValueError):
        backend.run(directory.user_rules_of("org_a", ["\ud800"]))


def test_who_is_blocked_is_listed_by_name(backend: Backend) -> None:
    directory = backend.directory
    for user in ("", "a", "ab", "b\x00", "ü", "\U0001f511", "free"):
        backend.run(directory.put_user_rules(replace(RULES, user=user, blocked=user != "free")))
    backend.run(directory.put_user_rules(replace(RULES, user="theirs", organization_id="org_b")))

    def listed(**wanted: Any) -> list[str]:
        found = backend.run(directory.list_blocked_users("org_a", **{"limit": 10, **wanted}))
        assert all(rules == replace(RULES, user=rules.user) for rules in found)
        return [rules.user for rules in found]

    names = ["", "a", "ab", "b\x00", "ü", "\U0001f511"]
    assert listed() == names
    assert listed(descending=True) == names[::-1]
    assert listed(prefix="a") == ["a", "ab"]
    assert listed(limit=2) == names[:2]
    assert listed(after="a", limit=2) == names[2:4]
    assert listed(after="") == names[1:]
    assert listed(after="ab", descending=True) == ["a", ""]
    backend.run(directory.put_user_rules(replace(RULES, user="a", blocked=False)))
    assert listed(prefix="a") == ["ab"]


def test_the_last_changes_tell_whether_there_is_anything_new(backend: Backend) -> None:
    directory = backend.directory

    def told() -> tuple[int, int]:
        last = backend.run(directory.last_changes())
        assert last.revision == backend.run(directory.last_changes()).revision
        assert last.user_rules == backend.run(directory.user_rules_changed(0)).latest
        return last.revision, last.user_rules

    before = told()
    append(backend, record("a"))
    assert told() == before
    add(backend, guardrail())
    changed = told()
    assert changed[0] > before[0]
    assert changed[1] == before[1]
    backend.run(directory.put_user_rules(RULES))
    assert told() == (changed[0], changed[1] + 1)
    backend.run(directory.put_user_rules(replace(RULES, blocked=not RULES.blocked)))
    assert told() == (changed[0], changed[1] + 2)


def test_who_changed_since_is_told_and_the_revision_stays(backend: Backend) -> None:
    directory = backend.directory
    before = backend.run(directory.last_changes()).revision
    none = backend.run(directory.user_rules_changed(0))
    assert (none.latest, none.users, none.holders) == (0, frozenset(), frozenset())
    for organization, user in (("org_a", "x"), ("org_b", "y"), ("org_a", "z")):
        backend.run(directory.put_user_rules(UserRules(organization_id=organization, user=user)))
    first = backend.run(directory.user_rules_changed(0))
    assert first.users == frozenset({("org_a", "x"), ("org_b", "y"), ("org_a", "z")})
    assert first.holders == {"org_a", "org_b"}
    assert backend.run(directory.user_rules_changed(first.latest)).users == frozenset()
    backend.run(directory.put_user_rules(UserRules(organization_id="org_a", user="x", blocked=True)))
    then = backend.run(directory.user_rules_changed(first.latest))
    assert then.users == frozenset({("org_a", "x")})
    assert then.latest > first.latest
    assert backend.run(directory.last_changes()).revision == before
