"""A ledger in PostgreSQL for tests: running, on a clock of its own, beside others on the same database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from arouter.store.postgres.appender import Appender, Durability
from arouter.store.postgres.ledger import PostgresLedger
from arouter.store.postgres.owners import Owner
from arouter.store.postgres.pool import Pool


def now_us() -> int:
    return time.time_ns() // 1000


@dataclass
class Gateway:
    """What of a gateway writes and reads the ledger."""

    url: str
    clock: Callable[[], int] = now_us
    durability: Durability = "strict"
    pool: Pool = field(init=False)
    owner: Owner = field(init=False)
    appender: Appender = field(init=False)
    ledger: PostgresLedger = field(init=False)

    def __post_init__(self) -> None:
        self.pool = Pool(self.url)
        self.owner = Owner(self.url)
        self.appender = Appender(self.pool, self.owner, clock=self.clock, durability=self.durability)
        self.ledger = PostgresLedger(self.pool, self.appender, clock=self.clock)

    async def start(self) -> None:
        await self.pool.start()
        self.appender.start()

    async def close(self) -> None:
        await self.appender.stop()
        await self.owner.forget()
        await self.pool.close()

    async def ask(self, sql: str, *values: object) -> int:
        async with self.pool.lend() as connection:
            return int(await connection.fetchval(sql, *values))

    async def run(self, sql: str) -> None:
        async with self.pool.lend() as connection:
            await connection.execute(sql)


@asynccontextmanager
async def gateway(
    url: str, clock: Callable[[], int] = now_us, durability: Durability = "strict"
) -> AsyncIterator[Gateway]:
    made = Gateway(url, clock, durability)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


class Line:
    """A line to a server that can be cut: at the moment when some bytes have passed on their way to it."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.cut_behind: bytes | None = None
        """The line is cut once, behind these bytes, before any answer to them comes back."""

    async def open(self) -> int:
        """The port to connect to."""
        self._listener = await asyncio.start_server(self._carry, "127.0.0.1")
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for writer in self._writers:
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers += [writer, to_server]
        back = asyncio.ensure_future(self._answers(from_server, writer))
        with suppress(OSError):
            while data := await reader.read(65536):
                behind = self.cut_behind
                if behind is not None and behind in data:
                    self.cut_behind = None
                    back.cancel()
                    writer.close()
                    to_server.write(data)
                    await to_server.drain()
                    # The server reads to the end, and does what it was told.
                    to_server.write_eof()
                    break
                to_server.write(data)
                await to_server.drain()
        with suppress(OSError):
            to_server.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()
