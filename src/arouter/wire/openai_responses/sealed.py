"""Other providers' proofs of thought, in the one field of this dialect that clients keep and send back unread.

OpenAI's own ciphertext is the `encrypted_content` of a reasoning item, and its id the item's. What Anthropic and Google
sign, and thoughts that nobody signed, have other fields, so they travel in a ciphertext of ours: a prefix that no
provider uses, and JSON in base64. Nothing in it is secret; it is the client's own conversation.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

import msgspec

_PREFIX = "arouter.1."


class Sealed(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a reasoning item cannot say in its own fields."""

    format: str | None = None
    id: str | None = None
    signature: str | None = None
    data: str | None = None
    call_id: str | None = None
    """The signature is no thought's, but that of the call with this id."""


_DECODER = msgspec.json.Decoder(Sealed)


def is_sealed(encrypted_content: str) -> bool:
    """Whether it is ours. OpenAI would refuse it."""
    return encrypted_content.startswith(_PREFIX)


def seal(sealed: Sealed) -> str:
    return _PREFIX + urlsafe_b64encode(msgspec.json.encode(sealed)).decode()


def unseal(encrypted_content: str) -> Sealed | None:
    """What `seal` was given; None if the text is not as it left us."""
    try:
        return _DECODER.decode(urlsafe_b64decode(encrypted_content.removeprefix(_PREFIX)))
    except (Base64Error, ValueError, RecursionError):
        return None
