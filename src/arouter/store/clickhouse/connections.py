"""Threads that ask ClickHouse, each with a connection of its own, and what may go wrong with it."""

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from arouter.domain.errors import InvalidRequest, NotInstalled, RateLimited, StorageUnavailable

THREADS: Final = 4
_MOST_WAITING: Final = 100
INSIDE: Final = "chdb:"
"""A URL that begins so is the engine within this process: for tests, and to try it out."""
_PORTS: Final = {"http": 8123, "https": 8443}
_TOO_MUCH: Final = frozenset({158, 159, 160, 241, 307, 396})
"""ClickHouse's codes for too many rows, too long, too slow, too much memory, too many bytes, too large an answer."""
_GONE: Final = frozenset({60, 81, 218})
"""An unknown table, an unknown database, a table that is being dropped."""

Result = TypeVar("Result")


class CopyGone(StorageUnavailable):
    """The tables are not there, or not any more."""


class Client(Protocol):
    """A connection: see `driver.Client`."""

    def command(self, sql: str, settings: Mapping[str, Any]) -> None: ...
    def query(self, sql: str, settings: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]: ...
    def insert(
        self,
        table: str,
        names: Sequence[str],
        types: Sequence[str],
        columns: Sequence[Sequence[Any]],
        settings: Mapping[str, Any],
    ) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server and who asks it."""

    url: str
    """`http://host:8123`, `https://host:8443`, or `chdb:path`; without a user and a password."""
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Without the password: it must not get into a log."""
        return f"Address({self.url!r})"

    def check(self) -> None:
        """ValueError for a URL that is none of these."""
        if self.url.startswith(INSIDE):
            return
        try:
            parts = urlsplit(self.url)
            port_is_sound = parts.port != 0
        except ValueError:
            port_is_sound, parts = False, urlsplit("")
        if parts.scheme not in _PORTS or not parts.hostname or not port_is_sound:
            raise ValueError("must be http://host:8123 or https://host:8443")
        if parts.username or parts.password:
            raise ValueError("must not have a user or a password in it: they are settings of their own")


def load_driver() -> Any:
    """The module `driver`. NotInstalled where the extra is not installed."""
    try:
        return importlib.import_module("arouter.store.clickhouse.driver")
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] != "clickhouse_connect":
            raise
        raise NotInstalled("clickhouse-connect is not installed: `pip install 'arouter[clickhouse]'`") from exc


class Connections:
    """Connects when it is first asked, and anew after a failure."""

    def __init__(self, address: Address, *, threads: int = THREADS) -> None:
        self._address = address
        self._most = threads + _MOST_WAITING
        self._jobs = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="clickhouse")
        self._idle: SimpleQueue[Client] = SimpleQueue()

    async def run(self, job: Callable[[Client], Result], *, timeout_s: float | None = None) -> Result:
        """What `job` returns, run on a thread.

        InvalidRequest `query_too_heavy` if ClickHouse gave it up because of what it costs, RateLimited if too many
        wait, CopyGone if the tables are not there, StorageUnavailable if it cannot be reached or fails, NotInstalled
        without the extra. `timeout_s` is for the message only.
        """
        if self._jobs >= self._most:
            raise RateLimited(
                "Too many questions are being answered at the moment; ask again soon.",
                code="too_many_queries",
                retry_after_s=1,
            )
        self._jobs += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, job, timeout_s)
        finally:
            self._jobs -= 1

    def close(self) -> None:
        """Blocks until what runs has ended."""
        self._pool.shutdown(cancel_futures=True)
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _run(self, job: Callable[[Client], Result], timeout_s: float | None) -> Result:
        driver = load_driver()
        try:
            client = self._taken(driver)
            try:
                result = job(client)
            except driver.ClickHouseError as exc:
                if getattr(exc, "code", None) is None:
                    client.close()
                else:
                    self._idle.put(client)
                raise
            except BaseException:
                client.close()
                raise
        except driver.ClickHouseError as exc:
            raise _failure(exc, timeout_s) from exc
        except OSError as exc:
            raise StorageUnavailable("ClickHouse cannot be reached.", detail=str(exc)) from exc
        self._idle.put(client)
        return result

    def _taken(self, driver: Any) -> Client:
        try:
            return self._idle.get_nowait()
        except Empty:
            return _connect(driver, self._address)


def _connect(driver: Any, address: Address) -> Client:
    if address.url.startswith(INSIDE):
        inside: Client = driver.connect_inside(address.url.removeprefix(INSIDE) or ":memory:")
        return inside
    parts = urlsplit(address.url)
    client: Client = driver.connect(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        secure=parts.scheme == "https",
        user=address.user or "default",
        password=address.password,
    )
    return client


def _failure(exc: Exception, timeout_s: float | None) -> InvalidRequest | StorageUnavailable:
    code = getattr(exc, "code", None)
    if code in _TOO_MUCH:
        limit = "more than it may" if code not in (159, 160) or timeout_s is None else f"longer than {timeout_s:g} s"
        return InvalidRequest(
            f"The answer took {limit}. Narrow the range from `start` to `end`, group by fewer dimensions, or leave "
            "`users` and percentiles out of `metrics`.",
            code="query_too_heavy",
        )
    if code in _GONE:
        return CopyGone("The copy in ClickHouse is not there.", detail=str(exc))
    return StorageUnavailable("ClickHouse cannot answer at the moment.", detail=str(exc))
