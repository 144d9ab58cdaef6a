"""What is in a directory, as rows of a database and back: the same columns in every engine.

A row's values are in the order of its columns. Flags are booleans, or numbers where an engine has none.
"""

from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from arouter.domain.audit import Actor, ActorKind, AuditAction, AuditEntry
from arouter.domain.credits import CreditEntry, CreditKind, CreditPool
from arouter.domain.directory_changes import DirectoryChanges, Thing
from arouter.domain.guardrails import Guardrail, Lists, Target, UserRules
from arouter.domain.keys import ActivityScope, Key, KeyKind, LimitReset, UserPolicy
from arouter.domain.limits import Limits
from arouter.domain.money import Picodollars
from arouter.domain.organizations import Invitation, Member, Organization, Workspace
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.domain.roles import Role
from arouter.domain.sign_in import Login, Session

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")

Value = str | int | bytes | None
Row = Sequence[Any]

CHANGEABLE_KEY_COLUMNS = (
    "hash",
    "name",
    "kind",
    "label",
    "organization_id",
    "workspace_id",
    "creator",
    "created_at_us",
    "updated_at_us",
    "expires_at_us",
    "disabled",
    "spending_limit",
    "limit_reset",
    "allowed_providers",
    "allowed_models",
    "user_policy",
    "fixed_user",
    "activity_scope",
    "rate_limit",
    "default_user_limits",
)
KEY_COLUMNS = (*CHANGEABLE_KEY_COLUMNS, "previous_expires_at_us")
"""The last one is changed by a rotation alone."""
_PROVIDER_KEY_COLUMNS = (
    "id",
    "organization_id",
    "api_key_hash",
    "provider",
    "name",
    "label",
    "creator",
    "created_at_us",
    "updated_at_us",
    "disabled",
    "byok_fallback",
)
PROVIDER_KEY_COLUMNS = (*_PROVIDER_KEY_COLUMNS, "sealed_with", "nonce", "ciphertext")
"""The last three are what is sealed."""
GUARDRAIL_COLUMNS = (
    "id",
    "organization_id",
    "name",
    "target",
    "target_id",
    "limits",
    "lists",
    "disabled",
    "creator",
    "created_at_us",
    "updated_at_us",
)
USER_RULES_COLUMNS = (
    "organization_id",
    "name",
    "limits",
    "blocked",
    "reason",
    "blocked_at_us",
    "updated_at_us",
)
CREDIT_COLUMNS = (
    "id",
    "organization_id",
    "created_at_us",
    "kind",
    "amount",
    "description",
    "reference",
    "idempotency_key",
)
CREDIT_POOL_COLUMNS = (
    "organization_id",
    "enabled",
    "total",
    "cost_at_end",
)
AUDIT_COLUMNS = (
    "organization_id",
    "no",
    "at_us",
    "actor_kind",
    "actor_id",
    "request_id",
    "action",
    "target_id",
    "before",
    "after",
    "hash",
)


def to_json(values: object) -> str:
    """What is only ever read whole is kept as JSON."""
    return msgspec.json.encode(values).decode()


# ---------------------------------------------------------------- organizations, workspaces, members, invitations


def columns_of(form: "type[DataclassInstance]") -> tuple[str, ...]:
    """The columns of what is kept as its fields are."""
    return tuple(field.name for field in fields(form))


def values_of(one: Organization | Workspace | Member | Invitation | Session) -> tuple[Value, ...]:
    """The values of `columns_of`."""
    return tuple(to_json(value) if isinstance(value, tuple) else value for value in astuple(one))


def read_one(form: type[T], row: Row) -> T:
    """The value of a row of `columns_of(form)`."""
    values = dict(zip(columns_of(form), row, strict=True))
    for name in ("archived", "disabled"):
        if name in values:
            values[name] = bool(values[name])
    if "workspace_ids" in values:
        values["workspace_ids"] = msgspec.json.decode(values["workspace_ids"], type=tuple[str, ...])
    if "role" in values:
        values["role"] = Role(values["role"])
    return form(**values)


# ---------------------------------------------------------------- keys


def key_values(key: Key) -> tuple[Value, ...]:
    """The values of `CHANGEABLE_KEY_COLUMNS`."""
    return (
        key.hash,
        key.name,
        key.kind.value,
        key.label,
        key.organization_id,
        key.workspace_id,
        key.creator,
        key.created_at_us,
        key.updated_at_us,
        key.expires_at_us,
        key.disabled,
        key.limit,
        None if key.limit_reset is None else key.limit_reset.value,
        None if key.allowed_providers is None else to_json(key.allowed_providers),
        None if key.allowed_models is None else to_json(key.allowed_models),
        key.user_policy.value,
        key.fixed_user,
        key.activity_scope.value,
        None if key.rate_limit is None else to_json(key.rate_limit),
        None if key.default_user_limits is None else to_json(key.default_user_limits),
    )


def read_key(row: Row) -> Key:
    """The key of a row of `KEY_COLUMNS`."""
    value = dict(zip(KEY_COLUMNS, row, strict=True))
    limit, reset = value["spending_limit"], value["limit_reset"]
    return Key(
        hash=value["hash"],
        name=value["name"],
        kind=KeyKind(value["kind"]),
        label=value["label"],
        organization_id=value["organization_id"],
        workspace_id=value["workspace_id"],
        creator=value["creator"],
        created_at_us=value["created_at_us"],
        updated_at_us=value["updated_at_us"],
        expires_at_us=value["expires_at_us"],
        disabled=bool(value["disabled"]),
        limit=None if limit is None else Picodollars(limit),
        limit_reset=None if reset is None else LimitReset(reset),
        allowed_providers=_texts(value["allowed_providers"]),
        allowed_models=_texts(value["allowed_models"]),
        user_policy=UserPolicy(value["user_policy"]),
        fixed_user=value["fixed_user"],
        activity_scope=ActivityScope(value["activity_scope"]),
        rate_limit=_limits(value["rate_limit"]),
        default_user_limits=_limits(value["default_user_limits"]),
        previous_expires_at_us=value["previous_expires_at_us"],
    )


def _limits(text: str | None) -> Limits | None:
    return None if text is None else msgspec.json.decode(text, type=Limits)


def _texts(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else msgspec.json.decode(text, type=tuple[str, ...])


def provider_key_values(key: ProviderKey, sealed: Sealed) -> tuple[Value, ...]:
    """The values of `PROVIDER_KEY_COLUMNS`."""
    return (
        key.id,
        key.organization_id,
        key.api_key_hash,
        key.provider,
        key.name,
        key.label,
        key.creator,
        key.created_at_us,
        key.updated_at_us,
        key.disabled,
        key.byok_fallback,
        *sealed_values(sealed),
    )


def sealed_values(sealed: Sealed) -> tuple[Value, ...]:
    """What is sealed, in the order of its columns."""
    return (sealed.key_id, sealed.nonce, sealed.ciphertext)


def read_provider_key(row: Row) -> tuple[ProviderKey, Sealed]:
    """The key of a row of `PROVIDER_KEY_COLUMNS`, and its secret."""
    value = dict(zip(PROVIDER_KEY_COLUMNS, row, strict=True))
    key = ProviderKey(
        **{name: value[name] for name in _PROVIDER_KEY_COLUMNS if name not in ("disabled", "byok_fallback")},
        disabled=bool(value["disabled"]),
        byok_fallback=bool(value["byok_fallback"]),
    )
    return key, Sealed(key_id=value["sealed_with"], nonce=value["nonce"], ciphertext=value["ciphertext"])


# ---------------------------------------------------------------- guardrails


def guardrail_values(guardrail: Guardrail) -> tuple[Value, ...]:
    """The values of `GUARDRAIL_COLUMNS`."""
    return (
        guardrail.id,
        guardrail.organization_id,
        guardrail.name,
        guardrail.target.value,
        guardrail.target_id,
        to_json(guardrail.limits),
        to_json(guardrail.lists),
        guardrail.disabled,
        guardrail.creator,
        guardrail.created_at_us,
        guardrail.updated_at_us,
    )


def read_guardrail(row: Row) -> Guardrail:
    """The guardrail of a row of `GUARDRAIL_COLUMNS`."""
    value: dict[str, Any] = dict(zip(GUARDRAIL_COLUMNS, row, strict=True))
    value.update(
        target=Target(value["target"]),
        limits=msgspec.json.decode(value["limits"], type=Limits),
        lists=msgspec.json.decode(value["lists"], type=Lists),
        disabled=bool(value["disabled"]),
    )
    return Guardrail(**value)


def user_rules_values(rules: UserRules) -> tuple[Value, ...]:
    """The values of `USER_RULES_COLUMNS`."""
    return (
        rules.organization_id,
        rules.user,
        to_json(rules.limits),
        rules.blocked,
        rules.reason,
        rules.blocked_at_us,
        rules.updated_at_us,
    )


def read_user_rules(row: Row) -> UserRules:
    """The rules of a row of `USER_RULES_COLUMNS`."""
    organization_id, name, limits, blocked, reason, blocked_at_us, updated_at_us = row
    return UserRules(
        organization_id=organization_id,
        user=name,
        limits=msgspec.json.decode(limits, type=Limits),
        blocked=bool(blocked),
        reason=reason,
        blocked_at_us=blocked_at_us,
        updated_at_us=updated_at_us,
    )


# ---------------------------------------------------------------- signing in


def read_login(row: Row) -> Login:
    """The login of a row: its columns, and the number of recovery codes that are left."""
    organization_id, member_id, password, secret, confirmed, step, codes = row
    return Login(
        organization_id=organization_id,
        member_id=member_id,
        password=password,
        totp_secret=secret,
        totp_confirmed=bool(confirmed),
        totp_step=step,
        recovery_codes=codes,
    )


# ---------------------------------------------------------------- credits


def credit_values(entry: CreditEntry) -> tuple[Value, ...]:
    """The values of `CREDIT_COLUMNS`."""
    return (
        entry.id,
        entry.organization_id,
        entry.created_at_us,
        entry.kind.value,
        entry.amount,
        entry.description,
        entry.reference,
        entry.idempotency_key,
    )


def read_credit(row: Row) -> CreditEntry:
    """The entry of a row of `CREDIT_COLUMNS`."""
    value = dict(zip(CREDIT_COLUMNS, row, strict=True))
    value.update(kind=CreditKind(value["kind"]), amount=Picodollars(value["amount"]))
    return CreditEntry(**value)


def credit_pool_values(pool: CreditPool) -> tuple[Value, ...]:
    """The values of `CREDIT_POOL_COLUMNS`. The last one may be more than 64 bits."""
    return (pool.organization_id, pool.enabled, pool.total, pool.cost_at_end)


def read_credit_pool(row: Row) -> CreditPool:
    """The pool of a row of `CREDIT_POOL_COLUMNS`, whose last one may be decimal."""
    organization_id, enabled, total, cost_at_end = row
    return CreditPool(
        organization_id=organization_id,
        enabled=bool(enabled),
        total=Picodollars(total),
        cost_at_end=None if cost_at_end is None else int(cost_at_end),
    )


# ---------------------------------------------------------------- the audit log


def entry_values(entry: AuditEntry) -> tuple[Value, ...]:
    """The values of `AUDIT_COLUMNS`."""
    return (
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
        entry.hash,
    )


def read_entry(row: Row) -> AuditEntry:
    """The entry of a row of `AUDIT_COLUMNS`."""
    value = dict(zip(AUDIT_COLUMNS, row, strict=True))
    return AuditEntry(
        organization_id=value["organization_id"],
        no=value["no"],
        at_us=value["at_us"],
        actor=Actor(kind=ActorKind(value["actor_kind"]), id=value["actor_id"], request_id=value["request_id"]),
        action=AuditAction(value["action"]),
        target_id=value["target_id"],
        before=value["before"],
        after=value["after"],
        hash=value["hash"],
    )


KEPT_CHANGES = 5_000
"""So many revisions back it is known what changed: each process asks four times a second."""


def write_things(things: Sequence[Thing]) -> str:
    """What one revision changed, as `read_changes` takes it."""
    return msgspec.json.encode(things).decode()


def read_changes(rows: Sequence[Row], after: int) -> DirectoryChanges:
    """`rows`: the last revision, each with what one of those behind the revision `after` changed, or None. A revision
    of which that is not known may have changed anything: an older program does not say, nor is everything kept."""
    revision = rows[0][0] if rows else 0
    told = [things for _, things in rows if things is not None]
    if len(told) != revision - after:
        return DirectoryChanges(revision=revision, things=None)
    things = frozenset(thing for one in told for thing in msgspec.json.decode(one, type=list[Thing]))
    return DirectoryChanges(revision=revision, things=things)
