"""What every directory does."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.activity import Filters, Scope, SummaryQuery
from arouter.domain.keys import Key, by_previous_plaintext
from arouter.store.base import Home, KeyLabel
from tests.conformance.backends import Backend
from tests.conformance.samples import FULL_KEY, append, ids, key, record

HOME = Home(organization_id="org_a", workspace_id="ws_a", secret=b"\x00" * 31 + b"\xff")


def add(backend: Backend, *names: str) -> None:
    for age, name in enumerate(names):
        backend.run(backend.directory.add_key(key(name, created_at_us=age), secret=f"secret-{name}"))


def names(backend: Backend, **options: object) -> list[str]:
    return [each.name for each in backend.run(backend.directory.list_keys("org_a", **options))]  # type: ignore[arg-type]


def test_the_first_candidate_becomes_the_home(backend: Backend) -> None:
    other = Home(organization_id="org_b", workspace_id="ws_b", secret=b"2" * 32)
    assert backend.run(backend.directory.home(HOME, now_us=1)) == HOME
    assert backend.run(backend.directory.home(other, now_us=2)) == HOME
    backend.restart()
    assert backend.run(backend.directory.home(other, now_us=3)) == HOME


@pytest.mark.parametrize("sample", [key(), FULL_KEY], ids=["plain", "full"])
def test_a_key_is_read_back_as_it_was_added(backend: Backend, sample: Key) -> None:
    backend.run(backend.directory.add_key(sample, secret="s"))
    backend.restart()
    assert backend.run(backend.directory.find_key("s")) == sample
    assert backend.run(backend.directory.get_key("org_a", sample.hash)) == sample


def first_keys(name: str) -> list[tuple[Key, str]]:
    return [(key(f"{name}-{kind}"), f"secret-{name}-{kind}") for kind in ("live", "management")]


def test_the_first_keys_are_added_where_there_is_none(backend: Backend) -> None:
    backend.run(backend.directory.add_key(key("other", organization_id="org_b"), secret="other"))
    before = backend.run(backend.directory.last_changes()).revision
    assert backend.run(backend.directory.add_first_keys(first_keys("a")))
    assert backend.run(backend.directory.last_changes()).revision > before
    assert not backend.run(backend.directory.add_first_keys(first_keys("b")))
    backend.restart()
    assert not backend.run(backend.directory.add_first_keys(first_keys("c")))
    assert sorted(names(backend)) == ["a-live", "a-management"]
    assert backend.run(backend.directory.find_key("secret-a-live")) == key("a-live")


def test_deleted_keys_are_none(backend: Backend) -> None:
    add(backend, "gone")
    assert backend.run(backend.directory.delete_key("org_a", "key-gone", now_us=1))
    assert backend.run(backend.directory.add_first_keys(first_keys("a")))


def test_of_first_keys_all_are_added_or_none(backend: Backend) -> None:
    backend.run(backend.directory.add_key(key("other", organization_id="org_b"), secret="taken"))
    (one, secret), (other, _) = first_keys("a")
    with pytest.raises(ValueError, match=r".+"):
        backend.run(backend.directory.add_first_keys([(one, secret), (other, "taken")]))
    assert names(backend) == []


def test_of_processes_that_come_at_once_one_adds_the_first_keys(backend: Backend) -> None:
    others = [backend.beside() for _ in range(3)]
    directories = [backend.directory, *(each.directory for each in others)]

    async def every() -> list[bool]:
        return await asyncio.gather(*(one.add_first_keys(first_keys(str(no))) for no, one in enumerate(directories)))

    added = backend.run(every())
    assert sum(added) == 1
    assert sorted(names(backend)) == [f"{added.index(True)}-live", f"{added.index(True)}-management"]
    for each in others:
        backend.run(each.close())


def test_a_key_is_found_by_its_secret_and_not_by_its_name(backend: Backend) -> None:
    add(backend, "prod")
    assert backend.run(backend.directory.find_key("key-prod")) is None
    assert backend.run(backend.directory.get_key("org_a", "secret-prod")) is None


def test_another_organization_does_not_know_the_key(backend: Backend) -> None:
    add(backend, "prod")
    directory = backend.directory
    assert backend.run(directory.get_key("org_b", "key-prod")) is None
    assert not backend.run(directory.delete_key("org_b", "key-prod", now_us=1))
    assert not backend.run(directory.rotate_key("org_b", "key-prod", secret="x", label="x", now_us=1))
    assert not backend.run(directory.replace_key(key("prod", organization_id="org_b")))
    assert backend.run(directory.list_keys("org_b")) == ()
    assert backend.run(directory.get_key("org_a", "key-prod")) == key("prod", created_at_us=0)


def test_keys_are_listed_newest_first_and_in_pieces(backend: Backend) -> None:
    add(backend, "a", "b", "c")
    assert names(backend) == ["c", "b", "a"]
    assert names(backend, limit=2) == ["c", "b"]
    assert names(backend, limit=2, offset=2) == ["a"]


def test_keys_of_one_instant_have_an_order(backend: Backend) -> None:
    for name in ("b", "c", "a"):
        backend.run(backend.directory.add_key(key(name), secret=name))
    assert names(backend) == ["c", "b", "a"]


def test_disabled_keys_can_be_left_out(backend: Backend) -> None:
    add(backend, "a", "b")
    backend.run(backend.directory.replace_key(key("b", disabled=True)))
    assert names(backend, include_disabled=False) == ["a"]
    assert sorted(names(backend)) == ["a", "b"]


def test_a_replaced_key_keeps_its_secret(backend: Backend) -> None:
    add(backend, "prod")
    changed = replace(FULL_KEY, hash="key-prod")
    assert backend.run(backend.directory.replace_key(changed))
    assert backend.run(backend.directory.find_key("secret-prod")) == changed


def test_a_rotated_key_has_another_secret_and_the_same_name(backend: Backend) -> None:
    add(backend, "prod")
    assert backend.run(backend.directory.rotate_key("org_a", "key-prod", secret="new", label="lr_live_new…", now_us=9))
    assert backend.run(backend.directory.find_key("secret-prod")) is None
    assert backend.run(backend.directory.find_key("new")) == key(
        "prod", created_at_us=0, label="lr_live_new…", updated_at_us=9
    )


def rotated(backend: Backend, secret: str, previous_expires_at_us: int | None = None, name: str = "prod") -> bool:
    change = backend.directory.rotate_key(
        "org_a", f"key-{name}", secret=secret, label="new", now_us=9, previous_expires_at_us=previous_expires_at_us
    )
    return backend.run(change)


def test_a_rotation_may_leave_the_old_secret_some_time(backend: Backend) -> None:
    add(backend, "prod")
    assert rotated(backend, "new", 50)
    backend.restart()
    found = key("prod", created_at_us=0, label="new", updated_at_us=9, previous_expires_at_us=50)
    assert backend.run(backend.directory.find_key("new")) == found
    assert backend.run(backend.directory.get_key("org_a", "key-prod")) == found
    assert backend.run(backend.directory.find_key("secret-prod")) == replace(found, expires_at_us=50)
    assert by_previous_plaintext(replace(found, expires_at_us=40)).expires_at_us == 40


def test_another_rotation_ends_the_old_secret_of_before(backend: Backend) -> None:
    add(backend, "prod")
    assert rotated(backend, "second", 50)
    assert rotated(backend, "third", 60)
    assert backend.run(backend.directory.find_key("secret-prod")) is None
    second = backend.run(backend.directory.find_key("second"))
    assert second is not None
    assert second.expires_at_us == 60
    assert rotated(backend, "fourth")
    assert [backend.run(backend.directory.find_key(secret)) for secret in ("second", "third")] == [None, None]
    fourth = backend.run(backend.directory.find_key("fourth"))
    assert fourth is not None
    assert fourth.previous_expires_at_us is None


def test_what_was_read_before_a_rotation_does_not_change_what_the_rotation_said(backend: Backend) -> None:
    add(backend, "prod")
    before = backend.run(backend.directory.get_key("org_a", "key-prod"))
    assert before is not None
    assert rotated(backend, "new", 50)
    assert backend.run(backend.directory.replace_key(replace(before, disabled=True)))
    for secret, expires_at_us in (("new", None), ("secret-prod", 50)):
        found = backend.run(backend.directory.find_key(secret))
        assert found == replace(before, disabled=True, previous_expires_at_us=50, expires_at_us=expires_at_us)


def test_a_deleted_key_has_no_old_secret_either(backend: Backend) -> None:
    add(backend, "prod")
    assert rotated(backend, "new", 50)
    assert backend.run(backend.directory.delete_key("org_a", "key-prod", now_us=10))
    assert [backend.run(backend.directory.find_key(secret)) for secret in ("new", "secret-prod")] == [None, None]


def test_an_old_secret_is_taken_as_long_as_it_is_there(backend: Backend) -> None:
    add(backend, "prod", "other")
    assert rotated(backend, "new", 50)
    with pytest.raises(ValueError):
        backend.run(backend.directory.add_key(key("third"), secret="secret-prod"))
    with pytest.raises(ValueError):
        rotated(backend, "secret-prod", name="other")
    assert backend.run(backend.directory.find_key("secret-other")) == key("other", created_at_us=1)


def test_a_deleted_key_is_gone_but_its_records_keep_its_name(backend: Backend) -> None:
    backend.run(backend.directory.add_key(key("a", creator="mem_1"), secret="s"))
    append(backend, record("gen-1"))
    assert backend.run(backend.directory.delete_key("org_a", "key-a", now_us=9))
    assert not backend.run(backend.directory.delete_key("org_a", "key-a", now_us=9))
    assert not backend.run(backend.directory.replace_key(key("a")))
    assert not backend.run(backend.directory.rotate_key("org_a", "key-a", secret="t", label="", now_us=9))
    assert backend.run(backend.directory.find_key("s")) is None
    assert names(backend) == []
    row = backend.run(backend.ledger.get("org_a", "gen-1"))
    assert row is not None
    assert (row.key_name, row.creator) == ("a", "mem_1")
    assert ids(backend) == ["gen-1"]


def test_keys_have_their_names_even_when_they_are_deleted(backend: Backend) -> None:
    backend.run(backend.directory.add_key(key("a", creator="mem_1"), secret="s"))
    backend.run(backend.directory.add_key(key("b", creator=None), secret="t"))
    backend.run(backend.directory.add_key(key("c", organization_id="org_b"), secret="u"))
    backend.run(backend.directory.replace_key(key("b", name="other", creator=None)))
    assert backend.run(backend.directory.delete_key("org_a", "key-a", now_us=9))
    asked = ["key-b", "key-a", "key-c", "key-a", "nobody"]
    assert backend.run(backend.directory.label_keys("org_a", asked)) == {
        "key-a": KeyLabel(name="a", creator="mem_1"),
        "key-b": KeyLabel(name="other", creator=None),
    }
    assert backend.run(backend.directory.label_keys("org_a", [])) == {}


def test_a_key_is_added_once(backend: Backend) -> None:
    add(backend, "prod")
    with pytest.raises(ValueError):
        backend.run(backend.directory.add_key(key("prod"), secret="other"))
    with pytest.raises(ValueError):
        backend.run(backend.directory.add_key(key("other"), secret="secret-prod"))
    assert names(backend) == ["prod"]


def test_every_change_raises_the_revision_and_nothing_else_does(backend: Backend) -> None:
    directory = backend.directory
    changes = [
        directory.home(HOME, now_us=1),
        directory.add_key(key("a"), secret="s"),
        directory.replace_key(key("a", name="b")),
        directory.rotate_key("org_a", "key-a", secret="t", label="", now_us=1),
        directory.delete_key("org_a", "key-a", now_us=1),
    ]
    for change in changes:
        before = backend.run(directory.last_changes()).revision
        backend.run(change)
        assert backend.run(directory.last_changes()).revision > before
    before = backend.run(directory.last_changes()).revision
    assert not backend.run(directory.delete_key("org_a", "key-a", now_us=1))
    assert backend.run(directory.home(HOME, now_us=1)) == HOME
    assert backend.run(directory.last_changes()).revision == before


def test_the_keys_of_one_member(backend: Backend) -> None:
    for name, creator in (("a", "mem_1"), ("b", None), ("c", "mem_2"), ("d", "mem_1")):
        backend.run(backend.directory.add_key(key(name, creator=creator, created_at_us=ord(name)), secret=name))
    assert names(backend, creator="mem_1") == ["d", "a"]
    assert names(backend, creator="mem_1", offset=1) == ["a"]
    assert names(backend, creator="mem_3") == []


def test_the_records_of_the_keys_that_one_member_made(backend: Backend) -> None:
    for name, creator in (("a", "mem_1"), ("b", None), ("c", "mem_2"), ("d", "mem_1")):
        backend.run(backend.directory.add_key(key(name, creator=creator), secret=name))
        append(backend, record(f"gen-{name}", opened={"key_hash": f"key-{name}"}))
    backend.run(backend.directory.delete_key("org_a", "key-d", now_us=1))

    def seen(creator: str, **filters: Any) -> list[str]:
        scope = Scope(organization_id="org_a", creator=creator)
        total = backend.run(backend.ledger.summary(SummaryQuery(scope=scope, filters=Filters(**filters)))).totals
        found = sorted(ids(backend, scope=scope, **filters))
        assert total.requests == len(found)
        return found

    assert seen("mem_1") == ["gen-a", "gen-d"]
    assert seen("mem_1", key_hashes=("key-a", "key-c")) == ["gen-a"]
    assert seen("mem_1", users=("user_1",)) == ids(backend, users=("user_1",), key_hashes=("key-a", "key-d"))
    assert seen("mem_3") == []
