"""The audit log: who changed what, appended in the transaction of the change and never altered.

Each organization has a log of its own, numbered from 1. The hash of an entry covers the entry and the hash of the one
before it, so whoever has an organization's entries can check them, and learns nothing of other organizations.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from arouter.domain.adjustment import Adjustment

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NO_HASH = bytes(32)
"""What the first entry's hash covers in place of the one before."""


class ActorKind(StrEnum):
    """What acts."""

    OPERATOR = "operator"
    """Whoever has the machine: the command line, or the program itself."""
    KEY = "key"
    """A management key; the id is its hash."""
    MEMBER = "member"
    """A member who signed in, or who accepts an invitation; the id is the member's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, and by which request."""

    kind: ActorKind
    id: str | None = None
    """None for the operator."""
    request_id: str | None = None


OPERATOR = Actor(kind=ActorKind.OPERATOR)


class AuditAction(StrEnum):
    """What is done; the word before the dot is what it is done to."""

    CREATE_ORGANIZATION = "organization.create"
    UPDATE_ORGANIZATION = "organization.update"
    CREATE_WORKSPACE = "workspace.create"
    UPDATE_WORKSPACE = "workspace.update"
    DELETE_WORKSPACE = "workspace.delete"
    CREATE_MEMBER = "member.create"
    UPDATE_MEMBER = "member.update"
    DELETE_MEMBER = "member.delete"
    CREATE_INVITATION = "invitation.create"
    ACCEPT_INVITATION = "invitation.accept"
    DELETE_INVITATION = "invitation.delete"
    SET_PASSWORD = "login.set_password"  # noqa: S105 - a name
    ENROL_TOTP = "login.enrol_totp"
    CONFIRM_TOTP = "login.confirm_totp"
    REMOVE_TOTP = "login.remove_totp"
    USE_RECOVERY_CODE = "login.use_recovery_code"
    CREATE_SESSION = "session.create"
    DELETE_SESSION = "session.delete"
    CREATE_KEY = "key.create"
    UPDATE_KEY = "key.update"
    ROTATE_KEY = "key.rotate"
    DELETE_KEY = "key.delete"
    CREATE_PROVIDER_KEY = "provider_key.create"
    UPDATE_PROVIDER_KEY = "provider_key.update"
    RESEAL_PROVIDER_KEY = "provider_key.reseal"
    DELETE_PROVIDER_KEY = "provider_key.delete"
    CREATE_GUARDRAIL = "guardrail.create"
    UPDATE_GUARDRAIL = "guardrail.update"
    DELETE_GUARDRAIL = "guardrail.delete"
    UPDATE_USER = "user.update"
    CREATE_CREDIT = "credit.create"
    UPDATE_CREDIT_POOL = "credit_pool.update"
    ADJUST_RECORD = "record.adjust"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change. `before` and `after` are JSON without secrets; None where there was or is nothing."""

    organization_id: str
    no: int
    """From 1, without a gap."""
    at_us: int
    """Microseconds since the epoch; never before that of the entry before."""
    actor: Actor
    action: AuditAction
    target_id: str | None
    before: str | None
    after: str | None
    hash: bytes
    """SHA-256 over the hash of the entry before and all of the above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEnd:
    """Of an organization's last entry, what the next one needs."""

    no: int
    at_us: int
    hash: bytes


NO_ENTRY = ChainEnd(no=0, at_us=0, hash=NO_HASH)
"""The end of a chain without entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries of an organization. An empty tuple filters nothing; the range of time is half-open."""

    organization_id: str
    actors: tuple[str, ...] = ()
    """Hashes of keys, ids of members, or `operator`."""
    actions: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    """Ids."""
    start_us: int | None = None
    end_us: int | None = None
    after_no: int | None = None
    """Only those behind this one, in the order asked for."""
    descending: bool = True
    limit: int = 100


def shown(one: "DataclassInstance | None") -> str | None:
    """A thing as JSON, for `before` and `after`. What the domain knows of a thing holds no secret."""
    return None if one is None else json.dumps(asdict(one), separators=(",", ":"))


def shown_adjustments(adjustments: Sequence[Adjustment]) -> str:
    """What is written of adjustments that were made at once; each is in the ledger with all that it says."""
    told: dict[str, Any] = {
        "adjustments": len(adjustments),
        "first": adjustments[0].id,
        "last": adjustments[-1].id,
        "kinds": sorted({one.kind.value for one in adjustments}),
        "authors": sorted({one.author for one in adjustments if one.author is not None}),
        "reasons": sorted({one.reason for one in adjustments if one.reason})[:5],
    }
    return json.dumps(told, separators=(",", ":"))


def chained(
    before: AuditEntry | ChainEnd | None,
    *,
    organization_id: str,
    at_us: int,
    actor: Actor,
    action: AuditAction,
    target_id: str | None,
    was: str | None,
    now: str | None,
) -> AuditEntry:
    """The entry that follows `before`, the last one of the organization."""
    before = before or NO_ENTRY
    blank = AuditEntry(
        organization_id=organization_id,
        no=before.no + 1,
        at_us=max(at_us, before.at_us),
        actor=actor,
        action=action,
        target_id=target_id,
        before=was,
        after=now,
        hash=NO_HASH,
    )
    return replace(blank, hash=entry_hash(before.hash, blank))


def entry_hash(before: bytes, entry: AuditEntry) -> bytes:
    """The hash that an entry must have behind one whose hash is `before`: SHA-256 over it and a line of JSON."""
    line = json.dumps(
        [
            entry.organization_id,
            entry.no,
            entry.at_us,
            entry.actor.kind.value,
            entry.actor.id,
            entry.actor.request_id,
            entry.action.value,
            entry.target_id,
            entry.before,
            entry.after,
        ],
        separators=(",", ":"),
    )
    return hashlib.sha256(before + line.encode()).digest()


def faults(entry: AuditEntry, before: AuditEntry | ChainEnd) -> Iterator[str]:
    """What is wrong with an entry that was read behind `before`: one is missing, or it is not what was written."""
    if entry.no != before.no + 1:
        yield f"Entries are missing before entry {entry.no} of the audit log of {entry.organization_id}."
    if entry_hash(before.hash, entry) != entry.hash:
        yield (
            f"Entry {entry.no} of the audit log of {entry.organization_id} is not what was written: its hash differs."
        )


def matches(entry: AuditEntry, query: AuditQuery) -> bool:
    """Whether an entry is one of those asked for; `after_no`, order and limit apart."""
    return (
        entry.organization_id == query.organization_id
        and (not query.actors or (entry.actor.id or entry.actor.kind.value) in query.actors)
        and (not query.actions or entry.action.value in query.actions)
        and (not query.targets or entry.target_id in query.targets)
        and (query.start_us is None or entry.at_us >= query.start_us)
        and (query.end_us is None or entry.at_us < query.end_us)
    )
