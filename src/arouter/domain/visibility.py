"""Whose records a key may see."""

from arouter.domain.activity import Scope
from arouter.domain.keys import ActivityScope, Key, KeyKind
from arouter.domain.record import Opening


def visible_to(key: Key) -> Scope:
    """A management key sees its organization; any other key its own records, or what its `activity_scope` says."""
    if key.kind is KeyKind.MANAGEMENT or key.activity_scope is ActivityScope.ORGANIZATION:
        return Scope(organization_id=key.organization_id)
    if key.activity_scope is ActivityScope.WORKSPACE:
        return Scope(organization_id=key.organization_id, workspace_id=key.workspace_id)
    return Scope(organization_id=key.organization_id, key_hash=key.hash)


def is_visible(opening: Opening, scope: Scope) -> bool:
    """Whether the scope covers the record that began so."""
    return (
        opening.organization_id == scope.organization_id
        and scope.workspace_id in (None, opening.workspace_id)
        and scope.key_hash in (None, opening.key_hash)
    )
