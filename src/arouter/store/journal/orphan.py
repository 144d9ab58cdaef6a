"""The journal of a process that is dead, while its records are delivered."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import apsw

from arouter.domain.errors import StorageUnavailable
from arouter.store.journal.file import Entry, JournalFile, SetAside
from arouter.store.journal.folder import Claim
from arouter.store.journal.writer import Journal
from arouter.store.sqlite.connections import unavailable

Result = TypeVar("Result")


class Orphan:
    """A `Source` for delivery. What is set aside goes to the journal of this process. All on other threads."""

    def __init__(self, claim: Claim, own: Journal) -> None:
        self._claim = claim
        self._own = own
        self._file: JournalFile | None = None

    async def open(self, *, now_us: int) -> int:
        """Make records of what it left open; how many there were. StorageUnavailable if it cannot be read."""
        found = await self._run(lambda file: (file.interrupt(now_us=now_us), file.all_set_aside()))
        interrupted, set_aside = found
        if set_aside:
            await self._keep(set_aside)
            await self._run(lambda file: file.forget_set_aside([one.id for one in set_aside]))
        return interrupted

    async def take(self, limit: int, after: int) -> Sequence[Entry]:
        return await self._run(lambda file: file.take(limit, after=after))

    async def settle(self, delivered: Sequence[int], refused: Sequence[SetAside]) -> None:
        if refused:
            await self._keep(refused)
        await self._run(lambda file: file.remove(delivered))

    async def close(self) -> None:
        """Give it up. It is deleted if nothing is left in it."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        is_empty = False
        if self._file is not None:
            try:
                is_empty = self._file.held().is_empty
            except apsw.Error:
                is_empty = False
            self._file.close()
        self._claim.release(delete=is_empty)

    async def _keep(self, refused: Sequence[SetAside]) -> None:
        await self._own.command(lambda file: file.set_aside(refused))

    async def _run(self, run: Callable[[JournalFile], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(None, self._transact, run)

    def _transact(self, run: Callable[[JournalFile], Result]) -> Result:
        try:
            if self._file is None:
                self._file = JournalFile(self._claim.path)
            with self._file.transaction():
                return run(self._file)
        except (apsw.Error, OSError, StorageUnavailable) as exc:
            raise unavailable(exc) from exc
