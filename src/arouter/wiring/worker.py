"""One of several workers: a whole gateway in a process of its own, told by the supervisor what to be.

`python -m arouter.wiring.worker CHANNEL LISTENER…`, each an open descriptor that the supervisor passed on.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from types import FrameType
from typing import Final

import structlog
import uvicorn
import uvloop

from arouter.domain.errors import ARouterError, ShuttingDown
from arouter.engine.tasks import Tasks
from arouter.settings import SettingsError
from arouter.wiring.channel import (
    Assignment,
    Channel,
    Failed,
    Leaving,
    Listen,
    Message,
    MetricsAsked,
    MetricsTold,
    Ready,
    Stop,
)
from arouter.wiring.gateway import Gateway
from arouter.wiring.logs import configure_logs
from arouter.wiring.server import BACKLOG, GatewayServer, server_config

_FAILED: Final = 1
_METRICS_WITHIN_S: Final = 5.0


class WorkerServer(GatewayServer):
    """Takes connections from its own socket, and from those of workers that are away."""

    def __init__(
        self,
        config: uvicorn.Config,
        shutdown_timeout_s: float,
        listeners: Sequence[socket.socket],
        *,
        on_started: Callable[[], Awaitable[None]],
        on_leaving: Callable[[], None],
    ) -> None:
        super().__init__(config, shutdown_timeout_s)
        self._listeners = listeners
        self._on_started = on_started
        self._on_leaving = on_leaving
        self._accepting: dict[int, asyncio.Server] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        await self._on_started()

    async def listen(self, numbers: frozenset[int]) -> None:
        """Take connections from the listeners of these numbers, the first being 1, and from no others."""
        loop = asyncio.get_running_loop()
        for number in self._accepting.keys() - numbers:
            self._accepting.pop(number).close()
        for number in numbers - self._accepting.keys():
            # A copy: the socket itself stays open when this server is closed.
            copy = self._listeners[number - 1].dup()
            self._accepting[number] = await loop.create_server(self._protocol, sock=copy, backlog=BACKLOG)
        self.servers = list(self._accepting.values())
        if self.should_exit:
            for server in self.servers:
                server.close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal begins the stop. Only the supervisor hastens it: service managers signal every process at once."""
        if not self.should_exit:
            super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._on_leaving()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class Worker:
    """A gateway, its server, and the line to the supervisor. The gateway's `Siblings`."""

    def __init__(self, channel: Channel, assignment: Assignment, listeners: Sequence[socket.socket]) -> None:
        """Opens the database. SettingsError or StorageUnavailable, with a text for the operator."""
        self._channel = channel
        self._assignment = assignment
        self._log = structlog.get_logger("arouter")
        self._tasks = Tasks(self._task_failed)
        self._gateway = Gateway(assignment.settings, siblings=self)
        self._server = WorkerServer(
            server_config(self._gateway),
            assignment.settings.server.shutdown_timeout_s,
            listeners,
            on_started=self._started,
            on_leaving=lambda: channel.send(Leaving()),
        )
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = count(1)

    async def run(self) -> None:
        """Until the supervisor or a signal says stop. SystemExit if it cannot start; the log has why."""
        self._tasks.start("the supervisor's messages", self._obey())
        await self._server.serve()
        # Its last count: the sum of all must not fall when it is gone.
        self._channel.send(MetricsTold(number=0, text=self._gateway.metrics.text()))
        await self._channel.drain()
        await self._tasks.stop()
        self._channel.close()

    # ---------------------------------------------------------------- as the gateway's siblings

    @property
    def sandbox_url(self) -> str | None:
        return self._assignment.sandbox_url

    async def metrics(self) -> bytes:
        number = next(self._numbers)
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        self._channel.send(MetricsAsked(number=number))
        try:
            return await asyncio.wait_for(asked, _METRICS_WITHIN_S)
        except TimeoutError as exc:
            raise ShuttingDown("The other workers do not answer, so nothing can be added up.") from exc
        finally:
            del self._asked[number]

    # ---------------------------------------------------------------- the supervisor

    async def _started(self) -> None:
        await self._gateway.read_prices()
        await self._server.listen(frozenset({self._assignment.number}))
        self._channel.send(Ready(started=self._gateway.started(self._assignment.url)))

    async def _obey(self) -> None:
        while (message := await self._channel.receive()) is not None:
            await self._do(message)
        if not self._server.should_exit:
            self._log.error("the supervisor is gone; this worker ends")
            self._server.stop(timeout_s=self._assignment.settings.server.shutdown_timeout_s)

    async def _do(self, message: Message) -> None:
        match message:
            case Stop():
                self._server.stop(timeout_s=message.timeout_s, linger_s=message.linger_s)
            case Listen():
                if not self._server.should_exit:
                    await self._server.listen(message.numbers)
            case MetricsAsked():
                self._channel.send(MetricsTold(number=message.number, text=self._gateway.metrics.text()))
            case MetricsTold():
                asked = self._asked.get(message.number)
                if asked is not None and not asked.done():
                    asked.set_result(message.text)

    def _task_failed(self, name: str, failure: BaseException) -> None:
        self._log.error("a task failed", task=name, exc_info=failure)


async def work(channel_end: socket.socket, listeners: Sequence[socket.socket]) -> int:
    """The exit code of the process."""
    channel = await Channel.over(channel_end)
    assignment = await channel.receive()
    if not isinstance(assignment, Assignment):
        return 0  # told to stop, or left alone, before it began
    configure_logs(assignment.settings.log.level, assignment.settings.log.format, worker=assignment.number)
    try:
        worker = Worker(channel, assignment, listeners)
    except (SettingsError, ARouterError, OSError) as exc:
        channel.send(Failed(text=_said(exc)))
        await channel.drain()
        return _FAILED
    await worker.run()
    return 0


def _said(problem: Exception) -> str:
    if isinstance(problem, ARouterError):
        return problem.message if problem.detail is None else f"{problem.message} ({problem.detail})"
    return str(problem)


def main() -> None:
    """Run until told to stop. A hang-up is for the supervisor."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    channel_end, *listeners = (socket.socket(fileno=int(argument)) for argument in sys.argv[1:])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(work(channel_end, listeners)))


if __name__ == "__main__":
    main()
