"""Entries of the audit log as JSON, NDJSON and CSV."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from arouter.domain.audit import AuditEntry
from arouter.wire import csv_cells
from arouter.wire.instants import write_instant

COLUMNS = ("no", "at", "actor", "actor_id", "request_id", "action", "target_id", "before", "after", "hash")


class AuditObject(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `before` and `after` are the thing that was changed, null where there was or is none.

    `hash` is SHA-256 over the hash of the entry before, 32 bytes, and the entry: docs/organizations.md says how.
    """

    no: int
    at: str
    actor: Literal["operator", "key", "member"]
    actor_id: str | None
    request_id: str | None
    action: str
    target_id: str | None
    before: msgspec.Raw | None
    after: msgspec.Raw | None
    hash: str


class AuditPage(msgspec.Struct, frozen=True):
    data: list[AuditObject]
    next_cursor: str | None


def audit_object(entry: AuditEntry) -> AuditObject:
    """An entry in its public form."""
    return AuditObject(
        no=entry.no,
        at=write_instant(entry.at_us),
        actor=entry.actor.kind.value,
        actor_id=entry.actor.id,
        request_id=entry.actor.request_id,
        action=entry.action.value,
        target_id=entry.target_id,
        before=_raw(entry.before),
        after=_raw(entry.after),
        hash=entry.hash.hex(),
    )


def encode_audit_page(entries: Sequence[AuditEntry], next_cursor: str | None) -> bytes:
    return msgspec.json.encode(AuditPage([audit_object(entry) for entry in entries], next_cursor))


def encode_audit_lines(entries: Sequence[AuditEntry]) -> bytes:
    """NDJSON."""
    return b"".join(msgspec.json.encode(audit_object(entry)) + b"\n" for entry in entries)


def encode_audit_header() -> bytes:
    """The first line of CSV."""
    return csv_cells.row(COLUMNS).encode()


def encode_audit_rows(entries: Sequence[AuditEntry]) -> bytes:
    """CSV; `before` and `after` are texts of JSON."""
    return "".join(csv_cells.row(_cells(entry)) for entry in entries).encode()


def _cells(entry: AuditEntry) -> list[csv_cells.Cell]:
    shown = audit_object(entry)
    changed: dict[str, csv_cells.Cell] = {"before": entry.before, "after": entry.after}
    return [changed[name] if name in changed else getattr(shown, name) for name in COLUMNS]


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())
