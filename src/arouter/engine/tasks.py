"""The one place that starts tasks: it keeps a reference to each, and a task that fails is told, not forgotten.

The event loop itself holds tasks weakly, so that a task nobody holds may vanish half-way.
"""

import asyncio
from collections.abc import Callable, Coroutine


class Tasks:
    """The tasks that run beside requests."""

    def __init__(self, on_failure: Callable[[str, BaseException], None]) -> None:
        """`on_failure` gets the name and the exception of a task that failed."""
        self._on_failure = on_failure
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Run `work` beside the caller, from the loop's next turn on."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._on_failure(task.get_name(), failure)

    async def stop(self) -> None:
        """Cancel everything that still runs, and what that starts on its way out, and wait for it."""
        while running := tuple(self._running):
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
