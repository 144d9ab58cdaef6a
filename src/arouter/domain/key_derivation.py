"""One secret for each purpose, derived from the server's own: HKDF with SHA-256 (RFC 5869)."""

import hmac

_HASH_BYTES = 32


def derived_key(secret: bytes, *, salt: bytes, purpose: bytes, size: int = _HASH_BYTES) -> bytes:
    """`size` bytes, up to 8,160. Keys of different salts or purposes tell nothing of each other or of the secret."""
    if size > 255 * _HASH_BYTES:
        raise ValueError("HKDF gives no more than 255 hashes")
    extracted = hmac.digest(salt, secret, "sha256")
    made, block = b"", b""
    for number in range(1, -(-size // _HASH_BYTES) + 1):
        block = hmac.digest(extracted, block + purpose + bytes([number]), "sha256")
        made += block
    return made[:size]
