"""By how much records and adjustments raise the sums that are kept beside them, and how those are written.

Everything is sorted by its key before it is written: two processes that raise the same sums wait for each other, and
never for each other in turn.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from arouter.domain.guardrails import Target
from arouter.domain.record import Record, Status
from arouter.domain.windows import DAY_US
from arouter.store.buckets import HOUR_US, SLOT_US
from arouter.store.postgres.statements import queries
from arouter.store.postgres.texts import listed_or_none
from arouter.store.tally import MEASURES, Measures, added, measures

if TYPE_CHECKING:
    from arouter.store.postgres.connection import Connection

ROLLUP_KEY = (
    "organization_id",
    "slot",
    "workspace_id",
    "key_hash",
    "end_user",
    "model",
    "requested_model",
    "provider",
    "endpoint",
    "status",
)
_ROLLUP_TYPES = (
    *("text", "bigint", "bytea"),
    *("text" for _ in ROLLUP_KEY[2:]),
    *("numeric" if column == "cost" else "bigint" for column in MEASURES),
)
_SPAN_TYPES = ("text", "text", "text", "text", "bigint", "bigint")
_HOUR_TYPES = ("text", "integer", "numeric", "numeric", "bigint")
_DAY_TYPES = ("text", "text", "text", "integer", "bigint", "numeric", "numeric")
_COST = MEASURES.index("cost")
_TOKENS = MEASURES.index("total_tokens")

_encode = msgspec.json.Encoder().encode

RollupKey = tuple[Any, ...]
"""The values of `ROLLUP_KEY`."""
Sums = list[list[Any]]
"""What is added to all sums, as the values of the statement that does."""


@dataclass(slots=True)
class Raised:
    """What is added to each sum."""

    rollups: dict[RollupKey, Measures] = field(default_factory=dict)
    key_hours: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    """Cost, and that on own keys, by key and hour."""
    used: dict[tuple[str, int], int] = field(default_factory=dict)
    """When the last request began, by key and hour: of records only."""
    usage_days: dict[tuple[str, str, str, int], tuple[int, int, int]] = field(default_factory=dict)
    """Requests, tokens, cost, by scope, organization, id in the scope, and day."""
    spans: dict[tuple[str, str, str, str], tuple[int, int]] = field(default_factory=dict)
    """First and last time, by organization, user, key and workspace."""

    def add_record(self, record: Record) -> None:
        opening = record.opening
        at_us, user = opening.created_at_us, opening.user
        self.add(rollup_key(record), at_us, measures(record), is_byok=record.is_byok)
        hour = (opening.key_hash, at_us // HOUR_US)
        self.used[hour] = max(at_us, self.used.get(hour, at_us))
        if user is not None:
            place = (opening.organization_id, user, opening.key_hash, opening.workspace_id)
            first, last = self.spans.get(place, (at_us, at_us))
            self.spans[place] = min(first, at_us), max(last, at_us)

    def add(self, key: RollupKey, at_us: int, sums: Measures, *, is_byok: bool) -> None:
        """Add to everything but when users were seen and keys used."""
        self.rollups[key] = added(self.rollups[key], sums) if key in self.rollups else sums
        organization_id, _, workspace_id, key_hash, user, *_, status = key
        cost = sums[_COST]
        hour = (key_hash, at_us // HOUR_US)
        spent, on_own = self.key_hours.get(hour, (0, 0))
        self.key_hours[hour] = spent + cost, on_own + (cost if is_byok else 0)
        requests = 0 if status == Status.REJECTED else sums[0]
        for scope, scope_id in (
            (Target.ORGANIZATION, organization_id),
            (Target.WORKSPACE, workspace_id),
            (Target.KEY, key_hash),
            (Target.USER, user),
        ):
            if scope_id is not None:
                day = (scope._value_, organization_id, scope_id, at_us // DAY_US)
                before = self.usage_days.get(day, (0, 0, 0))
                self.usage_days[day] = before[0] + requests, before[1] + sums[_TOKENS], before[2] + cost


def raised_by(records: Iterable[Record]) -> Raised:
    raised = Raised()
    for record in records:
        raised.add_record(record)
    return raised


def rollup_key(record: Record) -> RollupKey:
    opening = record.opening
    return (
        opening.organization_id,
        opening.created_at_us // SLOT_US,
        opening.workspace_id,
        opening.key_hash,
        opening.user,
        record.model,
        opening.requested_model,
        record.provider,
        opening.endpoint,
        record.status._value_,
    )


def digest_of(key: RollupKey) -> bytes:
    """What a roll-up is found by, beside its organization and slot."""
    return hashlib.sha256(_encode(key[2:])).digest()


def sums_of(raised: Raised) -> Sums:
    rollups = sorted((key[0], key[1], digest_of(key), key[2:], sums) for key, sums in raised.rollups.items())
    rows = [(*one[:3], *one[3], *one[4]) for one in rollups]
    columns = columns_of(rows, _ROLLUP_TYPES)
    hours = {hour: (*costs, raised.used.get(hour)) for hour, costs in raised.key_hours.items()}
    for types, items in (
        (_SPAN_TYPES, raised.spans.items()),
        (_HOUR_TYPES, hours.items()),
        (_DAY_TYPES, raised.usage_days.items()),
    ):
        columns += columns_of([(*key, *sums) for key, sums in sorted(items)], types)
    return columns


async def write_sums(connection: "Connection", sums: Sums) -> None:
    """Within the caller's transaction."""
    await connection.execute(queries("ledger")["raise_sums"], *sums)


def _as_texts(numbers: Iterable[int]) -> list[str]:
    """The driver would make a decimal of each, which takes longer than all else."""
    return [str(number) for number in numbers]


_LISTS: Mapping[str, Callable[[Any], list[Any]]] = {"text": listed_or_none, "numeric": _as_texts}


def columns_of(rows: Sequence[tuple[Any, ...]], types: Sequence[str]) -> list[list[Any]]:
    """Rows as columns, each a list to send as an array of its type; of numbers without bound, as one of texts."""
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    return [_LISTS.get(of, list)(column) for of, column in zip(types, columns, strict=True)]
