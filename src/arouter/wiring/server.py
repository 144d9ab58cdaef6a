"""The gateway on a port."""

import asyncio
import math
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, cast

import uvicorn

from arouter.engine.clock import Clock
from arouter.settings import Settings
from arouter.web.http.protocol import GatewayProtocol
from arouter.wiring.gateway import Gateway
from arouter.wiring.listening import open_listener, url_of
from arouter.wiring.logs import configure_logs

OnReady = Callable[[Gateway, str], None]
"""Called once it answers, with its URL."""

BACKLOG: Final = 2048
_TICK_S: Final = 0.05
SETTLE_S: Final = 10.0
"""How long cancelled requests may take to write their records: longer than a locked database is waited for."""


def server_config(gateway: Gateway) -> uvicorn.Config:
    """How the web server is set up: for one process and for each of several."""
    return uvicorn.Config(
        gateway.app,
        loop="uvloop",
        http=GatewayProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=gateway.settings.server.idle_timeout_s,
    )


class GatewayServer(uvicorn.Server):
    """Stops in an order that loses no record.

    no new connections
    if it lingers: idle clients may ask once more, and are told that the connection ends with that answer
    none is kept after its answer, idle ones are closed
    running answers, drained ones among them, go on until the deadline, or until it is hastened
    those that are left are cancelled: each settles, and tells its client
    then the application stops, which writes everything down
    """

    def __init__(self, config: uvicorn.Config, shutdown_timeout_s: float) -> None:
        super().__init__(config)
        self._shutdown_timeout_s = shutdown_timeout_s
        self._end_s = math.inf
        self._linger_until_s = -math.inf

    def stop(self, *, timeout_s: float, linger_s: float = 0.0) -> None:
        """Begin to; or, while it does, other times. `math.inf` lets everything end that runs."""
        now_s = time.monotonic()
        self._end_s = now_s + timeout_s
        self._linger_until_s = now_s + linger_s
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal stops, a second one hastens; neither is raised again when everything is done."""
        self.stop(timeout_s=0.0 if self.should_exit else self._shutdown_timeout_s)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.server_state
        for server in self.servers:
            server.close()
        for listener in sockets if sockets is not None else ():
            listener.close()
        # In place: the answers that have not begun hold the same list.
        state.default_headers.append((b"connection", b"close"))
        for connection in state.connections:
            cast(GatewayProtocol, connection).take_one_more()
        await self._wait(lambda: self._linger_until_s)
        for connection in list(state.connections):
            connection.shutdown()
        await self._wait(lambda: self._end_s)
        if state.tasks:
            for task in state.tasks:
                task.cancel()
            await asyncio.wait(state.tasks, timeout=SETTLE_S)
            await asyncio.sleep(_TICK_S)  # for what they said to leave
        await self.lifespan.shutdown()

    async def _wait(self, until_s: Callable[[], float]) -> None:
        """While anything runs; `until_s` may change its mind."""
        state = self.server_state
        # The server keeps plain sets, and a signal's handler sets plain times: there is nothing to wait on.
        while (state.connections or state.tasks) and time.monotonic() < until_s():  # noqa: ASYNC110
            await asyncio.sleep(_TICK_S)


class _OnlyServer(GatewayServer):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, shutdown_timeout_s: float, on_started: Callable[[int], None]) -> None:
        super().__init__(config, shutdown_timeout_s)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started(self.servers[0].sockets[0].getsockname()[1])


def serve(settings: Settings, *, on_ready: OnReady, clock: Clock | None = None) -> bool:
    """Run in this process until a signal says stop; a second one hastens it. False if it could not start.

    `clock`: another one than the machine's.

    SettingsError, StorageUnavailable and OSError (the port is taken) carry a text for the operator.
    """
    configure_logs(settings.log.level, settings.log.format)
    gateway = Gateway(settings, clock=clock)
    listener = open_listener(settings.server.host, settings.server.port)
    config = server_config(gateway)
    server = _OnlyServer(
        config,
        settings.server.shutdown_timeout_s,
        lambda port: on_ready(gateway, url_of(settings.server.host, port)),
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner, listener:
        runner.run(server.serve(sockets=[listener]))
    return server.started
