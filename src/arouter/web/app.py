"""The ASGI entry: hot inference paths go straight to their handler, everything else to the API framework."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from arouter.domain.errors import ARouterError
from arouter.web.asgi import Application, Receive, Scope, Send
from arouter.wire.errors import error_body

_OWN_ROOTS = (
    *("/v1/", "/v1beta/", "/api/v1/", "/api/usage/"),
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/dashboard"),
)


def aliases(path: str) -> tuple[str, ...]:
    """Every path under which `/v1/…` is served: clients set their base URL with or without `/v1`, and with `/api`."""
    bare = path.removeprefix("/v1")
    return path, bare, f"/api{path}", f"/api{bare}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """What answers requests."""

    inference: Mapping[str, Application]
    """By path, such as `/v1/chat/completions`: handlers of POST."""
    api: Application
    """Everything else."""


class App:
    """The application that the server runs."""

    def __init__(self, *, start: Callable[[], Awaitable[Handlers]], stop: Callable[[], Awaitable[None]]) -> None:
        """`start` makes the handlers when the server starts, `stop` ends what they use."""
        self._inference: dict[str, Application] = {}
        self._api: Application = _nothing_yet
        self._start = start
        self._stop = stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            handler = self._inference.get(scope["path"])
            if handler is None:
                await self._api(_with_version(scope), receive, send)
            elif scope["method"] == "POST":
                await handler(scope, receive, send)
            else:
                await _refuse_method(send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        # A websocket is refused by the server when its application returns without a word.

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


async def _refuse_method(send: Send) -> None:
    body = error_body(ARouterError("This path takes POST only.", code="method_not_allowed"), "invalid_request_error")
    headers = [(b"content-type", b"application/json"), (b"allow", b"POST"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 405, "headers": headers})
    await send({"type": "http.response.body", "body": body})
