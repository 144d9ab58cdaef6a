"""`AuditLog` over a list: part of the reference backend."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Self

from arouter.domain.adjustment import Adjustment
from arouter.domain.audit import (
    OPERATOR,
    Actor,
    AuditAction,
    AuditEntry,
    AuditQuery,
    chained,
    matches,
    shown,
    shown_adjustments,
)
from arouter.domain.directory_changes import Thing
from arouter.domain.record import Opening

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(slots=True)
class Trail:
    """Every organization's entries."""

    clock: Callable[[], int]
    entries: dict[str, list[AuditEntry]] = field(default_factory=dict)
    changes: list[Thing] = field(default_factory=list)
    """What each revision of the directory changed."""

    def note(
        self,
        actor: Actor,
        action: AuditAction,
        organization_id: str,
        target_id: str | None,
        was: str | None,
        now: str | None,
    ) -> None:
        mine = self.entries.setdefault(organization_id, [])
        entry = chained(
            mine[-1] if mine else None,
            organization_id=organization_id,
            at_us=self.clock(),
            actor=actor,
            action=action,
            target_id=target_id,
            was=was,
            now=now,
        )
        mine.append(entry)

    def note_adjustments(self, new: Iterable[tuple[Opening, Adjustment]]) -> None:
        """Those that were made at once: an entry for each organization."""
        by_organization: dict[str, list[Adjustment]] = {}
        for opening, one in new:
            by_organization.setdefault(opening.organization_id, []).append(one)
        for organization_id, some in by_organization.items():
            target_id = some[0].record_id if len(some) == 1 else None
            self.note(OPERATOR, AuditAction.ADJUST_RECORD, organization_id, target_id, None, shown_adjustments(some))


class MemoryAudit:
    """What the parts of the directory have in common."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        self._actor = OPERATOR

    def acting(self, actor: Actor) -> Self:
        bound = copy.copy(self)
        bound._actor = actor
        return bound

    async def audit_page(self, query: AuditQuery) -> Sequence[AuditEntry]:
        mine = self._trail.entries.get(query.organization_id, [])
        found = (entry for entry in (reversed(mine) if query.descending else mine) if matches(entry, query))
        behind = (
            entry
            for entry in found
            if query.after_no is None or (entry.no < query.after_no if query.descending else entry.no > query.after_no)
        )
        return tuple(islice(behind, query.limit))

    def _note(
        self,
        action: AuditAction,
        organization_id: str,
        target_id: str,
        was: "DataclassInstance | None",
        now: "DataclassInstance | None",
        *,
        raises_revision: bool = True,
    ) -> None:
        self._trail.note(self._actor, action, organization_id, target_id, shown(was), shown(now))
        if raises_revision:
            self._trail.changes.append((action, organization_id, target_id))
