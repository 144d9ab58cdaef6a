"""The gateway on a port."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from arouter.settings import Settings, SettingsError
from arouter.wiring.gateway import Gateway
from arouter.wiring.logs import configure_logs

OnReady = Callable[[Gateway, str], None]
"""Called once it answers, with its URL."""

_TICK_S: Final = 0.05
_SETTLE_S: Final = 10.0
"""How long cancelled requests may take to write their records: longer than a locked database is waited for."""


class _Server(uvicorn.Server):
    """Tells when it listens, and stops in an order that loses no record.

    no new connections, and none kept after its answer
    running answers, drained ones among them, go on until the deadline or a second signal
    those that are left are cancelled: each settles, and tells its client
    then the application stops, which writes everything down
    """

    def __init__(self, config: uvicorn.Config, on_started: Callable[[int], None], shutdown_timeout_s: float) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._shutdown_timeout_s = shutdown_timeout_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started(self.servers[0].sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal stops, a second one hastens; neither is raised again when everything is done."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.server_state
        for server in self.servers:
            server.close()
        for listener in sockets if sockets is not None else ():
            listener.close()
        for connection in list(state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._shutdown_timeout_s
        # The server keeps plain sets, and a signal's handler sets a plain flag: there is nothing to wait on.
        while (state.connections or state.tasks) and loop.time() < deadline_s and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(_TICK_S)
        if state.tasks:
            for task in state.tasks:
                task.cancel()
            await asyncio.wait(state.tasks, timeout=_SETTLE_S)
            await asyncio.sleep(_TICK_S)  # for what they said to leave
        await self.lifespan.shutdown()


def serve(settings: Settings, *, on_ready: OnReady) -> bool:
    """Run until a signal says stop; a second one hastens it. False if it could not start.

    SettingsError, StorageUnavailable and OSError (the port is taken) carry a text for the operator.
    """
    if settings.server.workers > 1:
        raise SettingsError("server.workers: more than one worker is not supported yet; start one")
    configure_logs(settings.log.level, settings.log.format)
    gateway = Gateway(settings)
    listener = _listen(settings.server.host, settings.server.port)
    config = uvicorn.Config(
        gateway.app,
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
    )
    server = _Server(
        config,
        lambda port: on_ready(gateway, url_of(settings.server.host, port)),
        settings.server.shutdown_timeout_s,
    )
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
