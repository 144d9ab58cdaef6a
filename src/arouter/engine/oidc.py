"""An issuer of OpenID Connect: found by discovery, asked for an identity by a code, its signature checked.

What the issuer publishes is kept for an hour; a key that is not among what is kept is looked for once more.
PyJWT is imported with the first token: a gateway whose members sign in otherwise does without it.
"""

import asyncio
import base64
import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from arouter.domain.errors import NotAuthenticated, UpstreamFailed
from arouter.domain.oidc import Begun
from arouter.engine.origin import Origin
from arouter.engine.timeouts import Timeouts
from arouter.engine.upstream import Client, request_head

SCOPE = "openid email profile"
TIMEOUTS = Timeouts(connect_s=10.0, first_byte_s=10.0, idle_s=10.0, total_s=15.0)
KEPT_US = 3_600_000_000
LEEWAY_S = 60
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signed with a key of the issuer's alone: never with a shared secret, never not at all."""

_MOST_BYTES = 256 * 1024
_JSON = (("Accept", "application/json"),)
_US = 1_000_000


class Discovery(msgspec.Struct, frozen=True):
    """What is read of an issuer's document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class _Keys(msgspec.Struct, frozen=True):
    keys: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the issuer says it is. The address is verified, in lower case."""

    email: str
    name: str


class Issuer:
    """One issuer, as the settings name it."""

    def __init__(self, *, issuer: str, client_id: str, client_secret: str, client: Client) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._client = client
        self._kept: tuple[int, Discovery, _Keys] | None = None

    async def authorization_url(self, begun: Begun, redirect_uri: str, now_us: int) -> str:
        """Where the browser is sent. UpstreamFailed if the issuer does not answer."""
        discovery, _ = await self._published(now_us)
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": redirect_uri,
                "scope": SCOPE,
                "state": begun.state,
                "nonce": begun.nonce,
                "code_challenge": begun.challenge,
                "code_challenge_method": "S256",
            }
        )
        separator = "&" if urlsplit(discovery.authorization_endpoint).query else "?"
        return f"{discovery.authorization_endpoint}{separator}{query}"

    async def identity(self, begun: Begun, code: str, redirect_uri: str, now_us: int) -> Identity:
        """Who came back with `code`. NotAuthenticated if that is not proven, UpstreamFailed without an answer."""
        discovery, keys = await self._published(now_us)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": begun.verifier,
        }
        headers = [("Content-Type", "application/x-www-form-urlencoded"), *_JSON]
        if not self._client_secret:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in discovery.token_endpoint_auth_methods_supported:
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
            headers.append(("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"))
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        status, body = await self._ask("POST", discovery.token_endpoint, headers, urlencode(form).encode())
        if status != 200:
            raise refused("it did not take the code")
        token = _read(body, _Tokens).id_token
        await asyncio.to_thread(_jwt)
        claims = self._claims(token, await self._key(token, keys, now_us), now_us)
        if not _same(claims.get("nonce"), begun.nonce):
            raise refused("the nonce is another one")
        email = claims.get("email")
        if claims.get("email_verified") is not True or not isinstance(email, str):
            raise refused("it has not verified the e-mail address")
        name = claims.get("name")
        return Identity(email=email.strip().lower(), name=name if isinstance(name, str) else email)

    def _claims(self, token: str, key: Any, now_us: int) -> dict[str, Any]:
        """Checked, with the times by our clock."""
        try:
            claims: dict[str, Any] = _jwt().decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._client_id,
                issuer=self._issuer,
                options={
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "require": ["exp", "iat", "sub"],
                },
            )
        except _jwt().PyJWTError as exc:
            raise refused("its token is not right") from exc
        now_s = now_us // _US
        times = [claims["exp"], claims["iat"], claims.get("nbf", now_s)]
        if not all(isinstance(at_s, int | float) for at_s in times):
            raise refused("its token is not right")
        if claims["exp"] <= now_s - LEEWAY_S or max(times[1:]) > now_s + LEEWAY_S:
            raise refused("its token is not of this time")
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self._client_id:
            raise refused("its token is for somebody else")
        return claims

    async def _key(self, token: str, keys: _Keys, now_us: int) -> Any:
        """The key that a token says it is signed with."""
        try:
            wanted = _jwt().get_unverified_header(token).get("kid")
        except _jwt().PyJWTError as exc:
            raise refused("its token is not right") from exc
        found = _find(keys, wanted)
        if found is None:
            self._kept = None
            _, keys = await self._published(now_us)
            found = _find(keys, wanted)
        if found is None:
            raise refused("it has no such key")
        try:
            return _jwt().PyJWK(found)
        except _jwt().PyJWTError as exc:
            raise refused("its key cannot be read") from exc

    async def _published(self, now_us: int) -> tuple[Discovery, _Keys]:
        if self._kept is None or self._kept[0] <= now_us:
            discovery = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration", Discovery)
            if discovery.issuer != self._issuer:
                raise UpstreamFailed("The issuer calls itself otherwise than the settings do.", retryable=False)
            self._kept = now_us + KEPT_US, discovery, await self._get(discovery.jwks_uri, _Keys)
        return self._kept[1], self._kept[2]

    async def _get(self, url: str, form: type[Any]) -> Any:
        status, body = await self._ask("GET", url, _JSON, b"")
        if status != 200:
            raise UpstreamFailed("The issuer does not publish what it must.", detail=f"{status} at {url}")
        return _read(body, form)

    async def _ask(
        self, method: str, url: str, headers: tuple[tuple[str, str], ...] | list[tuple[str, str]], body: bytes
    ) -> tuple[int, bytes]:
        parts = urlsplit(url)
        try:
            origin = Origin.from_url(f"{parts.scheme}://{parts.netloc}")
        except ValueError as exc:
            raise UpstreamFailed("The issuer publishes an address that is none.", retryable=False) from exc
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = request_head(origin, method, target, headers)
        answer = await self._client.send(origin, head, body, timeouts=TIMEOUTS)
        try:
            return answer.status, await answer.read(_MOST_BYTES)
        finally:
            answer.close()


@cache
def _jwt() -> Any:
    return importlib.import_module("jwt")


def refused(why: str) -> NotAuthenticated:
    """What the browser's user is told."""
    return NotAuthenticated(f"The issuer's answer does not let you in: {why}. Begin again.", code="invalid_sign_in")


def _find(keys: _Keys, wanted: str | None) -> dict[str, Any] | None:
    """By its id; without one, the only one."""
    signing = [key for key in keys.keys if key.get("use", "sig") == "sig"]
    if wanted is None:
        return signing[0] if len(signing) == 1 else None
    return next((key for key in signing if key.get("kid") == wanted), None)


def _read(body: bytes, form: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UpstreamFailed("The issuer's answer cannot be read.", retryable=False) from exc


def _same(told: object, wanted: str) -> bool:
    return isinstance(told, str) and told == wanted
