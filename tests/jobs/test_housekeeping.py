"""Days are sealed and expire beside requests, again and again, however the storage is."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from arouter.domain.errors import StorageUnavailable
from arouter.jobs.housekeeping import DAY_US, Days, Housekeeping
from arouter.store.sqlite import SqliteStore
from tests.conformance.samples import NOON_US, record


@dataclass(frozen=True)
class Done:
    days: int
    records: int


class Archive:
    """Whose sealing goes as a list says: what was sealed, None if somebody else is at it, or a failure."""

    def __init__(self, outcomes: list[Done | StorageUnavailable | None]) -> None:
        self.outcomes = outcomes
        self.asked: list[tuple[str, int | None]] = []

    async def seal(self, *, before_us: int) -> Days | None:
        self.asked.append(("seal", before_us))
        if not self.outcomes:
            raise asyncio.CancelledError
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, StorageUnavailable):
            raise outcome
        return outcome

    async def expire(self, *, default_days: int | None, now_us: int) -> Days | None:
        self.asked.append(("expire", default_days))
        return Done(0, 0)


def test_it_looks_again_and_again_and_tells_the_first_failure_of_several() -> None:
    away = StorageUnavailable("The disk is away.")
    archive = Archive([Done(2, 30), None, Done(0, 0), away, away, Done(1, 4), away])
    done: list[tuple[str, int]] = []
    failures: list[StorageUnavailable] = []
    keeping = Housekeeping(
        archive,
        archive,
        seal_after_days=3,
        retention_days=9,
        now_us=lambda: 10 * DAY_US,
        on_done=lambda what, days: done.append((what, days.records)),
        on_failure=failures.append,
    )

    async def until_the_end() -> None:
        with suppress(asyncio.CancelledError):
            await keeping.run(0.001, 0.0)

    asyncio.run(until_the_end())
    assert done == [("sealed", 30), ("sealed", 4)]
    assert failures == [away, away]
    assert archive.asked[:2] == [("expire", 9), ("seal", 7 * DAY_US)]


def test_partitions_are_made_before_days_expire_and_dropped_afterwards() -> None:
    archive = Archive([])

    class Partitions:
        async def make_ahead(self, *, now_us: int) -> None:
            archive.asked.append(("make", now_us))

        async def drop_empty(self, *, now_us: int) -> int:
            archive.asked.append(("drop", now_us))
            return 0

    keeping = Housekeeping(
        archive,
        None,
        Partitions(),
        seal_after_days=None,
        retention_days=9,
        now_us=lambda: DAY_US,
        on_done=lambda what, days: None,
        on_failure=lambda failure: None,
    )
    asyncio.run(keeping.once())
    assert archive.asked == [("make", DAY_US), ("expire", 9), ("drop", DAY_US)]


def test_without_settings_nothing_is_sealed_and_nothing_expires(tmp_path: Path) -> None:
    async def scenario() -> int:
        store = SqliteStore.open(str(tmp_path / "arouter.db"), clock=lambda: NOON_US)
        await store.start()
        await store.ledger.close(record("gen-1"))
        keeping = Housekeeping(
            store.retention,
            store.archive,
            seal_after_days=None,
            retention_days=None,
            now_us=lambda: NOON_US + 1_000 * DAY_US,
            on_done=lambda what, days: None,
            on_failure=lambda failure: None,
        )
        await keeping.once()
        unsealed = await store.archive.unsealed(before_us=NOON_US + DAY_US)
        await store.close()
        return sum(day.records for day in unsealed)

    assert asyncio.run(scenario()) == 1
