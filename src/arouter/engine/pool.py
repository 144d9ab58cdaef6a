"""The connections to one endpoint: counted, limited, reused.

A connection counts from the moment in which somebody gets the right to make it until it is lost; whoever holds one
returns it or loses it. The connection used last is used first, so that the others can expire. While all are busy,
requests wait in the order in which they came, for a connection or for the right to make one.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from arouter.domain.errors import UpstreamBusy, UpstreamFailed
from arouter.engine.connection import Connection

RETRY_AFTER_S = 1.0
"""What a request that got no connection is told to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """The limits for each endpoint."""

    max_connections: int = 1000
    max_idle: int = 256
    idle_expiry_s: float = 15.0
    """Below the time after which common servers and balancers close an idle connection."""
    max_waiting: int = 10_000
    """How many requests may wait for a connection; a further one fails at once."""
    acquire_s: float = 30.0
    """How long a request may wait for a connection."""

    def __post_init__(self) -> None:
        if self.max_connections < 1 or min(self.max_idle, self.max_waiting) < 0:
            raise ValueError("a pool needs at least one connection, and no limit is negative")
        if min(self.idle_expiry_s, self.acquire_s) <= 0:
            raise ValueError("a timeout is above zero seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCounts:
    """What a pool holds right now."""

    open: int
    """Connections that exist or are being made, the idle ones included."""
    idle: int
    waiting: int
    """Requests that wait for a connection."""


class Pool:
    """The connections to one endpoint, on one event loop. `name` is what messages call the peer."""

    __slots__ = ("_connections", "_idle", "_limits", "_loop", "_name", "_sweep_timer", "_waiting", "closed")

    def __init__(self, name: str, limits: PoolLimits, loop: asyncio.AbstractEventLoop) -> None:
        self.closed = False
        self._name = name
        self._limits = limits
        self._loop = loop
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        """In the order in which they became idle."""
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._sweep_timer: asyncio.TimerHandle | None = None

    def counts(self) -> PoolCounts:
        return PoolCounts(open=len(self._connections), idle=len(self._idle), waiting=len(self._waiting))

    def take_idle(self) -> Connection | None:
        """The connection that was used last, if it is still good; those found closed are dropped on the way."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not (connection.closing() or connection.heard(0)):
                return connection
            connection.abort()
        return None

    async def acquire(self) -> Connection:
        """A connection, idle or still to be made, as soon as the limit allows it.

        UpstreamBusy if too many wait already or it takes too long, UpstreamFailed if the pool is closed.
        """
        if self.closed:
            raise self._closed()
        if len(self._connections) < self._limits.max_connections:
            return self._fresh()
        if len(self._waiting) >= self._limits.max_waiting:
            raise self._busy("too many requests wait for a connection")
        connection = await self._wait()
        if self.closed:
            raise self._closed()
        if connection is None:
            raise self._busy(f"no connection became free within {self._limits.acquire_s:g} s")
        if connection.connected and (connection.closing() or connection.heard(0)):
            return self._replace(connection)
        return connection

    def returned(self, connection: Connection) -> None:
        """The connection is idle: it serves who waits longest, or is kept."""
        if self._waiting and self._hand_over(connection):
            return
        if self.closed or len(self._idle) >= self._limits.max_idle:
            connection.abort()
            return
        self._idle.append(connection)
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_at(connection.idle_since_s + self._limits.idle_expiry_s, self._sweep)

    def lost(self, connection: Connection) -> None:
        """The connection is gone: who waits longest may make another one."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)
        if self._waiting and not self.closed:
            fresh = self._fresh()
            if not self._hand_over(fresh):
                self._connections.discard(fresh)

    def close(self) -> None:
        """Hangs up every connection, sends away who waits."""
        self.closed = True
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
        for connection in tuple(self._connections):
            connection.abort()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None

    def _fresh(self) -> Connection:
        connection = Connection(self._name, self, self._loop)
        self._connections.add(connection)
        return connection

    def _replace(self, stale: Connection) -> Connection:
        """A fresh connection in the place of a stale one, so that nobody overtakes."""
        self._connections.discard(stale)
        stale.abort()
        return self._fresh()

    def _hand_over(self, connection: Connection) -> bool:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(connection)
                return True
        return False

    async def _wait(self) -> Connection | None:
        """The connection that is handed over; None if the time is up or the pool is closed."""
        future: asyncio.Future[Connection | None] = self._loop.create_future()
        timer = self._loop.call_later(self._limits.acquire_s, self._expire, future)
        self._waiting.append(future)
        try:
            connection = await future
        except asyncio.CancelledError:
            if future.cancelled():
                with suppress(ValueError):  # skipped by whoever handed over meanwhile
                    self._waiting.remove(future)
            elif (connection := future.result()) is not None:
                self._give_back(connection)
            raise
        finally:
            timer.cancel()
        return connection

    def _expire(self, future: asyncio.Future[Connection | None]) -> None:
        if not future.done():
            self._waiting.remove(future)
            future.set_result(None)

    def _give_back(self, connection: Connection) -> None:
        if connection.connected:
            self.returned(connection)
        else:
            connection.abort()

    def _sweep(self) -> None:
        """Drops what was idle for too long, and comes again when the next one is due."""
        self._sweep_timer = None
        expiry_s = self._limits.idle_expiry_s
        too_old_s = self._loop.time() - expiry_s
        while self._idle and self._idle[0].idle_since_s <= too_old_s:
            self._idle[0].abort()
        if self._idle:
            self._sweep_timer = self._loop.call_at(self._idle[0].idle_since_s + expiry_s, self._sweep)

    def _busy(self, reason: str) -> UpstreamBusy:
        busy = UpstreamBusy(f"{self._name}: {reason}")
        busy.retry_after_s = RETRY_AFTER_S
        return busy

    def _closed(self) -> UpstreamFailed:
        return UpstreamFailed(f"{self._name}: the gateway is shutting down", retryable=False)
