"""Codes of an authenticator app (RFC 6238): six digits that hold for thirty seconds."""

import base64
import hmac

import pyotp

from arouter.domain.sign_in import TOTP_STEP_US

SECRET_BYTES = 20
_ISSUER = "ARouter"
_STEPS_AROUND = 1
"""Clocks differ: the step before and the one after count too."""


def new_secret(entropy: bytes) -> str:
    """A secret from `SECRET_BYTES` random bytes, in base32."""
    return base64.b32encode(entropy).decode()


def enrolment_uri(secret: str, email: str) -> str:
    """What an app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


def matching_step(secret: str, code: str, now_us: int, *, after: int) -> int | None:
    """The time step whose code this is, if it is near `now_us` and later than `after`; None for none."""
    app = pyotp.TOTP(secret)
    here = now_us // TOTP_STEP_US
    found = None
    for step in range(here - _STEPS_AROUND, here + _STEPS_AROUND + 1):
        right = hmac.compare_digest(app.generate_otp(step).encode(), code.encode("utf-8", "surrogatepass"))
        if right and step > after:
            found = step
    return found
