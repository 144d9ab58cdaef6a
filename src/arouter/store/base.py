"""What a storage backend must do, in three small protocols. The conformance suite in `tests/conformance` defines them.

Backends store what they are given: ids, times and hashes come from above. Every method is safe to call from the
event loop's thread and does its I/O elsewhere. Whatever goes wrong in the engine underneath surfaces as
`StorageUnavailable`.
"""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from arouter.domain.activity import ActivityQuery, ActivityRow, Cursor, Filters, Page, Scope, Summary, SummaryQuery
from arouter.domain.adjustment import Adjustment
from arouter.domain.counters import Counter
from arouter.domain.directory_changes import DirectoryChanges
from arouter.domain.guardrails import Guardrail, UserRules
from arouter.domain.keys import Key
from arouter.domain.money import Picodollars
from arouter.domain.organizations import Organization, Workspace
from arouter.domain.provider_keys import ProviderKey, Sealed
from arouter.domain.record import Opening, Record
from arouter.domain.users import UsersPage, UserSpan, UsersQuery
from arouter.domain.value import value
from arouter.store.audit import AuditLog
from arouter.store.credits import Credits
from arouter.store.organizations import Organizations
from arouter.store.sign_in import SignIns

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_NAME = "Default"
"""What the organization and the workspace of a new database are called until somebody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The organization and workspace that keys are made in when nobody names one, and the server's own secret."""

    organization_id: str
    workspace_id: str
    secret: bytes
    """32 bytes, made once for a database: the key of the pseudonyms that go to providers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLabel:
    """What people call a key, and who made it."""

    name: str
    creator: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySecrets:
    """The SHA-256 of a key's plaintexts."""

    current: str
    previous: str | None = None
    """Of before the last rotation; None if it ended with it."""
    previous_expires_at_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a key has spent, in picodollars, since four instants."""

    total: Picodollars
    daily: Picodollars
    weekly: Picodollars
    monthly: Picodollars


class ProviderKeys(Protocol):
    """The keys for providers that organizations bring. Their secrets come sealed, and are kept as they come."""

    async def add_provider_key(self, key: ProviderKey, sealed: Sealed) -> None:
        """A new key. ValueError if its id is taken."""

    async def get_provider_key(self, organization_id: str, key_id: str) -> ProviderKey | None:
        """The key of that id in the organization."""

    async def list_provider_keys(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[ProviderKey]:
        """Newest first."""

    async def replace_provider_key(self, key: ProviderKey, sealed: Sealed | None = None) -> bool:
        """Store what may change of a key: its name, whether it is disabled and falls back; False if there is none.

        With `sealed` its label and secret too; without it they stay as they are.
        """

    async def reseal_provider_key(self, key: ProviderKey, *, before: Sealed, after: Sealed) -> bool:
        """Keep the same secret sealed otherwise; False if it is not sealed as `before` any more."""

    async def delete_provider_key(self, organization_id: str, key_id: str) -> bool:
        """Forget the key and its secret. False if there is none."""

    async def sealed_provider_keys(self, organization_id: str) -> Sequence[tuple[ProviderKey, Sealed]]:
        """Every key of an organization that is not disabled, with its secret."""

    async def every_provider_key(
        self, *, after_id: str = "", limit: int = 1000
    ) -> Sequence[tuple[ProviderKey, Sealed]]:
        """Keys of all organizations, disabled ones too, in the order of their ids, behind `after_id`."""

    async def provider_key_holders(self) -> Mapping[str, frozenset[str]]:
        """The organizations with a key that is not disabled, each with the ids of what its secrets are sealed with."""


def first_of(home: Home, now_us: int) -> tuple[Organization, Workspace]:
    """The organization and the workspace that a new database begins with."""
    organization = Organization(id=home.organization_id, name=FIRST_NAME, created_at_us=now_us)
    workspace = Workspace(
        id=home.workspace_id, organization_id=home.organization_id, name=FIRST_NAME, created_at_us=now_us
    )
    return organization, workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class LastChanges:
    """Numbers that grow with every change that whoever remembers a directory has to know of."""

    revision: int
    """Of everything else in the directory; as of `DirectoryChanges.revision`."""
    user_rules: int
    """As of `UserRulesChange.latest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRulesChange:
    """What changed of the rules of single users since somebody looked last."""

    latest: int
    """The number of the last change: what to ask with the next time."""
    users: frozenset[tuple[str, str]] | None
    """The organization and name of everybody whose rules changed; None: too many to say, it may be anybody."""
    holders: frozenset[str]
    """The organizations that have such rules at all."""


MOST_TOLD: Final = 10_000
"""Changes of user rules that are told one by one."""


class Guardrails(Protocol):
    """The guardrails of organizations, and the rules of single users."""

    async def add_guardrail(self, guardrail: Guardrail) -> None:
        """A new one. ValueError if its id is taken."""

    async def get_guardrail(self, organization_id: str, guardrail_id: str) -> Guardrail | None:
        """The one of that id in the organization."""

    async def list_guardrails(
        self, organization_id: str, *, offset: int = 0, limit: int = 100, include_disabled: bool = True
    ) -> Sequence[Guardrail]:
        """Newest first."""

    async def replace_guardrail(self, guardrail: Guardrail) -> bool:
        """Store it in place of the one with its id; False if the organization has none."""

    async def delete_guardrail(self, organization_id: str, guardrail_id: str) -> bool:
        """Forget it. False if there is none."""

    async def every_guardrail(self, among: Collection[str] | None = None) -> Sequence[Guardrail]:
        """Those of all organizations that are not disabled, in the order of their ids; with `among`, of these ids."""

    async def get_user_rules(self, organization_id: str, user: str) -> UserRules | None:
        """What is said of one user; None if nothing ever was. ValueError for a name that is not Unicode."""

    async def user_rules_of(self, organization_id: str, users: Sequence[str]) -> Mapping[str, UserRules]:
        """What is said of several users, without those of whom nothing ever was. ValueError as of one."""

    async def list_blocked_users(
        self, organization_id: str, *, prefix: str = "", after: str | None = None, descending: bool = False, limit: int
    ) -> Sequence[UserRules]:
        """Users who are blocked, by name, were they ever seen or not: those whose names begin so, behind `after`."""

    async def put_user_rules(self, rules: UserRules) -> None:
        """Say it, in place of what was said before. The revision of the directory stays: there may be millions."""

    async def user_rules_changed(self, since: int) -> UserRulesChange:
        """What changed after the change of that number; 0: ever."""


class Directory(ProviderKeys, Guardrails, Organizations, Credits, SignIns, AuditLog, Protocol):
    """Organizations with all that is in them, keys, guardrails, credits, and a log of all changes."""

    async def home(self, candidate: Home, *, now_us: int) -> Home:
        """The database's home. `candidate` becomes it if there is none yet, whoever asks first."""

    async def changes_after(self, revision: int) -> DirectoryChanges:
        """What changed after that revision, as far as it is still known; a few thousand changes are."""

    async def last_changes(self) -> LastChanges:
        """Whether there is anything new. To be asked a few times a second; costs next to nothing while there is not."""

    async def find_key(self, secret: str) -> Key | None:
        """The key whose plaintext has this SHA-256, unless it was deleted.

        Found by the plaintext of before its rotation, it is that of `by_previous_plaintext`.
        """

    async def get_key(self, organization_id: str, key_hash: str) -> Key | None:
        """The key of that name in the organization, unless it was deleted."""

    async def secrets_of(self, organization_id: str, key_hash: str) -> KeySecrets | None:
        """The SHA-256 of the plaintexts that the key has now; None if there is no such key, or it was deleted."""

    async def list_keys(
        self,
        organization_id: str,
        *,
        offset: int = 0,
        limit: int = 100,
        include_disabled: bool = True,
        creator: str | None = None,
    ) -> Sequence[Key]:
        """Newest first; with `creator`, those that this member made."""

    async def label_keys(self, organization_id: str, key_hashes: Sequence[str]) -> Mapping[str, KeyLabel]:
        """The names, as they are now, of those of the organization's keys by their hashes; of deleted ones too."""

    async def add_key(self, key: Key, *, secret: str) -> None:
        """A new key. ValueError if its hash or its secret is taken."""

    async def add_first_keys(self, keys: Sequence[tuple[Key, str]]) -> bool:
        """Add these keys of one organization, each with its secret, if that has no key: all of them or none.

        Whether they were added: of several processes that come at once, only one is told so. ValueError as `add_key`.
        """

    async def replace_key(self, key: Key) -> bool:
        """Store `key` in place of the one with its hash; False if there is none.

        What a rotation said of the plaintext of before it stays as it is.
        """

    async def rotate_key(
        self,
        organization_id: str,
        key_hash: str,
        *,
        secret: str,
        label: str,
        now_us: int,
        previous_expires_at_us: int | None = None,
    ) -> bool:
        """Give the key another plaintext. False if there is no such key.

        The one of before is worth something until `previous_expires_at_us`; with None it is worthless at once. The one
        of before that is worthless at once in any case.
        """

    async def delete_key(self, organization_id: str, key_hash: str, *, now_us: int) -> bool:
        """Forget the key's secrets; its records keep its name. False if there is no such key."""


@value(frozen=True, slots=True, kw_only=True)
class LeaseWanted:
    """A process's lease of a counter, as it wants to have it from now on: what it must keep, and more."""

    counter: Counter
    limit: int
    """In the counter's units. Leases under different limits are leases of their own, and see each other."""
    keep: int
    """What its running requests hold."""
    used: int = 0
    """What was used since the last time, of a counter that is not in the ledger: it is posted with this."""
    need: int = 0
    """What it needs besides, now: the sum of what several requests wait for."""
    least: int = 0
    """What of it is of use at the least: less is not granted."""
    greedy: bool = False
    """Whether it would take more than it needs."""
    recall: bool = False
    """Whether the others are asked to give back what they do not need, also if there is enough."""


@value(frozen=True, slots=True, kw_only=True)
class Leased:
    """What became of it. The lease is `keep` + `granted` now, in place of what it was."""

    granted: int
    """May be less than what was needed, and is 0 if there is nothing."""
    posted: int
    """What the counter has posted."""
    others: int
    """What all other leases of the counter hold."""
    pending: bool
    """Not all that was needed was there, and others have some that they may not need, or have not said so lately
    (`FRESH_US`): they were asked to give it back.
    Or nothing was needed, and others have not answered a recall yet. Ask again in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a counter stands."""

    posted: int
    leased: int


class Counters(Protocol):
    """Budgets and rates that several processes share: see `arouter.domain.counters`.

    What is posted of a counter that is `in_ledger` is the sum over the records, those that were closed before the call
    included: costs, total tokens, and requests that were not rejected. A lease ends with the process that has it. Of a
    counter that is not in the ledger it then counts as used, since nobody knows better, but for requests that run.
    """

    def lease(self, wanted: Sequence[LeaseWanted], *, now_us: int) -> Awaitable[Sequence[Leased]]:
        """Renew leases, all in one transaction, in their order; one answer for each.

        posted + all leases ≤ limit holds afterwards for each that was granted anything.
        """

    async def recalled(self) -> Sequence[tuple[Counter, int]]:
        """The counters, each with its limit, of this process's leases that others have asked for."""

    async def standings(self, counters: Sequence[Counter]) -> Sequence[Standing]:
        """How each stands now, for whoever only looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What `arouter db check` found. `problems` is empty for a sound ledger."""

    records: int
    open_records: int
    problems: tuple[str, ...]


class Ledger(Protocol):
    """The records: appended once, never changed; and the adjustments of their costs, which are no different.

    The cost of a record, in every answer, is that of the adjustment to it that was written last, else its own.
    """

    def open(self, opening: Opening) -> None:
        """Remember the intent; on disk soon, not awaited.

        StorageUnavailable if the last write failed: nothing may be spent that could not be recorded.
        """

    def close(self, record: Record) -> Awaitable[None]:
        """Append the record and forget the intent, in one transaction with the roll-ups.

        Done when it is durable. A record whose id is there already changes nothing. StorageUnavailable if it could
        not be written now; a backend may go on trying. ValueError if it cannot be stored at all: a text that is not
        Unicode, a number out of all proportion. The append goes on even if the awaiting side is cancelled.
        """

    def adjust(
        self, adjustments: Sequence[Adjustment], *, seen: Mapping[str, str | None] | None = None
    ) -> Awaitable[int]:
        """Append adjustments, in their order, in one transaction with the roll-ups; how many were new.

        Done when they are durable. One whose id is there already, or whose record is not there, changes nothing.
        ValueError if one cannot be stored at all: then none is. StorageUnavailable if nothing can be written now;
        unlike records they are not tried again.

        They are noted in the audit log, once for each organization, as the operator's.

        `seen` makes it conditional: by the ids of records, the id of the adjustment that the caller took for the last
        one, None for none. AdjustedMeanwhile if another one holds for any of them by now: then none is written.
        """

    async def adjustments_of(self, organization_id: str, record_id: str) -> Sequence[Adjustment]:
        """Every adjustment to a record, in the order of writing."""

    async def recover(self, *, now_us: int, dead: Collection[str] = ()) -> int:
        """Close as `interrupted` what a process that is dead left open, each once; how many there were.

        The records are those of `domain.interruption`. Whichever process asks first gets them. `dead` names processes
        of which the caller knows that they are, and that none of their records is anywhere else: a ledger on a server
        need not wait until it finds that out.
        """

    async def get(self, organization_id: str, record_id: str) -> ActivityRow | None:
        """One record."""

    async def page(self, query: ActivityQuery) -> Page:
        """Records in the order of (created_at_us, id)."""

    async def written_until(self) -> int | None:
        """When the last record or adjustment was written that can be read by now; None if there is none.

        Whatever is written later bears that time or a later one: with it as `Filters.written_until_us` a question has
        the same records however often it is asked, and what it lacks is found with it as `updated_since_us`.
        """

    async def summary(self, query: SummaryQuery) -> Summary:
        """Exact sums by group, rows in the order of their group values: none first, texts by code point, times by
        instant. ValueError for a time zone that does not exist."""

    async def summaries(self, queries: Sequence[SummaryQuery]) -> Sequence[Summary]:
        """The answers to several questions about one and the same state of the ledger, so that they agree."""

    async def user_span(self, scope: Scope, user: str) -> UserSpan | None:
        """When the user was seen within the scope; None if never. Known for longer than the records are kept."""

    async def list_users(self, query: UsersQuery) -> UsersPage:
        """Users in the order that is asked for, those of one instant by name in the same direction, texts by code
        point."""

    async def user_costs(self, scope: Scope, filters: Filters) -> Sequence[int]:
        """What each user's requests cost together, in picodollars, greatest first; those of no user are not in it."""

    async def spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        """What a key has spent altogether and since the starts of the current day, week and month.

        Each is the start of an hour in UTC, ValueError otherwise.
        """

    async def byok_spending(self, key_hash: str, *, day_us: int, week_us: int, month_us: int) -> Spending:
        """The part of `spending` that is of requests on the organization's own keys for providers."""

    async def last_used(self, key_hashes: Sequence[str]) -> Mapping[str, int]:
        """When the last request of each of these keys began that is recorded, refused ones too; without those that have
        none. Known for longer than the records are kept."""

    async def check(self) -> CheckReport:
        """Prove integrity: the engine's own check, and records equal to roll-ups to the last digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPage:
    """Records as columns, in the order of the query."""

    batch: "pa.RecordBatch"
    """Of `arouter.wire.activity_columns.SCHEMA`, with the costs that hold and the names of keys as they are now."""
    next_cursor: Cursor | None
    """That of the batch's last record; None only if no record comes after it."""


@runtime_checkable
class ColumnarLedger(Protocol):
    """What a ledger may offer besides: records as columns, without an object for each. Needs the extra `analytics`."""

    async def columns(self, query: ActivityQuery) -> ColumnPage | None:
        """Up to `query.limit` records as `page` has them, at least one; fewer than there are is no end of them.

        None where the next records are not kept as columns, or none are left: the caller then asks for a `page`,
        and for columns again after it.
        """
