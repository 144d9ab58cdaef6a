"""The setting of the key-encryption keys: what it may look like, and that it is never shown."""

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.engine.vault import name_of
from arouter.settings import Secret, Security, Settings, SettingsError
from arouter.wiring.vault import open_vault, required_vault

KEK, OTHER = hashlib.sha256(b"1").digest(), hashlib.sha256(b"2").digest()


def settings(text: str) -> Settings:
    return replace(Settings(), security=Security(key_encryption_key=Secret(text)))


def ids(text: str) -> frozenset[str]:
    vault = open_vault(settings(text))
    assert vault is not None
    return vault.key_ids


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_32_bytes_in_base64_or_hexadecimal(kek: bytes) -> None:
    written = base64.b64encode(kek).decode()
    url_safe = base64.urlsafe_b64encode(kek).decode()
    for text in (written, written.rstrip("="), url_safe, kek.hex(), kek.hex().upper(), f" {written}\n"):
        assert ids(text) == {name_of(kek)}


def test_several_are_written_with_commas() -> None:
    assert ids(f"{KEK.hex()}, {base64.b64encode(OTHER).decode()}") == {name_of(KEK), name_of(OTHER)}


@pytest.mark.parametrize(
    "text",
    [
        "sesame",
        "sesame" * 11,
        KEK.hex()[:-1],
        "g" * 64,
        base64.b64encode(KEK + b"1").decode(),
        base64.b64encode(KEK[1:]).decode(),
        "sesame-é" * 8,
        f"{KEK.hex()},",
        f"{KEK.hex()} {OTHER.hex()}",
    ],
)
def test_what_cannot_be_one_stops_the_start_and_is_not_shown(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^security\.key_encryption_key must be 32 bytes") as refused:
        open_vault(settings(text))
    assert not any(part.strip() in str(refused.value) for part in text.split(",") if part)


def test_without_the_setting_there_is_none_and_whoever_needs_it_is_told_what_to_set() -> None:
    assert open_vault(settings("")) is None
    with pytest.raises(SettingsError, match=r"security\.key_encryption_key is not set"):
        required_vault(settings(" "))
