"""Who manages: a management key, or a member who signed in."""

from arouter.domain.audit import Actor, ActorKind
from arouter.domain.keys import Key, KeyKind
from arouter.domain.organizations import Member
from arouter.domain.roles import Action, Role, allows
from arouter.domain.value import value


@value(frozen=True, slots=True, kw_only=True)
class Principal(Key):
    """A management key with the role that it acts with. A session has the form of one that its member made.

    A key that nobody made was made by the operator, and acts as an admin.
    """

    role: Role = Role.ADMIN
    session_id: str | None = None
    """Of a member who signed in; then `hash` names no key."""
    workspace_ids: tuple[str, ...] = ()
    """Those of the member; empty: every one."""

    @property
    def key_workspace_id(self) -> str:
        """The workspace of a key that it makes, if nothing is said."""
        return self.workspace_id if self.makes_keys_in(self.workspace_id) else self.workspace_ids[0]

    def makes_keys_in(self, workspace_id: str) -> bool:
        """Whether it makes keys in a workspace, and moves keys there."""
        return not self.workspace_ids or workspace_id in self.workspace_ids or self.may(Action.WRITE_KEYS)

    def may(self, action: Action) -> bool:
        """Whether the role allows it."""
        return allows(self.role, action)

    def owns(self, creator: str | None) -> bool:
        """Whether what `creator` made is the member's own."""
        return self.creator is not None and creator == self.creator

    def actor(self, request_id: str | None) -> Actor:
        """For the audit log."""
        if self.session_id is not None:
            return Actor(kind=ActorKind.MEMBER, id=self.creator, request_id=request_id)
        return Actor(kind=ActorKind.KEY, id=self.hash, request_id=request_id)


def acting(key: Key, member: Member | None) -> Principal:
    """A management key as what it acts as. `member` is the one who made it, None if there is none any more.

    It is worth nothing without its member, and while the member is disabled.
    """
    told = {name: getattr(key, name) for name in Key.__dataclass_fields__}
    if key.creator is None:
        return Principal(**told)
    if member is None:
        return Principal(**{**told, "disabled": True}, role=Role.MEMBER)
    disabled = key.disabled or member.disabled
    return Principal(**{**told, "disabled": disabled}, role=member.role, workspace_ids=member.workspace_ids)


def signed_in(member: Member, session_id: str, workspace_id: str) -> Principal:
    """What a session of the member acts as. `workspace_id` is where keys are made that name none."""
    return Principal(
        hash="",
        name=member.name,
        kind=KeyKind.MANAGEMENT,
        label="",
        organization_id=member.organization_id,
        workspace_id=workspace_id,
        creator=member.id,
        created_at_us=member.created_at_us,
        disabled=member.disabled,
        role=member.role,
        session_id=session_id,
        workspace_ids=member.workspace_ids,
    )
