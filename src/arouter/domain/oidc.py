"""Signing in at an issuer of OpenID Connect: what goes through the browser, and what may not.

Nothing is kept between the beginning and the end. `state` goes through the browser, signed; the nonce and the verifier
of PKCE are derived from it with the server's secret. `binding` is kept by whoever began and never goes through the
issuer: a code that somebody else obtained cannot be ended with.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass

STATE_BYTES = 24
STATE_LIFE_US = 10 * 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A way to an issuer that somebody has set out on."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """What the issuer is told of the verifier (S256)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a state is signed for: it is worth nothing elsewhere."""

    issuer: str
    """The name that the settings give it."""
    redirect_uri: str
    binding: str


def begin(secret: bytes, place: Place, *, now_us: int, entropy: bytes) -> Begun:
    """From `STATE_BYTES` random bytes."""
    head = f"{now_us + STATE_LIFE_US}.{entropy.hex()}"
    return _begun(secret, f"{head}.{_signature(secret, place, head)}")


def ended(secret: bytes, place: Place, state: str, *, now_us: int) -> Begun:
    """What was begun with `state`. ValueError if it was not, not there, or too long ago."""
    head, _, signature = state.rpartition(".")
    right = _signature(secret, place, head)
    if not hmac.compare_digest(signature.encode("utf-8", "surrogatepass"), right.encode()):
        raise ValueError("was not made here, or for something else")
    if int(head.partition(".")[0]) <= now_us:
        raise ValueError("is older than ten minutes")
    return _begun(secret, state)


def _begun(secret: bytes, state: str) -> Begun:
    return Begun(state=state, nonce=_derived(secret, "nonce", state), verifier=_derived(secret, "verifier", state))


def _signature(secret: bytes, place: Place, head: str) -> str:
    binding = hashlib.sha256(place.binding.encode("utf-8", "surrogatepass")).hexdigest()
    return _derived(secret, "state", place.issuer, place.redirect_uri, binding, head)


def _derived(secret: bytes, *parts: str) -> str:
    key = hmac.digest(secret, b"oidc", "sha256")
    told = b"\0".join(hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest() for part in parts)
    return _text(hmac.digest(key, told, "sha256"))


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
