"""ClickHouse's engine in this process, copies in it, and connections that break where a test says."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

from arouter.store.clickhouse.connections import Address, Client, Connections
from arouter.store.clickhouse.schema import Place
from tests.conformance.backends import inside

Result = TypeVar("Result")


def new_place() -> Place:
    """A database that nobody uses yet."""
    return Place(database=f"arouter_{uuid4().hex}")


class Killed(OSError):
    """The process died here."""


class BreakingClient:
    """A connection whose inserts break off, before or after they reached the engine."""

    def __init__(self, client: Client, breaks: list[str | None]) -> None:
        self._client = client
        self._breaks = breaks

    def command(self, sql: str, settings: Mapping[str, Any]) -> None:
        self._client.command(sql, settings)

    def query(self, sql: str, settings: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        return self._client.query(sql, settings)

    def insert(
        self,
        table: str,
        names: Sequence[str],
        types: Sequence[str],
        columns: Sequence[Sequence[Any]],
        settings: Mapping[str, Any],
    ) -> None:
        how = self._breaks.pop(0) if self._breaks else None
        if how == "before":
            raise Killed("before an insert")
        self._client.insert(table, names, types, columns, settings)
        if how == "after":
            raise Killed("after an insert")

    def close(self) -> None:
        """The engine's connection is everybody's."""


class BreakingConnections(Connections):
    """Those of a process that dies. `breaks` says it of the next inserts: "before", "after", None."""

    def __init__(self) -> None:
        super().__init__(Address(url="chdb:"), threads=1)
        self.breaks: list[str | None] = []

    async def run(self, job: Callable[[Client], Result], *, timeout_s: float | None = None) -> Result:
        return await inside().run(lambda client: self._broken(job, client), timeout_s=timeout_s)

    def _broken(self, job: Callable[[Client], Result], client: Client) -> Result:
        return job(BreakingClient(client, self.breaks))


@cache
def breaking() -> BreakingConnections:
    return BreakingConnections()
