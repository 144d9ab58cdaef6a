"""A worker as its supervisor sees it: a process, and the line to it."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from arouter.wire.metrics_text import Families, read_metrics
from arouter.wiring.channel import Assignment, Channel, Failed, Leaving, Listen, Message, MetricsTold, Ready, Stop
from arouter.wiring.started import Started

_T = TypeVar("_T")

MODULE = "arouter.wiring.worker"


class WorkerProcess:
    """It imports the program at once, and begins when it gets its assignment."""

    def __init__(self, number: int, process: "subprocess.Popen[bytes]", channel: Channel) -> None:
        self.number = number
        self.ready: asyncio.Future[Started | None] = asyncio.get_running_loop().create_future()
        """What it says of itself once it takes connections; None if it ended before."""
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once it takes no more connections."""
        self.failure = ""
        """Why it could not start, if it said so."""
        self.metrics: Families = {}
        """As it told them last."""
        self._started_s = time.monotonic()
        self._process = process
        self._channel = channel
        self._told: dict[int, asyncio.Future[None]] = {}

    @classmethod
    async def start(cls, number: int, listeners: Sequence[socket.socket]) -> "WorkerProcess":
        """A process of a group of its own: what a terminal sends to all reaches the supervisor alone."""
        ours, its = socket.socketpair()
        with its:
            process = _launch([its, *listeners])
        return cls(number, process, await Channel.over(ours))

    @property
    def age_s(self) -> float:
        """How long it has been there."""
        return time.monotonic() - self._started_s

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Less than zero is a signal; None while it runs."""
        return self._process.returncode

    def assign(self, assignment: Assignment) -> None:
        self._channel.send(assignment)

    def listen(self, numbers: frozenset[int]) -> None:
        self._channel.send(Listen(numbers=numbers))

    def stop(self, *, timeout_s: float, linger_s: float = 0.0) -> None:
        self._channel.send(Stop(timeout_s=timeout_s, linger_s=linger_s))

    def send(self, message: Message) -> None:
        self._channel.send(message)

    def kill(self) -> None:
        self._process.kill()

    def metrics_told(self, number: int) -> "asyncio.Future[None]":
        """Done when it has answered the question of this number, or ended."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._told[number] = told
        told.add_done_callback(lambda _: self._told.pop(number, None))
        return told

    async def follow(self, on_message: Callable[["WorkerProcess", Message], None]) -> None:
        """Read what it says until its process has ended. `on_message` gets what is not for this object itself."""
        while (message := await self._channel.receive()) is not None:
            match message:
                case Ready():
                    _resolve(self.ready, message.started)
                case Failed():
                    self.failure = message.text
                case MetricsTold():
                    self.metrics = read_metrics(message.text)
                    _resolve(self._told.get(message.number), None)
                case Leaving():
                    _resolve(self.left, None)
                    on_message(self, message)
                case _:
                    on_message(self, message)
        self._channel.close()
        await asyncio.to_thread(self._process.wait)
        _resolve(self.ready, None)
        _resolve(self.left, None)
        for told in tuple(self._told.values()):
            _resolve(told, None)


def _launch(sockets: Sequence[socket.socket]) -> "subprocess.Popen[bytes]":
    descriptors = [each.fileno() for each in sockets]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", MODULE, *map(str, descriptors)],
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        process_group=0,
    )


def _resolve(future: "asyncio.Future[_T] | None", result: _T) -> None:
    if future is not None and not future.done():
        future.set_result(result)
