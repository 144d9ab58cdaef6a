"""Messages between the supervisor and one worker: a pair of sockets that they alone have.

A message is a frozen dataclass, pickled, with its length before it. Both ends are one program and one user; nothing
that came from a network is ever read here.
"""

import asyncio
import pickle
import socket
from dataclasses import dataclass
from typing import Final

from arouter.settings import Settings
from arouter.wiring.started import Started

_LENGTH_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """To a worker, once: what it is to be."""

    number: int
    """1 for the first."""
    settings: Settings
    url: str
    sandbox_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """To a worker: take connections from these sockets, and from no others. A socket has its worker's number."""

    numbers: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """To a worker: take no more connections, and end. A later one overrules an earlier one."""

    timeout_s: float
    """What still runs then is settled; `math.inf`: it may take its time."""
    linger_s: float
    """So long idle clients may ask once more, and are told then that the connection ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsAsked:
    """To a worker: tell `MetricsTold`. To the supervisor: the same, for all of them."""

    number: int
    """The answer has it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsTold:
    """In Prometheus' text format."""

    number: int
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """From a worker: it takes connections, and has read its prices."""

    started: Started


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """From a worker: it cannot start, in words for the operator."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """From a worker: it takes no more connections, whoever told it so."""


Message = Assignment | Listen | Stop | MetricsAsked | MetricsTold | Ready | Failed | Leaving


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, message: Message) -> None:
        """Nothing happens if nobody is there any more: `receive` tells that."""
        if not self._writer.is_closing():
            body = pickle.dumps(message)
            self._writer.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)

    async def receive(self) -> Message | None:
        """The next one; None if the other end is closed, or its process dead."""
        try:
            length = await self._reader.readexactly(_LENGTH_BYTES)
            body = await self._reader.readexactly(int.from_bytes(length, "big"))
        except (asyncio.IncompleteReadError, OSError):
            return None
        message: Message = pickle.loads(body)  # noqa: S301 - from our own other half
        return message

    async def drain(self) -> None:
        """Until everything that was sent has left this process."""
        try:
            await self._writer.drain()
        except OSError:
            return

    def close(self) -> None:
        self._writer.close()
