"""The ASGI entry: hot inference paths go straight to their handler, everything else to the API framework."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from arouter.domain.errors import ARouterError
from arouter.web.asgi import Application, Receive, Scope, Send
from arouter.web.http.heads import Heads
from arouter.web.http.protocol import Asked, Endpoint
from arouter.web.inference.head import read_head
from arouter.wire.errors import error_body

_OWN_ROOTS = (
    *("/v1/", "/v1beta/", "/api/v1/", "/api/usage/"),
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/dashboard"),
)


def aliases(path: str) -> tuple[str, ...]:
    """Every path under which `/v1/…` is served: clients set their base URL with or without `/v1`, and with `/api`."""
    bare = path.removeprefix("/v1")
    return path, bare, f"/api{path}", f"/api{bare}"


class InferenceEndpoint(Endpoint, Protocol):
    """An endpoint that the gateway's own protocol serves, and the general server too."""

    @property
    def methods(self) -> frozenset[str]:
        """Those that it takes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application."""


Matches = Callable[[str], bool]
"""Whether a path is an endpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """What answers requests."""

    inference: Mapping[str, InferenceEndpoint]
    """By path, such as `/v1/chat/completions`: handlers of POST."""
    patterns: Sequence[tuple[Matches, InferenceEndpoint]] = ()
    """The same for paths that hold more than the name of an endpoint, such as a model; the first that matches."""
    api: Application
    """Everything else."""


class App:
    """The application that the server runs."""

    def __init__(
        self,
        *,
        start: Callable[[], Awaitable[Handlers]],
        stop: Callable[[], Awaitable[None]],
        idle_timeout_s: float = 75.0,
    ) -> None:
        """`start` makes the handlers when the server starts, `stop` ends what they use. A connection on which nothing
        happens for `idle_timeout_s` is closed."""
        self.idle_timeout_s = idle_timeout_s
        self.heads: Heads[Asked] = Heads(self._asked)
        """For `arouter.web.http.protocol.GatewayProtocol`."""
        self._inference: dict[str, InferenceEndpoint] = {}
        self._patterns: Sequence[tuple[Matches, InferenceEndpoint]] = ()
        self._api: Application = _nothing_yet
        self._start = start
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            handler = self._endpoint(scope["path"], scope["method"])
            if handler is None:
                await self._api(_with_version(scope), receive, send)
            elif scope["method"] in handler.methods:
                await handler(scope, receive, send)
            else:
                await _refuse_method(send, handler.methods)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        # A websocket is refused by the server when its application returns without a word.

    def _asked(self, path: str, query: bytes, fields: Mapping[bytes, bytes]) -> Asked | None:
        endpoint = self._endpoint(path, "POST")
        return None if endpoint is None else (endpoint, read_head(fields, query, path))

    def _endpoint(self, path: str, method: str) -> InferenceEndpoint | None:
        """Under a pattern's paths the API has methods of its own."""
        found = self._inference.get(path)
        if found is None:
            matching = (one for matches, one in self._patterns if method in one.methods and matches(path))
            found = next(matching, None)
        return found

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    handlers = await self._start()
                except (ARouterError, OSError) as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                self._inference = {a: handler for path, handler in handlers.inference.items() for a in aliases(path)}
                self._patterns = handlers.patterns
                self._api = handlers.api
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _nothing_yet(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("the application has not started")


def _with_version(scope: Scope) -> Scope:
    """`/models` is `/v1/models`, and so is `/api/models`: a client whose base URL ends without `/v1` means that."""
    path: str = scope["path"]
    if path == "/" or path.startswith(_OWN_ROOTS):
        return scope
    return {**scope, "path": "/v1" + path.removeprefix("/api")}


async def _refuse_method(send: Send, methods: frozenset[str]) -> None:
    allowed = ", ".join(sorted(methods))
    error = ARouterError(f"This path takes {allowed} only.", code="method_not_allowed")
    body = error_body(error, "invalid_request_error")
    headers = [
        (b"content-type", b"application/json"),
        (b"allow", allowed.encode()),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 405, "headers": headers})
    await send({"type": "http.response.body", "body": body})
