"""Tasks beside requests: kept, told, stopped."""

import asyncio

import pytest

from arouter.engine.tasks import Tasks
from tests.engine.pipeline import playing, turns


@playing
async def test_a_task_that_fails_is_told_and_one_that_ends_is_forgotten() -> None:
    failures: list[tuple[str, BaseException]] = []
    tasks = Tasks(lambda name, failure: failures.append((name, failure)))
    defect = ValueError("x")

    async def fails() -> None:
        raise defect

    tasks.start("fails", fails())
    tasks.start("ends", asyncio.sleep(0))
    assert len(tasks) == 2
    await turns()
    assert len(tasks) == 0
    assert failures == [("fails", defect)]


@playing
async def test_stopping_waits_for_all_and_for_what_they_start_on_their_way_out() -> None:
    ended: list[str] = []
    tasks = Tasks(lambda name, failure: pytest.fail(f"{name}: {failure}"))

    async def works(name: str, after: str | None) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            if after is not None:
                tasks.start(after, works(after, None))
            await asyncio.sleep(0)
            ended.append(name)

    tasks.start("first", works("first", "second"))
    await turns()
    await tasks.stop()
    assert ended[:1] == ["first"]
    assert len(tasks) == 0
    await tasks.stop()
