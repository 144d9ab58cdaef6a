"""The archive for an event loop: what takes long runs on a thread of its own, in short transactions of the writer's."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import apsw

from arouter.domain.audit import OPERATOR, AuditAction
from arouter.store.sqlite.audit import append_entry
from arouter.store.sqlite.names import to_json
from arouter.store.sqlite.sealed import archive
from arouter.store.sqlite.sealing import OnProgress, Sealed, Sealer, UnsealedDay
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.writer import Writer
from arouter.store.stores import Expired

Result = TypeVar("Result")


class Archivist:
    """Days of records, sealed and forgotten."""

    def __init__(self, path: str, writer: Writer, clock: Callable[[], int]) -> None:
        self._writer = writer
        self._clock = clock
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

    async def expire(
        self, *, default_days: int | None, now_us: int, on_progress: OnProgress = lambda records: None
    ) -> Expired | None:
        """Delete the records of days that ended more than so many days ago; their sums stay. None if another process
        seals or deletes. An organization's own number of days goes before the default."""
        return await self._run(lambda: self._sealer.expire(default_days, now_us, on_progress))

    async def retention_days(self, organization_id: str) -> int | None:
        """How many days an organization keeps its records; None for as the settings say."""

        def run(connection: apsw.Connection) -> int | None:
            found = connection.execute(queries()["retention_of"], (organization_id,)).get
            return None if found is None else int(found)

        return await self._run(lambda: self._writer.chore(run))

    async def set_retention_days(self, organization_id: str, days: int | None) -> None:
        def run(connection: apsw.Connection) -> None:
            was = connection.execute(queries()["retention_of"], (organization_id,)).get
            connection.execute(queries()["set_retention"], (days, organization_id))
            if connection.changes():
                append_entry(
                    connection,
                    OPERATOR,
                    AuditAction.UPDATE_ORGANIZATION,
                    organization_id=organization_id,
                    target_id=organization_id,
                    was=to_json({"retention_days": was}),
                    now=to_json({"retention_days": days}),
                    at_us=self._clock(),
                )

        await self._run(lambda: self._writer.chore(run))

    async def name_numbers(self, texts: Sequence[str]) -> Mapping[str, int]:
        """The numbers of texts that records name (ids of organizations, workspaces and keys, models, statuses, tags,
        all that `rows.NAMED` has), given out where there is none yet."""

        def run(connection: apsw.Connection) -> Mapping[str, int]:
            return {text: self._writer.appender.numbers.name(connection, text) for text in texts}

        return await self._run(lambda: self._writer.chore(run))

    async def user_numbers(self, organization_id: str, users: Sequence[str]) -> Sequence[int]:
        """The numbers of an organization's users, in the order of `users`, given out where there is none yet."""

        def run(connection: apsw.Connection) -> Sequence[int]:
            numbers = self._writer.appender.numbers
            organization_no = numbers.name(connection, organization_id)
            return numbers.users(connection, [(organization_no, user) for user in users])

        return await self._run(lambda: self._writer.chore(run))

    async def load(self, table: Any, *, organization_id: str, day: int) -> None:
        """Load a day of records, an Arrow table as `archive.loading` says, as sealed. `day` counts from the epoch.

        ValueError for a table that breaks the contract: then nothing is loaded. Nothing else is written meanwhile.
        """
        numbers = await self.name_numbers([organization_id])
        loading = archive("loading")
        prepared = await self._run(lambda: loading.prepare(table, numbers[organization_id], day))

        def run(connection: apsw.Connection) -> None:
            loading.load(connection, self._writer.appender, prepared, self._clock())

        await self._run(lambda: self._writer.chore(run))

    def close(self) -> None:
        """Blocks until the step that runs has ended."""
        self._sealer.stop()
        self._pool.shutdown(cancel_futures=True)

    async def _run(self, job: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, job)
