"""What is sealed can be read by its key alone, as what it is the secret of, and only unchanged."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.provider_keys import Sealed, Unreadable, binding
from arouter.engine.vault import NONCE_BYTES, Vault, name_of
from tests.domain.test_provider_keys import key

OLD, NEW, FOREIGN = (hashlib.sha256(name).digest() for name in (b"old", b"new", b"foreign"))
SECRET = "sk-proj-sesame-open-1234567890"

keks = st.binary(min_size=32, max_size=32)
secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=300)


def drawn(seed: bytes = b"") -> Callable[[int], bytes]:
    """Other bytes each time, and the same in every run."""
    numbers = count()
    return lambda size: hashlib.sha256(seed + next(numbers).to_bytes(8)).digest()[:size]


def vault(*keys: bytes) -> Vault:
    return Vault(keys, drawn())


SEALED = vault(NEW).seal(SECRET, key())


def changed(part: str, data: bytes) -> Sealed:
    return replace(SEALED, nonce=data) if part == "nonce" else replace(SEALED, ciphertext=data)


@given(keks, secrets)
def test_what_is_sealed_is_read_back(kek: bytes, secret: str) -> None:
    sealed = vault(kek).seal(secret, key())
    assert vault(kek).unseal(sealed, key()) == secret
    assert sealed.key_id == name_of(kek)


@given(st.integers(min_value=0), st.integers(1, 255), st.sampled_from(["nonce", "ciphertext"]))
def test_a_change_of_any_byte_is_found_out(place: int, change: int, part: str) -> None:
    data = bytearray(getattr(SEALED, part))
    data[place % len(data)] ^= change
    with pytest.raises(Unreadable, match="changed"):
        vault(NEW).unseal(changed(part, bytes(data)), key())


def test_each_bit_of_what_is_stored_counts() -> None:
    for part in ("nonce", "ciphertext"):
        data = getattr(SEALED, part)
        for bit in range(len(data) * 8):
            flipped = (int.from_bytes(data) ^ (1 << bit)).to_bytes(len(data))
            with pytest.raises(Unreadable):
                vault(NEW).unseal(changed(part, flipped), key())


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_bytes_that_nobody_sealed_are_unreadable_and_nothing_worse(ciphertext: bytes, nonce: bytes) -> None:
    with pytest.raises(Unreadable):
        vault(NEW).unseal(Sealed(key_id=name_of(NEW), nonce=nonce, ciphertext=ciphertext), key())


def test_what_is_no_text_is_unreadable_too() -> None:
    nonce = bytes(NONCE_BYTES)
    sealed = AESGCM(NEW).encrypt(nonce, b"\xff\xfe", binding(key()))
    with pytest.raises(Unreadable):
        vault(NEW).unseal(Sealed(key_id=name_of(NEW), nonce=nonce, ciphertext=sealed), key())


@pytest.mark.parametrize("moved", [{"organization_id": "org_2"}, {"provider": "groq"}, {"key_id": "pkey_2"}])
def test_a_secret_that_is_moved_to_another_row_is_unreadable(moved: dict[str, str]) -> None:
    with pytest.raises(Unreadable, match="another key's secret"):
        vault(NEW).unseal(SEALED, key(**moved))


def test_what_may_change_of_a_key_does_not_make_its_secret_unreadable() -> None:
    assert vault(NEW).unseal(SEALED, key(name="x", label="y", disabled=True, updated_at_us=9)) == SECRET


def test_a_foreign_key_encryption_key_reads_nothing_and_is_named() -> None:
    with pytest.raises(Unreadable, match=name_of(NEW)):
        vault(FOREIGN).unseal(SEALED, key())
    with pytest.raises(Unreadable, match="changed"):
        vault(FOREIGN).unseal(replace(SEALED, key_id=name_of(FOREIGN)), key())


def test_the_first_key_seals_and_all_of_them_read() -> None:
    old = vault(OLD).seal(SECRET, key())
    both = vault(NEW, OLD)
    assert both.key_ids == {name_of(NEW), name_of(OLD)}
    assert both.unseal(old, key()) == both.unseal(SEALED, key()) == SECRET
    assert both.seal(SECRET, key()).key_id == name_of(NEW)


def test_a_rotation_seals_what_an_older_key_sealed_and_leaves_the_rest() -> None:
    both = vault(NEW, OLD)
    resealed = both.resealed(vault(OLD).seal(SECRET, key()), key())
    assert resealed is not None
    assert vault(NEW).unseal(resealed, key()) == SECRET
    assert both.resealed(resealed, key()) is None
    with pytest.raises(Unreadable):
        both.resealed(vault(FOREIGN).seal(SECRET, key()), key())


def test_the_same_secret_never_looks_the_same() -> None:
    one = vault(NEW)
    sealed = [one.seal(SECRET, key()) for _ in range(100)]
    assert len({each.nonce for each in sealed}) == len({each.ciphertext for each in sealed}) == 100
    assert all(len(each.nonce) == NONCE_BYTES for each in sealed)
    assert not any(SECRET.encode() in each.ciphertext for each in sealed)


@given(keks, keks)
def test_the_name_of_a_key_tells_keys_apart_and_nothing_about_them(one: bytes, other: bytes) -> None:
    assert (name_of(one) == name_of(other)) == (one == other)
    assert len(name_of(one)) == 16
    assert bytes.fromhex(name_of(one)) not in one
