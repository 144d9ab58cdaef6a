"""PostgreSQL against the reference: the same operations in any order, the same answers to the last digit."""

from pathlib import Path

from hypothesis import settings

from tests.conformance.backends import Backend, postgres
from tests.store.test_sqlite_stateful import BothLedgers


class PostgresToo(BothLedgers):
    """Without the faults of a disk: what becomes of a server that is away is tested beside."""

    the_disk_refuses = None  # type: ignore[assignment]

    def tested(self, folder: Path) -> Backend:
        return postgres(folder)


PostgresToo.TestCase.settings = settings(max_examples=5, stateful_step_count=15, deadline=None)
test_postgres_gives_the_same_answers = PostgresToo.TestCase
