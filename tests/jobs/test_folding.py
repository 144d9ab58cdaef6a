"""Closed days get columns beside requests, however the storage is."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from arouter.domain.errors import StorageUnavailable
from arouter.jobs.folding import Folding
from arouter.store.buckets import DAY_US
from arouter.store.sqlite import SqliteStore
from arouter.store.sqlite.folded import FEW_ROLLUPS
from tests.conformance.backends import sqlite
from tests.conformance.samples import append, record


class Store:
    """Whose days to fold go as a list says: some, or that the storage is away."""

    def __init__(self, outcomes: list[Sequence[str] | None]) -> None:
        self.outcomes = outcomes
        self.folded: list[str] = []

    async def days_to_fold(self, now_us: int) -> Sequence[str]:
        if not self.outcomes:
            raise asyncio.CancelledError
        if (outcome := self.outcomes.pop(0)) is None:
            raise StorageUnavailable("The disk is away.")
        return outcome

    async def fold(self, day: str, now_us: int) -> bool:
        self.folded.append(day)
        return day != "taken"


def test_it_looks_again_and_again() -> None:
    store = Store([[], ["a", "taken"], None, ["b"]])
    folding = Folding(store, now_us=lambda: 7, between_s=0)

    async def until_the_end() -> None:
        with suppress(asyncio.CancelledError):
            await folding.run(0.001)

    asyncio.run(until_the_end())
    assert store.folded == ["a", "taken", "b"]
    assert folding.folded == 2


def test_a_day_with_few_rollups_is_left_alone(tmp_path: Path) -> None:
    backend = sqlite(tmp_path)
    day = 20_000
    for number, rollups in enumerate((FEW_ROLLUPS - 1, FEW_ROLLUPS)):
        at = (day + number) * DAY_US
        append(
            backend,
            *(record(f"gen-{at}-{n}", opened={"created_at_us": at, "user": f"u{n}"}) for n in range(rollups)),
        )
    assert isinstance(backend.store, SqliteStore)
    folding = Folding(backend.store, now_us=lambda: (day + 9) * DAY_US, between_s=0)
    assert backend.run(folding.once()) == 1
    assert backend.run(folding.once()) == 0
    backend.stop()
