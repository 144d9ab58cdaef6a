"""What every directory does with the keys for providers that organizations bring."""

from dataclasses import replace
from typing import Any

import pytest

from arouter.domain.money import Picodollars
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.store.base import Spending
from arouter.store.buckets import HOUR_US
from tests.conformance.backends import Backend
from tests.conformance.samples import NOON_US, adjust, adjustment, append, record

SEALED = Sealed(key_id="kek-1", nonce=b"\x00" * 11 + b"\xff", ciphertext=b"\x00cipher\xfftext")
OTHER = Sealed(key_id="kek-2", nonce=b"n" * 12, ciphertext=b"")


def provider_key(key_id: str = "pkey_a", **changes: Any) -> ProviderKey:
    plain = ProviderKey(
        id=key_id,
        organization_id="org_a",
        api_key_hash=None,
        provider="openai",
        name="prod",
        label="sk-…abcd",
        creator=None,
        created_at_us=1_790_000_000_000_000,
    )
    return replace(plain, **changes)


FULL = provider_key(
    api_key_hash="ab" * 32,
    name="na\x00me 🔑",
    label="…",
    creator="mem_1",
    updated_at_us=1_790_000_000_000_001,
    disabled=True,
    byok_fallback=True,
)


def add(backend: Backend, *keys: ProviderKey, sealed: Sealed = SEALED) -> None:
    for key in keys:
        backend.run(backend.directory.add_provider_key(key, sealed))


def everything(backend: Backend) -> list[tuple[ProviderKey, Sealed]]:
    return list(backend.run(backend.directory.every_provider_key()))


def listed(backend: Backend, **options: Any) -> list[str]:
    return [key.id for key in backend.run(backend.directory.list_provider_keys("org_a", **options))]


@pytest.mark.parametrize("sample", [provider_key(), FULL], ids=["plain", "full"])
def test_a_key_is_read_back_as_it_was_added(backend: Backend, sample: ProviderKey) -> None:
    add(backend, sample)
    backend.restart()
    assert backend.run(backend.directory.get_provider_key("org_a", "pkey_a")) == sample
    assert everything(backend) == [(sample, SEALED)]


def test_a_key_is_added_once(backend: Backend) -> None:
    add(backend, provider_key())
    with pytest.raises(ValueError):
        add(backend, provider_key(organization_id="org_b"), sealed=OTHER)
    assert everything(backend) == [(provider_key(), SEALED)]


def test_another_organization_does_not_know_the_key(backend: Backend) -> None:
    add(backend, provider_key())
    directory = backend.directory
    theirs = provider_key(organization_id="org_b", name="theirs")
    assert backend.run(directory.get_provider_key("org_b", "pkey_a")) is None
    assert backend.run(directory.list_provider_keys("org_b")) == ()
    assert backend.run(directory.sealed_provider_keys("org_b")) == ()
    assert not backend.run(directory.replace_provider_key(theirs, OTHER))
    assert not backend.run(directory.replace_provider_key(theirs))
    assert not backend.run(directory.reseal_provider_key(theirs, before=SEALED, after=OTHER))
    assert not backend.run(directory.delete_provider_key("org_b", "pkey_a"))
    assert everything(backend) == [(provider_key(), SEALED)]


def test_keys_are_listed_newest_first_and_in_pieces(backend: Backend) -> None:
    add(backend, *(provider_key(f"pkey_{name}", created_at_us=age) for age, name in enumerate("bca")))
    assert listed(backend) == ["pkey_a", "pkey_c", "pkey_b"]
    assert listed(backend, limit=2) == ["pkey_a", "pkey_c"]
    assert listed(backend, limit=2, offset=2) == ["pkey_b"]


def test_keys_of_one_instant_have_an_order(backend: Backend) -> None:
    add(backend, *(provider_key(f"pkey_{name}") for name in "bca"))
    assert listed(backend) == ["pkey_c", "pkey_b", "pkey_a"]


def test_disabled_keys_can_be_left_out_of_the_list_and_are_never_asked_with(backend: Backend) -> None:
    add(backend, provider_key("pkey_a"), provider_key("pkey_b", disabled=True))
    assert listed(backend, include_disabled=False) == ["pkey_a"]
    assert listed(backend) == ["pkey_b", "pkey_a"]
    assert backend.run(backend.directory.sealed_provider_keys("org_a")) == ((provider_key("pkey_a"), SEALED),)


def test_what_is_sealed_is_read_in_pieces_over_all_organizations(backend: Backend) -> None:
    keys = [provider_key(f"pkey_{name}", organization_id=f"org_{name}", disabled=name == "b") for name in "abc"]
    add(backend, *reversed(keys))
    first = backend.run(backend.directory.every_provider_key(limit=2))
    rest = backend.run(backend.directory.every_provider_key(after_id="pkey_b", limit=2))
    assert [key for key, _ in (*first, *rest)] == keys
    assert (len(first), len(rest)) == (2, 1)


def test_who_has_keys_and_what_they_are_sealed_with(backend: Backend) -> None:
    add(backend, provider_key("pkey_a"), provider_key("pkey_b", organization_id="org_b"))
    add(backend, provider_key("pkey_c"), provider_key("pkey_d", organization_id="org_d", disabled=True), sealed=OTHER)
    holders = backend.run(backend.directory.provider_key_holders())
    assert holders == {"org_a": {"kek-1", "kek-2"}, "org_b": {"kek-1"}}


def test_a_replaced_key_keeps_its_secret_and_its_label(backend: Backend) -> None:
    add(backend, provider_key())
    assert backend.run(backend.directory.replace_provider_key(FULL))
    kept = replace(FULL, api_key_hash=None, label="sk-…abcd", creator=None)
    assert everything(backend) == [(kept, SEALED)]


def test_a_new_secret_comes_with_its_label(backend: Backend) -> None:
    add(backend, provider_key())
    assert backend.run(backend.directory.replace_provider_key(provider_key(label="new", updated_at_us=5), OTHER))
    assert everything(backend) == [(provider_key(label="new", updated_at_us=5), OTHER)]


def test_a_secret_is_resealed_unless_it_was_changed_meanwhile(backend: Backend) -> None:
    add(backend, provider_key())
    assert not backend.run(backend.directory.reseal_provider_key(provider_key(), before=OTHER, after=OTHER))
    assert everything(backend) == [(provider_key(), SEALED)]
    stale = provider_key(name="as it was read", disabled=True)
    assert backend.run(backend.directory.reseal_provider_key(stale, before=SEALED, after=OTHER))
    assert everything(backend) == [(provider_key(), OTHER)]


def test_a_deleted_key_is_gone(backend: Backend) -> None:
    add(backend, provider_key())
    assert backend.run(backend.directory.delete_provider_key("org_a", "pkey_a"))
    assert not backend.run(backend.directory.delete_provider_key("org_a", "pkey_a"))
    assert not backend.run(backend.directory.replace_provider_key(provider_key()))
    assert not backend.run(backend.directory.replace_provider_key(provider_key(), OTHER))
    assert not backend.run(backend.directory.reseal_provider_key(provider_key(), before=SEALED, after=OTHER))
    assert backend.run(backend.directory.provider_key_holders()) == {}
    assert everything(backend) == []


def test_every_change_raises_the_revision_and_nothing_else_does(backend: Backend) -> None:
    directory = backend.directory
    changes = [
        directory.add_provider_key(provider_key(), SEALED),
        directory.replace_provider_key(provider_key(name="b")),
        directory.replace_provider_key(provider_key(), OTHER),
        directory.reseal_provider_key(provider_key(), before=OTHER, after=SEALED),
        directory.delete_provider_key("org_a", "pkey_a"),
    ]
    for change in changes:
        before = backend.run(directory.last_changes()).revision
        backend.run(change)
        assert backend.run(directory.last_changes()).revision > before
    before = backend.run(directory.last_changes()).revision
    assert not backend.run(directory.delete_provider_key("org_a", "pkey_a"))
    assert backend.run(directory.provider_key_holders()) == {}
    assert backend.run(directory.last_changes()).revision == before


# ---------------------------------------------------------------- what was spent on them


def test_what_was_spent_on_own_keys_is_known_since_each_start(backend: Backend) -> None:
    start = NOON_US - NOON_US % HOUR_US
    for number, at in enumerate((0, start - 2, start - 1, start)):
        on_own = record(f"gen-{number}", opened={"created_at_us": at}, cost=Picodollars(10**number), is_byok=True)
        append(backend, on_own, record(f"gen-operator-{number}", opened={"created_at_us": at}))
    append(
        backend,
        record("gen-other", opened={"key_hash": "key-b"}, is_byok=True),
        record("gen-free", cost=None, is_byok=True),
    )

    def spent(*, day_us: int) -> Spending:
        return backend.run(backend.ledger.byok_spending("key-a", day_us=day_us, week_us=0, month_us=day_us))

    assert spent(day_us=start) == Spending(
        total=Picodollars(1111), daily=Picodollars(1000), weekly=Picodollars(1111), monthly=Picodollars(1000)
    )
    assert spent(day_us=start + HOUR_US).daily == 0
    adjust(backend, adjustment("adj-1", "gen-3", 10**13 + 5))
    assert spent(day_us=start).daily == 10**13 + 5


def test_nothing_was_spent_on_own_keys_where_there_are_none(backend: Backend) -> None:
    append(backend, record("gen-1"))
    nothing = Picodollars(0)
    spent = backend.run(backend.ledger.byok_spending("key-a", day_us=0, week_us=0, month_us=0))
    assert spent == Spending(total=nothing, daily=nothing, weekly=nothing, monthly=nothing)
