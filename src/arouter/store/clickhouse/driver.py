"""The one module that imports the client library of ClickHouse. Loaded by `connections.load_driver` alone."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError as ClickHouseError

__all__ = ["ClickHouseError", "connect"]

_CONNECT_TIMEOUT_S = 3
_ANSWER_TIMEOUT_S = 300


class Client:
    """One connection, for one thread at a time."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def command(self, sql: str, settings: Mapping[str, Any]) -> None:
        """A statement without rows. ClickHouseError or OSError if it fails."""
        self._client.command(sql, settings=dict(settings))

    def query(self, sql: str, settings: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """The rows of one."""
        rows: Sequence[tuple[Any, ...]] = self._client.query(sql, settings=dict(settings)).result_rows
        return rows

    def insert(
        self,
        table: str,
        names: Sequence[str],
        types: Sequence[str],
        columns: Sequence[Sequence[Any]],
        settings: Mapping[str, Any],
    ) -> None:
        """Rows, as columns. `table` is with its database."""
        database, _, name = table.partition(".")
        self._client.insert(
            name,
            columns,
            column_names=names,
            database=database,
            column_type_names=types,
            column_oriented=True,
            settings=dict(settings),
        )

    def close(self) -> None:
        self._client.close()


def connect(*, host: str, port: int, secure: bool, user: str, password: str) -> Client:
    """To a server, over HTTP."""
    # Whoever asks tells of a failure, in one line; the library would add a page.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL + 1)
    return Client(
        clickhouse_connect.get_client(
            host=host,
            port=port,
            interface="https" if secure else "http",
            username=user,
            password=password,
            connect_timeout=_CONNECT_TIMEOUT_S,
            send_receive_timeout=_ANSWER_TIMEOUT_S,
            # Each statement on its own: several threads may ask at once.
            autogenerate_session_id=False,
            show_clickhouse_errors="scrub",
        )
    )


def connect_inside(path: str) -> Client:
    """To the engine within this process, with its data below `path`. Needs the package chdb-core."""
    return Client(clickhouse_connect.get_client(interface="chdb", path=path))
