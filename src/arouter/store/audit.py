"""What a directory does with its audit log. Whoever changes the directory cannot leave it out: the store writes it."""

from collections.abc import Sequence
from typing import Protocol, Self

from arouter.domain.audit import Actor, AuditEntry, AuditQuery


class AuditLog(Protocol):
    """Every change that the directory makes appends an entry, in its own transaction. What changes nothing does not."""

    def acting(self, actor: Actor) -> Self:
        """The same directory, whose changes are noted as this one's. Without it they are the operator's."""

    async def audit_page(self, query: AuditQuery) -> Sequence[AuditEntry]:
        """Entries in the order of their numbers, or the other way round."""
