"""The key-encryption keys that the settings name, as a vault."""

import base64
import binascii
import importlib
import secrets
from typing import Final, cast

from arouter.engine.own_keys import SETTING, Vault, no_vault
from arouter.settings import Settings, SettingsError

KEY_BYTES: Final = 32
_HEXADECIMAL_DIGITS: Final = 64
_HOW: Final = "`head -c 32 /dev/urandom | base64` makes one"


def open_vault(settings: Settings) -> Vault | None:
    """None if no key-encryption key is set. SettingsError, which never shows a key, if one cannot be."""
    text = settings.security.key_encryption_key
    if not text.strip():
        return None
    keys = [_read_key(part.strip()) for part in text.split(",")]
    # Imported where one is configured: `cryptography` takes a while.
    module = importlib.import_module("arouter.engine.vault")
    return cast(Vault, module.Vault(keys, secrets.token_bytes))


def required_vault(settings: Settings) -> Vault:
    """As `open_vault`. SettingsError if no key-encryption key is set."""
    vault = open_vault(settings)
    if vault is None:
        raise SettingsError(no_vault().message)
    return vault


def _read_key(text: str) -> bytes:
    try:
        if len(text) == _HEXADECIMAL_DIGITS:
            key = bytes.fromhex(text)
        else:
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"{SETTING} must be {KEY_BYTES} bytes in base64 or hexadecimal, or several, with commas; {_HOW}"
        )
    return key
