"""The copy in ClickHouse that the settings name: who writes it, and the ledger that asks it.

The library of ClickHouse is loaded when the copy is first asked, and never where none is configured.
"""

import asyncio
import importlib.util
from typing import Any, Final

import structlog

from arouter.engine.clock import Clock
from arouter.jobs.copying import Copying
from arouter.settings import Settings, SettingsError
from arouter.store.base import Directory, Ledger
from arouter.store.clickhouse.connections import Address, Connections
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from arouter.store.clickhouse.schema import BadName, Place
from arouter.store.feed import Feed
from arouter.store.routed import RoutedColumnarLedger

_PATIENCE_S: Final = 10.0
"""How long one process leaves a stretch to another that has begun with it."""
_AT_ONCE: Final = 5_000
"""Records in one stretch: making rows of them must not keep requests waiting."""
_SECOND_US: Final = 1_000_000


def copy_place(settings: Settings) -> Place:
    """The database and the cluster. SettingsError for names that cannot be."""
    try:
        return Place(database=settings.clickhouse.database, cluster=settings.clickhouse.cluster)
    except BadName as exc:
        raise SettingsError(f"clickhouse: {exc}") from exc


def copy_address(settings: Settings) -> Address:
    """The server. SettingsError if none is configured, the URL is none, or the extra is not installed."""
    told = settings.clickhouse
    if not told.url:
        raise SettingsError("clickhouse.url is not set: there is no copy in ClickHouse")
    address = Address(url=told.url, user=told.user, password=told.password)
    try:
        address.check()
    except ValueError as exc:
        raise SettingsError(f"clickhouse.url {exc}") from exc
    if importlib.util.find_spec("clickhouse_connect") is None:
        raise SettingsError("clickhouse.url needs clickhouse-connect: `pip install 'arouter[clickhouse]'`")
    return address


def check_copy(settings: Settings) -> None:
    """SettingsError if a copy is configured that cannot be."""
    if settings.clickhouse.url:
        copy_place(settings)
        copy_address(settings)


class WithCopy:
    """A ledger and its copy, if one is configured."""

    def __init__(self, settings: Settings, ledger: Ledger, feed: Feed, directory: Directory, clock: Clock) -> None:
        """SettingsError for settings of the copy that cannot be."""
        self.ledger = ledger
        """Who answers questions about the activity."""
        self._connections: list[Connections] = []
        self._copying: Copying | None = None
        self._every_s = settings.clickhouse.follow_every_s
        self._log: Any = structlog.get_logger("arouter")
        if settings.clickhouse.url:
            self._begin(settings, ledger, feed, directory, clock)

    def _begin(self, settings: Settings, ledger: Ledger, feed: Feed, directory: Directory, clock: Clock) -> None:
        told, place, address = settings.clickhouse, copy_place(settings), copy_address(settings)
        # Whoever asks does not wait for whoever copies.
        asking, copying = Connections(address), Connections(address, threads=1)
        self._connections = [asking, copying]
        self._copying = Copying(
            Copier(copying, place, feed, at_once=_AT_ONCE, patience_s=_PATIENCE_S),
            on_failure=lambda why, detail: self._log.error("the copy falls behind", reason=why, detail=detail),
            on_forgotten=lambda days: self._log.info("days of records deleted from the copy", days=days),
        )
        self.ledger = RoutedColumnarLedger(
            ledger,
            feed,
            ClickHouseReader(asking, Copier(asking, place, feed), directory, most_memory_bytes=told.most_memory_bytes),
            now_us=clock.now_us,
            most_lag_us=round(told.most_lag_s * _SECOND_US),
            on_failure=lambda why, detail: self._log.warning("the copy does not answer", reason=why, detail=detail),
        )

    async def run(self) -> None:
        """Follow the ledger, until cancelled."""
        if self._copying is not None:
            await self._copying.run(self._every_s)

    async def close(self) -> None:
        """What runs ends first."""
        for each in self._connections:
            await asyncio.get_running_loop().run_in_executor(None, each.close)
