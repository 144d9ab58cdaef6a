"""Hearing of changes of the directory as they are committed, by whichever gateway.

The database tells only those who listen at that moment, and a connection may break unnoticed. So what is heard says
when to look, never what there is to see; and whoever follows the directory goes on looking now and then by itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from arouter.domain.errors import StorageUnavailable
from arouter.store.postgres.errors import FAILURES, unavailable
from arouter.store.postgres.pool import connect

if TYPE_CHECKING:
    import asyncpg

CHANNEL: Final = "arouter_directory"
"""What every change of the directory notifies, within its transaction."""
APPLICATION: Final = "arouter listener"
"""What the connection is called in the server's lists."""
RETRY_S: Final = 1.0
PROBE_S: Final = 15.0
"""So often a connection on which nothing is heard is asked whether it is still one."""


class DirectoryListener:
    """One connection that listens, made anew when it breaks."""

    def __init__(
        self,
        url: str,
        on_change: Callable[[], None],
        *,
        on_failure: Callable[[StorageUnavailable], None] = lambda failure: None,
        retry_s: float = RETRY_S,
        probe_s: float = PROBE_S,
    ) -> None:
        """`on_change` is called on the event loop after a change, and whenever it has begun to listen, as something
        may have been missed before; many changes may be one call, and one change several. `on_failure` is told once of
        each time that it cannot listen."""
        self._url = url
        self._on_change = on_change
        self._on_failure = on_failure
        self._retry_s = retry_s
        self._probe_s = probe_s
        self._listening = False
        self._told = False

    @property
    def listening(self) -> bool:
        """Whether changes are heard now, as far as is known."""
        return self._listening

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._listen()
            except FAILURES as failure:
                if not self._told:
                    self._told = True
                    self._on_failure(unavailable(failure))
            await asyncio.sleep(self._retry_s)

    async def _listen(self) -> None:
        """Until the connection breaks; then one of FAILURES."""
        connection = await connect(self._url)
        try:
            await connection.execute(f"SET application_name = '{APPLICATION}'")
            broken = asyncio.Event()
            connection.add_termination_listener(lambda _: broken.set())
            await connection.add_listener(CHANNEL, lambda *_: self._on_change())
            self._listening, self._told = True, False
            self._on_change()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._probe_s):
                        await broken.wait()
                await connection.execute("SELECT 1")
        finally:
            self._listening = False
            await _close(connection)


async def _close(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """At once where the server does not answer."""
    try:
        await connection.close(timeout=1.0)
    except FAILURES:
        connection.terminate()
