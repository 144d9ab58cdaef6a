"""A sandbox in a thread of the test, which can look at what it was sent and who is connected."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import Sandbox, start_sandbox


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    sandbox: Sandbox

    @property
    def url(self) -> str:
        return self.sandbox.url

    @property
    def connections(self) -> int:
        """How many are open."""
        return self.sandbox.connections

    @property
    def asked(self) -> int:
        """How many of the last requests it remembers; `forget` starts anew."""
        return len(self.sandbox.requests)

    def forget(self) -> None:
        self.sandbox.requests.clear()


@contextmanager
def running_sandbox() -> Iterator[RunningSandbox]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    starting = start_sandbox("127.0.0.1", 0, Behaviour(), random=None)
    sandbox = asyncio.run_coroutine_threadsafe(starting, loop).result(timeout=10)
    try:
        yield RunningSandbox(sandbox)
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        loop.close()
