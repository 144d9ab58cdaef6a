"""Secrets sealed with key-encryption keys: AES-256-GCM (NIST SP 800-38D), a random nonce each.

What is sealed is bound to what it is the secret of: moved to another row, or changed in any bit, it cannot be read.

To import this module is to import `cryptography`, which takes 50 ms: it is imported where a key is configured.
"""

import hashlib
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from arouter.domain.provider_keys import ProviderKey, Sealed, Unreadable, binding

NONCE_BYTES = 12


class Vault:
    """Seals with the first of its key-encryption keys, and reads with all of them."""

    def __init__(self, keys: Sequence[bytes], entropy: Callable[[int], bytes]) -> None:
        """`keys` are 32 bytes each, at least one; `entropy` gives so many random bytes, fit for a secret."""
        self._ciphers = {name_of(key): AESGCM(key) for key in keys}
        self._first = name_of(keys[0])
        self._entropy = entropy

    @property
    def key_ids(self) -> frozenset[str]:
        """Of the key-encryption keys."""
        return frozenset(self._ciphers)

    @property
    def first_key_id(self) -> str:
        """Of the one that it seals with."""
        return self._first

    def seal(self, secret: str, key: ProviderKey) -> Sealed:
        """The secret of `key`, for its organization, provider and id alone."""
        return self.seal_bound(secret, binding(key))

    def seal_bound(self, secret: str, bound_to: bytes) -> Sealed:
        """A secret that is read together with `bound_to` alone."""
        nonce = self._entropy(NONCE_BYTES)
        ciphertext = self._ciphers[self._first].encrypt(nonce, secret.encode(), bound_to)
        return Sealed(key_id=self._first, nonce=nonce, ciphertext=ciphertext)

    def unseal(self, sealed: Sealed, key: ProviderKey) -> str:
        """The secret of `key`. Unreadable if it is not that, or sealed with another key-encryption key."""
        return self.unseal_bound(sealed, binding(key))

    def unseal_bound(self, sealed: Sealed, bound_to: bytes) -> str:
        """The secret that was sealed with `bound_to`. Unreadable as `unseal`."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise Unreadable(f"it is sealed with the key-encryption key {sealed.key_id}, which is not configured")
        try:
            return cipher.decrypt(sealed.nonce, sealed.ciphertext, bound_to).decode()
        except (InvalidTag, ValueError) as exc:
            raise Unreadable("it was changed after it was sealed, or is another key's secret") from exc

    def resealed(self, sealed: Sealed, key: ProviderKey) -> Sealed | None:
        """The secret sealed with the first key-encryption key; None if it is. Unreadable as `unseal`."""
        return None if sealed.key_id == self._first else self.seal(self.unseal(sealed, key), key)


def name_of(key: bytes) -> str:
    """The id of a key-encryption key: 16 hexadecimal digits that say nothing about it."""
    return hashlib.sha256(b"arouter key-encryption key\0" + key).hexdigest()[:16]
