"""Signing in at an issuer as JSON."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType


class BeginOidc(msgspec.Struct, frozen=True, kw_only=True):
    """`redirect_uri` is where the issuer sends the browser back to; the issuer must know it."""

    redirect_uri: str


class OidcBegun(msgspec.Struct, frozen=True, kw_only=True):
    """Send the browser to `url`. Keep `binding` where it is: it must not go through the browser's address."""

    url: str
    state: str
    binding: str


class OidcBegunAnswer(msgspec.Struct, frozen=True):
    data: OidcBegun


class CompleteOidc(msgspec.Struct, frozen=True, kw_only=True):
    """`code` and `state` as they came back, and what was begun with. `invitation` is a token, for who is no member."""

    code: str
    state: str
    binding: str
    redirect_uri: str
    organization_id: str | UnsetType = UNSET
    invitation: str | UnsetType = UNSET


class OidcIssuer(msgspec.Struct, frozen=True):
    name: str


class OidcIssuers(msgspec.Struct, frozen=True):
    data: list[OidcIssuer]


def encode_begun(url: str, state: str, binding: str) -> bytes:
    return msgspec.json.encode(OidcBegunAnswer(OidcBegun(url=url, state=state, binding=binding)))


def encode_issuers(names: Iterable[str]) -> bytes:
    return msgspec.json.encode(OidcIssuers([OidcIssuer(name) for name in names]))
