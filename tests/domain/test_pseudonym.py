"""Pseudonyms are plain HMAC-SHA-256, whatever they are computed from."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.pseudonym import Pseudonyms


@given(st.binary(max_size=64), st.text(), st.text())
def test_a_pseudonym_is_the_library_s_hmac(secret: bytes, organization: str, user: str) -> None:
    expected = hmac.digest(secret, f"{organization}\0{user}".encode(), hashlib.sha256).hex()
    assert Pseudonyms(secret).of(organization, user) == expected


def test_it_depends_on_the_user_the_organization_and_the_secret() -> None:
    ours = Pseudonyms(b"s" * 32)
    told = {ours.of("org_1", "a"), ours.of("org_1", "b"), ours.of("org_2", "a"), Pseudonyms(b"t" * 32).of("org_1", "a")}
    assert len(told) == 4
    assert ours.of("org_1", "a") == ours.of("org_1", "a")


def test_a_secret_over_one_block_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        Pseudonyms(bytes(65))
