"""What becomes of a record, for whoever awaits it."""

import asyncio

import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.written import Written

FULL = StorageUnavailable("The disk is full.")


@pytest.mark.parametrize("early", [True, False])
def test_whoever_awaits_goes_on_when_it_is_written(early: bool) -> None:
    async def scene() -> None:
        written = Written(asyncio.get_running_loop())
        if early:
            written.tell(None)
        waiting = asyncio.ensure_future(_wait(written))
        await asyncio.sleep(0)
        if not early:
            assert not waiting.done()
            written.tell(None)
        await waiting
        await written

    asyncio.run(scene())


@pytest.mark.parametrize("early", [True, False])
def test_whoever_awaits_is_raised_what_went_wrong(early: bool) -> None:
    async def scene() -> None:
        written = Written(asyncio.get_running_loop())
        if early:
            written.tell(FULL)
        waiting = asyncio.ensure_future(_wait(written))
        await asyncio.sleep(0)
        if not early:
            written.tell(FULL)
        with pytest.raises(StorageUnavailable, match="full"):
            await waiting

    asyncio.run(scene())


def test_whoever_is_cancelled_changes_nothing() -> None:
    async def scene() -> None:
        written = Written(asyncio.get_running_loop())
        waiting = asyncio.ensure_future(_wait(written))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        written.tell(None)
        await written

    asyncio.run(scene())


def test_a_failure_that_nobody_asks_for_is_none_of_the_loops_business() -> None:
    complaints: list[object] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        Written(asyncio.get_running_loop()).tell(FULL)

    asyncio.run(scene())
    assert complaints == []


async def _wait(written: Written) -> None:
    await written
