"""Several workers on one address: started, counted together, restarted one by one, replaced when they die.

    SIGTERM, SIGINT   every worker ends what runs within server.shutdown_timeout_s; a second one hastens it
    SIGHUP            the configuration is read anew; each worker is followed by a new one, which takes connections
                      before the old one stops to; the old one ends when its running answers have
    a worker dies     the others take connections from its socket until another one is there

The supervisor holds the sockets open all the time, so that no connection is refused while a worker comes or goes.
It opens no database and reads no price.
"""

import asyncio
import dataclasses
import math
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from arouter.engine.tasks import Tasks
from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import Sandbox, start_sandbox
from arouter.settings import Settings, SettingsError
from arouter.wiring.channel import Assignment, Leaving, Message, MetricsAsked, MetricsTold
from arouter.wiring.logs import configure_logs
from arouter.wiring.metrics_port import serve_metrics
from arouter.wiring.providers import wants_sandbox
from arouter.wiring.started import Started
from arouter.wiring.worker_metrics import WorkerMetrics
from arouter.wiring.worker_process import WorkerProcess

LINGER_S: Final = 5.0
"""So long an idle client of a worker that is followed by another may ask once more."""
STEADY_S: Final = 10.0
"""A worker that lived so long is replaced at once. One that lives shorter again and again waits ever longer."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_KILLED_AFTER_S: Final = 15.0
"""Longer than a worker needs to settle what it cancelled and to write everything down."""

Reload = Callable[[], Settings]
"""Reads the settings anew. SettingsError if they cannot be."""


class WorkersFailed(Exception):
    """The gateway could not start. The text is for the operator."""


class Supervisor:
    """`run` it once."""

    def __init__(
        self,
        settings: Settings,
        listeners: Sequence[socket.socket],
        url: str,
        *,
        on_ready: Callable[[Started], None],
        reload: Reload,
    ) -> None:
        """A worker for each of `listeners`, which stay the caller's."""
        self._settings = settings
        self._listeners = listeners
        self._url = url
        self._on_ready = on_ready
        self._reload = reload
        self._log = structlog.get_logger("arouter")
        self._tasks = Tasks(self._task_failed)
        self._metrics = WorkerMetrics()
        self._sandbox: Sandbox | None = None
        self._alive: set[WorkerProcess] = set()
        """Whatever runs: coming, serving and going."""
        self._pauses: dict[int, float] = {}
        """Before the worker of a number is started again; none if it was steady."""
        self._serving: dict[int, WorkerProcess] = {}
        """Who takes connections, by number."""
        self._changed = asyncio.Event()
        """Set when one of `_alive` has ended."""
        self._stopping = asyncio.Event()
        self._restart_wanted = asyncio.Event()

    async def run(self) -> None:
        """Until a signal says stop and every worker has ended. WorkersFailed if one of them cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._restart_wanted.set)
        port = self._settings.server.metrics_port
        end_metrics = serve_metrics(self._settings.server.host, port, self._metrics_text) if port else None
        try:
            await self._start()
            if not self._stopping.is_set():
                self._tasks.start("restart when asked", self._restart_when_asked())
            await self._stopping.wait()
        finally:
            self._stopping.set()
            await self._end()
            if end_metrics is not None:
                await asyncio.to_thread(end_metrics)

    # ---------------------------------------------------------------- start and stop

    async def _start(self) -> None:
        """The first alone, since it makes the database where there is none; all import the program meanwhile."""
        first, *others = [await self._spawn(number + 1) for number in range(len(self._listeners))]
        started = []
        for group in ([first], others):
            for worker in group:
                worker.assign(await self._assignment(worker.number, self._settings))
            for worker in group:
                said = await worker.ready
                if self._stopping.is_set():
                    return
                if said is None:
                    raise WorkersFailed(worker.failure or "a worker did not start; the lines above say why")
                self._serving[worker.number] = worker
                started.append(said)
        self._on_ready(dataclasses.replace(started[0], interrupted=sum(said.interrupted for said in started)))

    def _stop(self) -> None:
        """The first time gracefully, then in haste."""
        timeout_s = 0.0 if self._stopping.is_set() else self._settings.server.shutdown_timeout_s
        self._stopping.set()
        for worker in self._alive:
            worker.stop(timeout_s=timeout_s)

    async def _end(self) -> None:
        for worker in self._alive:
            # Those that came after the signal; to the others it says what they know.
            if not worker.ready.done():
                worker.stop(timeout_s=0.0)
        await self._all_gone(self._settings.server.shutdown_timeout_s + _KILLED_AFTER_S)
        for worker in self._alive:
            self._log.error("a worker did not end in time and is killed", worker=worker.number, pid=worker.pid)
            worker.kill()
        await self._all_gone(math.inf)
        await self._tasks.stop()
        if self._sandbox is not None:
            await self._sandbox.stop()

    async def _all_gone(self, within_s: float) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while self._alive and (left_s := end_s - loop.time()) > 0:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), None if left_s == math.inf else left_s)
            except TimeoutError:
                return

    # ---------------------------------------------------------------- workers

    async def _spawn(self, number: int) -> WorkerProcess:
        worker = await WorkerProcess.start(number, self._listeners)
        self._alive.add(worker)
        self._tasks.start(f"follow worker {number}", self._follow(worker))
        if self._stopping.is_set():
            worker.stop(timeout_s=0.0)
        return worker

    async def _assignment(self, number: int, settings: Settings) -> Assignment:
        if wants_sandbox(settings) and self._sandbox is None:
            self._sandbox = await start_sandbox("127.0.0.1", 0, Behaviour(), random=None)
        sandbox_url = f"{self._sandbox.url}/v1" if self._sandbox is not None and wants_sandbox(settings) else None
        return Assignment(number=number, settings=settings, url=self._url, sandbox_url=sandbox_url)

    async def _follow(self, worker: WorkerProcess) -> None:
        """From its start to its end, and to its successor where it was not to end."""
        await worker.follow(self._on_message)
        self._alive.discard(worker)
        self._changed.set()
        self._metrics.retire(worker.metrics)
        if self._serving.get(worker.number) is worker and not self._stopping.is_set():
            del self._serving[worker.number]
            self._metrics.died += 1
            self._log.error("a worker died", worker=worker.number, pid=worker.pid, exit_code=worker.exit_code)
            if worker.age_s > STEADY_S:
                self._pauses.pop(worker.number, None)
            self._tasks.start(f"replace worker {worker.number}", self._replace(worker.number))

    def _on_message(self, worker: WorkerProcess, message: Message) -> None:
        match message:
            case MetricsAsked():
                self._tasks.start("add up metrics", self._tell_metrics(worker, message.number))
            case Leaving() if self._serving.get(worker.number) is worker and not self._stopping.is_set():
                del self._serving[worker.number]
                self._log.warning("a worker was told to stop by somebody else", worker=worker.number, pid=worker.pid)
                self._tasks.start(f"replace worker {worker.number}", self._replace(worker.number))

    async def _replace(self, number: int) -> None:
        """The others take its connections meanwhile."""
        self._share_out()
        while number not in self._serving and not self._stopping.is_set():
            pause_s = self._pauses.get(number, 0.0)
            self._pauses[number] = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)
            worker = await self._spawn(number)
            worker.assign(await self._assignment(number, self._settings))
            said = await worker.ready
            if said is None:
                self._log.error("a worker did not start", worker=number, reason=worker.failure)
            elif number in self._serving:
                worker.stop(timeout_s=math.inf, linger_s=LINGER_S)  # a restart was quicker
            else:
                self._install(worker)
                self._log.info("a worker was replaced", worker=number, pid=worker.pid, interrupted=said.interrupted)

    def _install(self, worker: WorkerProcess) -> None:
        """It serves from now on; who did before ends when its running answers have."""
        before = self._serving.get(worker.number)
        self._serving[worker.number] = worker
        if before is not None:
            before.stop(timeout_s=math.inf, linger_s=LINGER_S)
        self._share_out()

    def _share_out(self) -> None:
        """Everybody takes from its own socket, and from those that nobody else takes from."""
        numbers = frozenset(range(1, 1 + len(self._listeners)))
        orphaned = numbers - self._serving.keys()
        for number, worker in self._serving.items():
            worker.listen(orphaned | {number})

    # ---------------------------------------------------------------- restart

    async def _restart_when_asked(self) -> None:
        while True:
            await self._restart_wanted.wait()
            self._restart_wanted.clear()
            await self._restart()

    async def _restart(self) -> None:
        """One by one. The first one that cannot start leaves everything as it is."""
        try:
            settings = self._acceptable(self._reload())
        except (SettingsError, OSError) as exc:
            self._log.error("the configuration is wrong; the workers go on as they are", reason=str(exc))
            return
        self._log.info("the workers are restarted one by one")
        for number in range(1, 1 + len(self._listeners)):
            worker = await self._spawn(number)
            worker.assign(await self._assignment(number, settings))
            if await worker.ready is None:
                if not self._stopping.is_set():
                    self._log.error(
                        "a new worker did not start; the others go on as they are", worker=number, reason=worker.failure
                    )
                return
            self._settings = settings
            before = self._serving.get(number)
            self._install(worker)
            if before is not None:
                await asyncio.wait([before.left], timeout=LINGER_S)
        configure_logs(settings.log.level, settings.log.format)
        self._log.info("the workers are new")

    def _acceptable(self, settings: Settings) -> Settings:
        """Without what only a new start can change."""
        now = self._settings.server
        fixed = {name: getattr(now, name) for name in ("host", "port", "workers", "metrics_port")}
        changed = [name for name, value in fixed.items() if getattr(settings.server, name) != value]
        if changed:
            self._log.warning("these settings wait for a new start", settings=[f"server.{name}" for name in changed])
        return dataclasses.replace(settings, server=dataclasses.replace(settings.server, **fixed))

    # ---------------------------------------------------------------- metrics

    async def _tell_metrics(self, asker: WorkerProcess, number: int) -> None:
        asker.send(MetricsTold(number=number, text=await self._metrics_text()))

    async def _metrics_text(self) -> bytes:
        return await self._metrics.text(self._alive, serving=len(self._serving))

    def _task_failed(self, name: str, failure: BaseException) -> None:
        self._log.error("a task failed", task=name, exc_info=failure)
