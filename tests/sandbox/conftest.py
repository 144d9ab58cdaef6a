"""A sandbox that runs in a thread of its own, so that blocking clients can talk to it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvloop

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import Sandbox, start_sandbox


@contextmanager
def running(behaviour: Behaviour, *, fast_loop: bool = False) -> Iterator[Sandbox]:
    """A sandbox on a free port, on the plain event loop or on uvloop."""
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop() if fast_loop else asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sandbox = asyncio.run_coroutine_threadsafe(start_sandbox("127.0.0.1", 0, behaviour, random=None), loop).result(
        timeout=5
    )
    try:
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(timeout=5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        loop.close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(Behaviour()) as started:
        yield started


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def either_loop(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with running(Behaviour(), fast_loop=request.param == "uvloop") as started:
        yield started
