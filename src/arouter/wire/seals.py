"""Other providers' proofs of thought, in the one field of a dialect that clients keep and send back unread.

Each dialect has a field for its own provider's signature or ciphertext. What another provider signs or encrypts, a
thought that nobody signed, and the proof of a tool call have other fields, so they travel there in a seal: text that
begins as no provider's does, and JSON in Base64. A seal hides nothing; it is an encoding of the client's own
conversation. Providers refuse a proof that they did not make: seals are taken out of what is relayed to them.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

import msgspec

PREFIX = "arouter.sealed."
"""No provider's proof begins like this: theirs are Base64, which has no full stop."""


class Seal(msgspec.Struct, omit_defaults=True, frozen=True, kw_only=True):
    """What a dialect's own fields cannot say of a thought, beside its text. None is what nobody said."""

    format: str | None = None
    id: str | None = None
    signature: str | None = None
    data: str | None = None
    call_id: str | None = None
    """The tool call that `signature` proves; the other fields are None then."""


_SEAL = msgspec.json.Decoder(Seal)


def is_sealed(proof: object) -> bool:
    """Whether a signature or a ciphertext looks like one that was written here."""
    return isinstance(proof, str) and proof.startswith(PREFIX)


def seal(told: Seal) -> str:
    """`told` as text of Base64's URL alphabet behind the prefix."""
    return PREFIX + urlsafe_b64encode(msgspec.json.encode(told)).decode().rstrip("=")


def unsealed(proof: str | None) -> Seal | None:
    """What a seal says; None for everything that is none."""
    if proof is None or not is_sealed(proof):
        return None
    encoded = proof[len(PREFIX) :]
    try:
        return _SEAL.decode(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (Base64Error, ValueError, RecursionError):
        return None
