"""A Google service account made for a test."""

from functools import cache

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

EMAIL = "gateway@my-project.iam.gserviceaccount.com"


@cache
def private_key() -> RSAPrivateKey:
    """Made once: it takes a while."""
    return generate_private_key(65537, 2048)


def _pem(key: object) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[attr-defined, no-any-return]


def curve_key() -> str:
    """A key that is not RSA, as text."""
    return _pem(generate_curve_key(SECP256R1()))


def key_file(**changes: object) -> str:
    """What Google's console lets one download."""
    return msgspec.json.encode(
        {
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": "key-1",
            "private_key": _pem(private_key()),
            "client_email": EMAIL,
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
            **changes,
        }
    ).decode()
