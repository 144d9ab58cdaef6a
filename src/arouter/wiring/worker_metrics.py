"""One set of metrics for all workers."""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import count
from types import MappingProxyType
from typing import Final

from arouter.wire.metrics_text import Families, Rule, add_metrics, counting, read_metrics, write_metrics
from arouter.wiring.channel import MetricsAsked
from arouter.wiring.worker_process import WorkerProcess

WITHIN_S: Final = 1.0
"""A worker that does not answer counts with what it told before."""

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "arouter_storage_up": min,
        "arouter_outage": max,
        "arouter_journal_oldest_seconds": max,
    }
)
"""What is not added up."""


class WorkerMetrics:
    """Adds up what the workers tell, and keeps what those counted that are gone."""

    def __init__(self) -> None:
        self.died = 0
        """Workers that ended without being told to."""
        self._retired: Families = {}
        self._numbers = count(1)

    def retire(self, families: Families) -> None:
        """Of a worker that has ended, as it told them last."""
        self._retired = add_metrics((self._retired, counting(families)), RULES)

    async def text(self, workers: Iterable[WorkerProcess], *, serving: int) -> bytes:
        """The sum, and how many workers there are."""
        asked = tuple(worker for worker in workers if worker.ready.done())
        number = next(self._numbers)
        told = [worker.metrics_told(number) for worker in asked]
        for worker in asked:
            worker.send(MetricsAsked(number=number))
        if told:
            await asyncio.wait(told, timeout=WITHIN_S)
        # Who ended meanwhile is among the retired.
        living = (worker.metrics for worker in asked if worker.exit_code is None)
        return write_metrics(add_metrics((self._retired, *living, self._own(serving)), RULES))

    def _own(self, serving: int) -> Families:
        return read_metrics(
            b"# HELP arouter_workers Workers that take connections.\n"
            b"# TYPE arouter_workers gauge\n"
            b"arouter_workers %d\n"
            b"# HELP arouter_workers_died_total Workers that ended without being told to.\n"
            b"# TYPE arouter_workers_died_total counter\n"
            b"arouter_workers_died_total %d\n" % (serving, self.died)
        )
