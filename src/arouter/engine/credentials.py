"""Credentials that change from request to request, or in the course of a day.

Most providers take a key that never changes: it is one of a deployment's headers, and nothing here is asked. What is
here adds header fields to a head that is written already.
"""

from typing import Protocol

from arouter.domain.value import value
from arouter.engine.head import header_lines
from arouter.engine.origin import Origin
from arouter.engine.upstream import Client
from arouter.providers.base import Prepared
from arouter.providers.bedrock.signature import AwsKey, signature_headers

Headers = tuple[tuple[str, str], ...]


@value(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """A request as it will be sent."""

    method: str
    path: str
    """On the wire, the origin's own path before it."""
    query: str
    host: str
    """The value of `Host`."""
    body: bytes


class Credentials(Protocol):
    """Who pays, said anew for each request."""

    async def headers(self, request: Unsigned, client: Client, now_us: int) -> Headers:
        """The header fields to add to a request that is sent at `now_us`, in microseconds since the epoch.

        `client` is the one that will send it, for credentials that have to be fetched. UpstreamFailed if there are
        none.
        """


async def credential_lines(
    credentials: Credentials, origin: Origin, prepared: Prepared, client: Client, now_us: int
) -> bytes:
    """The lines to put behind the head of a request. UpstreamFailed if there are no credentials."""
    request = Unsigned(
        method="POST" if prepared.manner is None else prepared.manner.method,
        path=origin.path + prepared.path,
        query=prepared.query,
        host=origin.authority,
        body=prepared.body,
    )
    return header_lines(await credentials.headers(request, client, now_us))


class AwsSignature:
    """Signs each request with the secret of an AWS key."""

    __slots__ = ("_key",)

    def __init__(self, key: AwsKey) -> None:
        self._key = key

    async def headers(self, request: Unsigned, client: Client, now_us: int) -> Headers:
        return signature_headers(
            self._key,
            method=request.method,
            path=request.path,
            query=request.query,
            headers=(("Host", request.host),),
            body=request.body,
            now_us=now_us,
        )
