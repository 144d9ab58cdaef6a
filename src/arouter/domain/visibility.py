"""Whose records a key, or a member, may see."""

from arouter.domain.activity import Scope
from arouter.domain.keys import ActivityScope, Key, KeyKind
from arouter.domain.principals import Principal
from arouter.domain.record import Opening
from arouter.domain.roles import Action


def visible_to(key: Key) -> Scope:
    """A management key sees its organization; any other key its own records, or what its `activity_scope` says.

    One that acts for a member who may not see all of it sees the records of the keys that the member made.
    """
    if isinstance(key, Principal) and not key.may(Action.READ_ACTIVITY):
        return Scope(organization_id=key.organization_id, creator=key.creator)
    if key.kind is KeyKind.MANAGEMENT or key.activity_scope is ActivityScope.ORGANIZATION:
        return Scope(organization_id=key.organization_id)
    if key.activity_scope is ActivityScope.WORKSPACE:
        return Scope(organization_id=key.organization_id, workspace_id=key.workspace_id)
    return Scope(organization_id=key.organization_id, key_hash=key.hash)


def is_visible(opening: Opening, scope: Scope, creator: str | None = None) -> bool:
    """Whether the scope covers the record that began so; `creator` is who made its key."""
    return (
        opening.organization_id == scope.organization_id
        and scope.workspace_id in (None, opening.workspace_id)
        and scope.key_hash in (None, opening.key_hash)
        and scope.creator in (None, creator)
    )
