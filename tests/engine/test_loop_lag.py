"""A loop that is busy is late, and says so."""

import asyncio
import time

from arouter.engine.loop_lag import TICK_S, LoopLag
from tests.engine.pipeline import playing

BUSY_S = 0.3


@playing
async def test_a_busy_loop_is_as_late_as_it_was_busy() -> None:
    told: list[float] = []
    lag = LoopLag(told.append)
    lag.start()
    await asyncio.sleep(TICK_S * 2)
    began_s = time.monotonic()
    time.sleep(BUSY_S)  # noqa: ASYNC251 – this is what is to be noticed
    busy_s = time.monotonic() - began_s
    await asyncio.sleep(TICK_S * 2)
    lag.stop()
    assert busy_s - TICK_S <= max(told)
    assert min(told) >= 0


@playing
async def test_a_watch_that_ended_knows_of_nothing_new() -> None:
    told: list[float] = []
    lag = LoopLag(told.append)
    lag.start()
    lag.stop()
    await asyncio.sleep(TICK_S * 2)
    assert told == []
