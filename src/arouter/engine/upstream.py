"""The HTTP client of the data path, and its only outbound network: HTTP/1.1 to providers, over TLS and proxies.

A request is never sent twice. The rule:

1. A pooled connection is used only if nothing was heard on it since its last answer; the kernel is asked, right
   before the first byte is written. One that was closed meanwhile is dropped, and another one is taken or made:
   nothing was sent on it, so this is not a repetition.
2. From the first written byte on nothing is repeated here, even if the peer hangs up without a byte in return: it
   may have read the request and be at work on it, and a repetition would be paid for twice. The failure says
   `retryable`, and whoever knows what the request costs decides.

Redirects are returned as they are. Answers are not decompressed: a request that does not ask for a content coding
does not get one.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from arouter.domain.errors import UpstreamFailed, UpstreamTimeout
from arouter.engine.answer import Answer
from arouter.engine.connection import Connection
from arouter.engine.head import request_head
from arouter.engine.origin import Origin
from arouter.engine.pool import Pool, PoolCounts, PoolLimits
from arouter.engine.proxy import Proxies, Proxy, open_tunnel
from arouter.engine.timeouts import Timeouts

__all__ = ["Answer", "Client", "Origin", "PoolCounts", "PoolLimits", "Timeouts", "Upstream", "request_head"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """How an endpoint is reached."""

    pool: Pool
    proxy: Proxy | None
    tls: bool


class Client(Protocol):
    """Whoever can ask a provider."""

    async def send(self, origin: Origin, head: bytes, body: bytes, *, timeouts: Timeouts | None = None) -> Answer:
        """As `Upstream.send`."""


class Upstream:
    """The client. Belongs to the event loop on which it sends first."""

    def __init__(
        self,
        *,
        limits: PoolLimits | None = None,
        timeouts: Timeouts | None = None,
        proxies: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`proxies` is what `arouter.engine.proxy.Proxies` takes.

        Without `ssl_context` the system's authorities are trusted, and names are verified.
        """
        self._limits = PoolLimits() if limits is None else limits
        self.timeouts = Timeouts() if timeouts is None else timeouts
        """Of requests that are sent without any of their own."""
        self._proxies = Proxies({} if proxies is None else proxies)
        self._ssl_context = ssl_context
        self._routes: dict[str, _Route] = {}
        self._closed = False

    async def send(self, origin: Origin, head: bytes, body: bytes, *, timeouts: Timeouts | None = None) -> Answer:
        """Sends a request; the answer, as soon as its header fields are in. Whoever gets it closes it.

        `head` is what `request_head` made, perhaps with more header lines behind it. UpstreamFailed, UpstreamTimeout
        and UpstreamBusy say what went wrong in words that are safe for a client. A cancelled `send` leaves nothing
        open.
        """
        if timeouts is None:
            timeouts = self.timeouts
        route = self._routes.get(origin.endpoint) or self._new_route(origin)
        connection = route.pool.take_idle()
        if connection is None:
            connection = await self._connected(route, origin, timeouts.connect_s)
        if route.proxy is not None and not route.tls:
            head = route.proxy.absolute(origin, head)
        return await connection.start(head, body, timeouts).begun()

    def pool_of(self, origin: Origin) -> Pool | None:
        """Whose connections take requests as `send` writes them; None before the first request, and with a proxy. It
        stays the same as long as this does. Whoever takes a connection starts on it, gives it back, or aborts it."""
        route = self._routes.get(origin.endpoint)
        return None if route is None or route.proxy is not None else route.pool

    async def aclose(self) -> None:
        """Hangs up every connection; requests that are under way fail, and so do later ones."""
        self._closed = True
        for route in self._routes.values():
            route.pool.close()
        for _ in range(3):  # the loop closes the sockets in its next turns
            await asyncio.sleep(0)

    def counts(self) -> dict[str, PoolCounts]:
        """Connections by endpoint (`https://api.example.com:443`), for metrics."""
        return {endpoint: route.pool.counts() for endpoint, route in self._routes.items()}

    # ---------------------------------------------------------------- connecting

    def _new_route(self, origin: Origin) -> _Route:
        pool = Pool(origin.host, self._limits, asyncio.get_running_loop())
        pool.closed = self._closed
        route = _Route(pool=pool, proxy=self._proxies.proxy_for(origin), tls=origin.scheme == "https")
        self._routes[origin.endpoint] = route
        return route

    async def _connected(self, route: _Route, origin: Origin, connect_s: float) -> Connection:
        connection = await route.pool.acquire()
        if connection.connected:
            return connection
        with ExitStack() as stack:
            stack.callback(connection.abort)
            try:
                async with asyncio.timeout(connect_s):
                    await self._connect(route, origin, connection)
            except TimeoutError as exc:
                raise UpstreamTimeout(f"{origin.host}: no connection within {connect_s:g} s") from exc
            except OSError as exc:
                raise UpstreamFailed(f"{origin.host}: {_reason(exc)}", detail=str(exc)) from exc
            if connection.closing():
                raise UpstreamFailed(f"{origin.host}: closed the connection before the request was sent")
            stack.pop_all()
        return connection

    async def _connect(self, route: _Route, origin: Origin, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        tls = self._tls() if route.tls else None
        if route.proxy is None:
            await loop.create_connection(lambda: connection, origin.host, origin.port, ssl=tls)
        elif tls is None:
            await loop.create_connection(lambda: connection, route.proxy.host, route.proxy.port)
        else:
            tunnel = await open_tunnel(loop, route.proxy, origin)
            transport = await loop.start_tls(tunnel, connection, tls, server_hostname=origin.host)
            if transport is None:
                raise ConnectionResetError("the connection closed during the TLS handshake")
            connection.connection_made(transport)

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context


def _reason(exc: OSError) -> str:
    """Why there is no connection, in words that are safe for a client."""
    match exc:
        case ssl.SSLCertVerificationError():
            return f"its TLS certificate is not trusted ({exc.verify_message})"
        case ssl.SSLError():
            return "the TLS handshake failed"
        case socket.gaierror():
            return "the name is not known"
        case ConnectionRefusedError():
            return "the connection was refused"
        case ConnectionError():
            return "the connection was closed while it was made"
        case _:
            return "no connection could be made"
