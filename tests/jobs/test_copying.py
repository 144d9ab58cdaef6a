"""The job that copies: everything there is, then what expired; it tells of the first failure only, and goes on."""

import asyncio

from arouter.domain.errors import StorageUnavailable
from arouter.jobs.copying import Copying
from arouter.store.feed import ForeignPosition
from arouter.store.routed import FOREIGN


class Copies:
    """A copier with so many steps before it, that fails when it is told to."""

    def __init__(self, steps: int, expired: int = 0) -> None:
        self.steps = steps
        self.expired = expired
        self.failure: Exception | None = None
        self.forgotten = 0
        self.done = asyncio.Event()

    async def step(self) -> object | None:
        if self.failure is not None:
            raise self.failure
        if self.steps == 0:
            self.done.set()
            return None
        self.steps -= 1
        return self

    async def forget_expired(self) -> int:
        self.forgotten += 1
        expired, self.expired = self.expired, 0
        return expired


def job(copies: Copies, failures: list[str], days: list[int]) -> Copying:
    return Copying(copies, on_failure=lambda message, detail: failures.append(message), on_forgotten=days.append)


def test_all_steps_are_done_and_then_what_expired_is_forgotten() -> None:
    async def run() -> None:
        copies, failures, days = Copies(3, expired=2), list[str](), list[int]()
        copying = job(copies, failures, days)
        assert await copying.once()
        assert (copies.steps, days, failures) == (0, [2], [])
        assert await copying.once()
        assert copies.forgotten == 1  # not again so soon

    asyncio.run(run())


def test_the_first_failure_of_several_is_told() -> None:
    async def run() -> None:
        copies, failures, days = Copies(1), list[str](), list[int]()
        copying = job(copies, failures, days)
        for failure, told in (
            (StorageUnavailable("away"), ["away"]),
            (StorageUnavailable("away"), ["away"]),
            (ForeignPosition("another"), ["away"]),
            (None, ["away"]),
            (ForeignPosition("another"), ["away", FOREIGN]),
        ):
            copies.failure = failure
            assert await copying.once() is (failure is None)
            assert failures == told

    asyncio.run(run())


def test_it_runs_until_it_is_cancelled() -> None:
    async def run() -> None:
        copies = Copies(5)
        task = asyncio.ensure_future(job(copies, [], []).run(0.001))
        await asyncio.wait_for(copies.done.wait(), 10)
        copies.done.clear()
        await asyncio.wait_for(copies.done.wait(), 10)
        task.cancel()
        assert copies.steps == 0

    asyncio.run(run())
