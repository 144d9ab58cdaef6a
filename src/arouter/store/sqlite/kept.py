"""What the storage refused, kept in memory to be tried again."""

from collections.abc import Sequence
from typing import Final

from arouter.domain.record import Opening, Record
from arouter.store.limits import check_record

MOST_KEPT: Final = 100_000
"""Records of requests that cost nothing which are kept in memory while the disk refuses them."""


class Kept:
    """Intents and records, in order. Lives on the writer's thread; its counts may be asked by any."""

    def __init__(self) -> None:
        self.openings: dict[str, Opening] = {}
        self.records: dict[str, Record] = {}
        self.delayed = 0
        """Records that were kept to be tried again, since the start."""
        self.lost = 0
        """Records that were given up, since the start: they cannot be stored, or too many waited."""

    def keep_openings(self, openings: Sequence[Opening]) -> None:
        for opening in openings:
            if len(self.openings) < MOST_KEPT:
                self.openings.setdefault(opening.id, opening)

    def keep(self, record: Record) -> ValueError | None:
        """What is wrong with it if that would be in vain.

        Of records that cost nothing only so many are kept; the others are as many as requests were running, since no
        new ones are.
        """
        try:
            check_record(record)
        except ValueError as problem:
            self.lost += 1
            return problem
        if not record.attempts and len(self.records) >= MOST_KEPT:
            self.lost += 1
        elif record.opening.id not in self.records:
            self.records[record.opening.id] = record
            self.delayed += 1
        return None

    def forget_intents(self) -> None:
        """Those whose records are kept."""
        for record_id in self.records:
            self.openings.pop(record_id, None)
