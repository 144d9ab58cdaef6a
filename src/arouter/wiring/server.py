"""The gateway on a port."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn

from arouter.settings import Settings, SettingsError
from arouter.web.asgi import Application
from arouter.wiring.gateway import Gateway
from arouter.wiring.logs import configure_logs

OnReady = Callable[[Gateway, str], None]
"""Called once it answers, with its URL."""
Around = Callable[[Application], Application]
"""Puts something in front of the gateway's application: a page that is served beside it."""


def _nothing_around(application: Application) -> Application:
    return application


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started(self.servers[0].sockets[0].getsockname()[1])


def serve(settings: Settings, *, on_ready: OnReady, around: Around = _nothing_around) -> bool:
    """Run until a signal says stop; a second one hastens it. False if it could not start.

    SettingsError, StorageUnavailable and OSError (the port is taken) carry a text for the operator.
    """
    if settings.server.workers > 1:
        raise SettingsError("server.workers: more than one worker is not supported yet; start one")
    configure_logs(settings.log.level, settings.log.format)
    gateway = Gateway(settings)
    listener = _listen(settings.server.host, settings.server.port)
    config = uvicorn.Config(
        around(gateway.app),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=settings.server.idle_timeout_s,
        timeout_graceful_shutdown=int(settings.server.shutdown_timeout_s),
    )
    server = _Server(config, lambda port: on_ready(gateway, url_of(settings.server.host, port)))
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner, listener:
        runner.run(server.serve(sockets=[listener]))
    return server.started


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def url_of(host: str, port: int) -> str:
    """What to type into a client on the same machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
