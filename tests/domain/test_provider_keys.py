"""What a secret is bound to, what it may be, what is shown of it, and which key counts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.provider_keys import ProviderKey, binding, in_force, is_sendable, masked_secret


def key(key_id: str = "pkey_1", **changes: Any) -> ProviderKey:
    plain = ProviderKey(
        id=key_id,
        organization_id="org_1",
        api_key_hash=None,
        provider="openai",
        name="prod",
        label="sk-…abcd",
        creator=None,
        created_at_us=1,
    )
    return replace(plain, **changes)


@st.composite
def two_places(draw: st.DrawFn) -> list[tuple[str, ...]]:
    """One text cut into three parts, twice: what only joins the parts cannot tell them apart."""
    text = draw(st.text(st.sampled_from("a\0\x01/é"), max_size=6))
    found: list[tuple[str, ...]] = []
    for _ in range(2):
        first, second = sorted(draw(st.tuples(*[st.integers(0, len(text))] * 2)))
        found.append((text[:first], text[first:second], text[second:]))
    return found


def bound(place: tuple[str, ...]) -> bytes:
    organization_id, provider, key_id = place
    return binding(key(key_id, organization_id=organization_id, provider=provider))


@given(two_places())
def test_two_keys_have_the_same_binding_only_if_they_are_the_same(places: list[tuple[str, ...]]) -> None:
    one, other = places
    assert (bound(one) == bound(other)) == (one == other)


def test_what_may_change_of_a_key_is_not_in_its_binding() -> None:
    changed = key(name="x", label="y", disabled=True, byok_fallback=True, updated_at_us=2)
    assert binding(changed) == binding(key())


@pytest.mark.parametrize("secret", ["sk-proj-1234", "x" * 8, "x" * 4096, "~!{}:="])
def test_visible_ascii_is_sendable(secret: str) -> None:
    assert is_sendable(secret) == (len(secret) >= 8)


@pytest.mark.parametrize(
    "secret", ["", "short", "x" * 4097, "sk-a b-12345", "sk-12345678\n", "sk-1234567é", "sk-\r\nX: 1234"]
)
def test_what_does_not_fit_into_a_header_field_is_not(secret: str) -> None:
    assert not is_sendable(secret)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=200))
def test_a_label_tells_little_of_the_secret(secret: str) -> None:
    shown = masked_secret(secret).replace("…", "")
    assert len(shown) <= 7
    assert len(shown) * 2 < len(secret)
    assert masked_secret("sk-proj-1234567890abcdef") == "sk-…cdef"


def chosen(*keys: ProviderKey, api_key_hash: str = "mine") -> dict[str, str]:
    return {provider: one.id for provider, one in in_force(keys, api_key_hash).items()}


def test_the_newest_key_of_a_provider_counts() -> None:
    old, new = key("pkey_old", created_at_us=1), key("pkey_new", created_at_us=2)
    other = key("pkey_groq", provider="groq")
    assert chosen(new, old, other) == {"openai": "pkey_new", "groq": "pkey_groq"}
    assert chosen(replace(new, disabled=True), old) == {"openai": "pkey_old"}
    assert chosen(replace(new, disabled=True)) == {}


def test_a_key_that_is_bound_comes_first_and_serves_nobody_else() -> None:
    everybodys = key("pkey_all", created_at_us=2)
    bound = key("pkey_bound", created_at_us=1, api_key_hash="mine")
    assert chosen(bound, everybodys) == {"openai": "pkey_bound"}
    assert chosen(bound, everybodys, api_key_hash="another") == {"openai": "pkey_all"}
    assert chosen(bound, api_key_hash="another") == {}


def test_of_keys_of_one_instant_one_counts_whatever_their_order() -> None:
    one, two = key("pkey_1"), key("pkey_2")
    assert chosen(one, two) == chosen(two, one) == {"openai": "pkey_2"}
