"""The archive for an event loop: what takes long runs on a thread of its own, in short transactions of the writer's."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from arouter.store.sqlite.sealing import OnProgress, Sealed, Sealer, UnsealedDay
from arouter.store.sqlite.writer import Writer

Result = TypeVar("Result")


class Archivist:
    """Days of records, sealed and forgotten."""

    def __init__(self, path: str, writer: Writer) -> None:
        self._sealer = Sealer(path, writer)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ledger-archivist")

    async def unsealed(self, *, before_us: int) -> Sequence[UnsealedDay]:
        """The days, by UTC and of each organization, that ended by an instant and are not sealed, oldest first."""
        return await self._run(lambda: self._sealer.unsealed(before_us))

    async def seal(self, *, before_us: int, on_progress: OnProgress = lambda records: None) -> Sealed | None:
        """Seal those days; None if another process is at it.

        `on_progress` is told on another thread. StorageUnavailable if the storage fails or is closed, or the extra
        `analytics` is not installed: then the next call goes on.
        """
        return await self._run(lambda: self._sealer.seal(before_us, on_progress))

    def close(self) -> None:
        """Blocks until the step that runs has ended."""
        self._sealer.stop()
        self._pool.shutdown(cancel_futures=True)

    async def _run(self, job: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, job)
