"""HTTP proxies between us and an upstream: which one to take, and a tunnel through it.

A plain `http` upstream is asked for through the proxy with the whole URL in the request line; for `https` the proxy
opens a tunnel (CONNECT), through which TLS reaches to the upstream itself, so that the proxy sees neither keys nor
prompts.
"""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from arouter.domain.errors import UpstreamFailed
from arouter.engine.origin import HOST, Origin

REPLY_LIMIT_BYTES = 16 * 1024
DEFAULT_PROXY_PORT = 3128

_OK = b"200"
_AUTHENTICATION_NEEDED = b"407"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy that is itself reached without TLS."""

    host: str
    port: int
    authorization: bytes = field(default=b"", repr=False)
    """A whole header line with its line end, or nothing."""

    @classmethod
    def from_url(cls, url: str) -> "Proxy":
        """`http://[user:password@]host[:port]`. ValueError, safe to show, otherwise."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as exc:
            raise ValueError("a proxy URL needs a valid host and port") from exc
        if parts.scheme != "http" or not HOST.fullmatch(host):
            raise ValueError("a proxy URL looks like http://host:port; https and socks proxies are not supported")
        authorization = b""
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = b"Proxy-Authorization: Basic %s\r\n" % b64encode(credentials.encode())
        return cls(host=host, port=DEFAULT_PROXY_PORT if port is None else port, authorization=authorization)

    def absolute(self, origin: Origin, head: bytes) -> bytes:
        """A request head with the whole URL in its request line, and the proxy's credentials."""
        method, _, rest = head.partition(b" ")
        return b"%s http://%s%s%s" % (method, origin.authority.encode(), rest, self.authorization)


class Proxies:
    """Which proxy leads to an origin."""

    def __init__(self, by_scheme: Mapping[str, str]) -> None:
        """`{"http": url, "https": url, "no": "host, .domain, host:port, *"}`, all of them optional.

        A name under `no` stands for its subdomains too. ValueError if a URL is none, or a key is another one.
        """
        if unknown := set(by_scheme) - {"http", "https", "no"}:
            raise ValueError(f"proxies are set for http, https and no; not for {', '.join(sorted(unknown))}")
        self._by_scheme = {
            scheme: Proxy.from_url(by_scheme[scheme]) for scheme in ("http", "https") if by_scheme.get(scheme)
        }
        names = (name.strip().lower().lstrip(".") for name in by_scheme.get("no", "").split(","))
        self._without = tuple(name for name in names if name)

    def proxy_for(self, origin: Origin) -> Proxy | None:
        if any(_covers(name, origin) for name in self._without):
            return None
        return self._by_scheme.get(origin.scheme)


def _covers(name: str, origin: Origin) -> bool:
    host = origin.host.lower()
    return name in {"*", host, f"{host}:{origin.port}", f"[{host}]:{origin.port}"} or host.endswith(f".{name}")


async def open_tunnel(loop: asyncio.AbstractEventLoop, proxy: Proxy, origin: Origin) -> asyncio.Transport:
    """A transport that ends at the origin's port. UpstreamFailed if the proxy refuses, OSError if there is none."""
    transport, tunnel = await loop.create_connection(lambda: _Tunnel(loop, origin), proxy.host, proxy.port)
    with ExitStack() as stack:
        stack.callback(transport.abort)
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{host}:{origin.port}".encode()
        transport.write(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (target, target, proxy.authorization))
        await tunnel.opened
        stack.pop_all()
    return transport


class _Tunnel(asyncio.Protocol):
    """Reads the proxy's reply, which has no body if it is a success."""

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: Origin) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self._host = origin.host
        self._reply = b""

    def data_received(self, data: bytes) -> None:
        self._reply += data
        head, end, rest = self._reply.partition(b"\r\n\r\n")
        if not end and len(self._reply) <= REPLY_LIMIT_BYTES:
            return
        status = head.split(b" ", 2)[1:2]
        if not end or rest or not head.startswith(b"HTTP/1."):
            self._fail("the proxy's answer is not valid HTTP")
        elif status == [_OK]:
            if not self.opened.done():
                self.opened.set_result(None)
        elif status == [_AUTHENTICATION_NEEDED]:
            self._fail("the proxy asks for other credentials")
        else:
            self._fail("the proxy refused to connect")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def _fail(self, reason: str) -> None:
        if not self.opened.done():
            first_line = self._reply.partition(b"\r\n")[0][:200]
            self.opened.set_exception(UpstreamFailed(f"{self._host}: {reason}", detail=first_line.decode("latin-1")))
            self.opened.exception()  # taken note of: whoever waited may have been cancelled
