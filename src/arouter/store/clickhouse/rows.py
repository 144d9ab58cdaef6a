"""Records and adjustments as rows of the copy, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from arouter.domain.activity import ActivityRow
from arouter.domain.adjustment import Adjustment, AdjustmentKind, adjusted
from arouter.domain.money import Picodollars
from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.usage import METERS, Usage
from arouter.store import tally
from arouter.store.attempts import read_attempts, write_attempts
from arouter.store.clickhouse.schema import ADDED
from arouter.store.feed import Changes, WrittenAdjustment, WrittenRecord

_COUNTERS: Final = (*METERS[:-1], "reasoning_tokens", METERS[-1])
_LOW: Final = "LowCardinality(String)"
_LOW_OR_NULL: Final = "LowCardinality(Nullable(String))"

FOUND_BY: Final[Mapping[str, str]] = {
    "organization_id": _LOW,
    "user": "Nullable(String)",
    "created_at_us": "Int64",
    "id": "String",
    "adjustment_no": "UInt64",
    "written_at_us": "Int64",
    "workspace_id": _LOW,
    "key_hash": _LOW,
    "endpoint": _LOW,
    "status": _LOW,
    "requested_model": _LOW_OR_NULL,
    "model": _LOW_OR_NULL,
    "provider": _LOW_OR_NULL,
    "session_id": "Nullable(String)",
    "tags": f"Array({_LOW})",
    "latency_us": "Nullable(Int64)",
}
"""The columns that rows are found and grouped by, with their types, and the latency."""
_SUMMED: Final[Mapping[str, str]] = {column: "Int128" if column == "added_cost" else "Int64" for column in ADDED}
_PLACES: Final = tuple(tally.MEASURES.index(column.removeprefix("added_")) for column in ADDED)
_TOLD: Final[Mapping[str, str]] = {
    "request_id": "String",
    "completed_at_us": "Int64",
    "http_status": "Nullable(Int32)",
    "streamed": "UInt8",
    "is_byok": "UInt8",
    "attempts": "Int64",
    "time_to_first_token_us": "Nullable(Int64)",
    **dict.fromkeys(_COUNTERS, "Nullable(Int64)"),
    "raw_usage": "Nullable(String)",
    "usage_source": _LOW,
    "cost": "Nullable(Int64)",
    "rated_cost": "Nullable(Int64)",
    "reported_cost": "Nullable(Int64)",
    "price_source": _LOW_OR_NULL,
    "price_version": _LOW_OR_NULL,
    "upstream_model": _LOW_OR_NULL,
    "upstream_id": "Nullable(String)",
    "finish_reason": _LOW_OR_NULL,
    "error_code": _LOW_OR_NULL,
    "service_tier": _LOW_OR_NULL,
    "app_url": _LOW_OR_NULL,
    "app_title": _LOW_OR_NULL,
    "tried": "Nullable(String)",
}
_OF_ADJUSTMENTS: Final[Mapping[str, str]] = {
    "adjustment_id": "String",
    "adjusted_at_us": "Int64",
    "adjustment_created_at_us": "Int64",
    "adjustment_kind": _LOW,
    "adjustment_reason": "String",
    "adjustment_author": "Nullable(String)",
}
COLUMNS: Final[Mapping[str, str]] = {**FOUND_BY, **_SUMMED, **_TOLD, **_OF_ADJUSTMENTS}
"""All, in the order of the table."""

READ_RECORD: Final = (*FOUND_BY, *_TOLD)
"""What a record is read back from."""
READ_ADJUSTMENT: Final = ("id", "adjustment_no", "cost", "price_source", "price_version", *_OF_ADJUSTMENTS)


def read_columns(names: Iterable[str]) -> str:
    """As they are selected. What the provider said need not be text, and comes in hexadecimal."""
    return ", ".join("hex(raw_usage)" if name == "raw_usage" else name for name in names)


def columns_of(changes: Changes) -> Sequence[Sequence[Any]]:
    """The values of `COLUMNS`, column by column."""
    rows = [_row_of_record(one) for one in changes.records]
    rows += [_row_of_adjustment(one) for one in changes.adjustments]
    return [*zip(*rows, strict=True)]


def _row_of_record(written: WrittenRecord) -> tuple[Any, ...]:
    record = written.record
    return (
        *_found_by(written, adjustment_no=0, latency_us=record.latency_us),
        *_added(tally.measures(record)),
        record.opening.request_id,
        record.completed_at_us,
        record.http_status,
        int(record.opening.streamed),
        int(record.is_byok),
        record.attempts,
        record.time_to_first_token_us,
        *(getattr(record.usage, counter) for counter in _COUNTERS),
        record.raw_usage,
        record.usage_source.value,
        record.cost,
        record.rated_cost,
        record.reported_cost,
        record.price_source,
        record.price_version,
        record.upstream_model,
        record.upstream_id,
        record.finish_reason,
        record.error_code,
        record.service_tier,
        record.opening.app_url,
        record.opening.app_title,
        write_attempts(record.tried) if record.tried else None,
        *_NO_ADJUSTMENT,
    )


def _row_of_adjustment(written: WrittenAdjustment) -> tuple[Any, ...]:
    adjustment, record = written.adjustment, written.target.record
    has_tokens = bool(record.usage.total_tokens)
    difference = tally.less(
        tally.cost_measures(adjustment.cost, has_tokens=has_tokens),
        tally.cost_measures(written.cost_before, has_tokens=has_tokens),
    )
    stated = {
        **_NOTHING_TOLD,
        "cost": adjustment.cost,
        "price_source": adjustment.price_source,
        "price_version": adjustment.price_version,
    }
    return (
        *_found_by(written.target, adjustment_no=written.no, latency_us=None),
        *_added(difference),
        *stated.values(),
        adjustment.id,
        written.written_at_us,
        adjustment.created_at_us,
        adjustment.kind.value,
        adjustment.reason,
        adjustment.author,
    )


def _added(measures: tally.Measures) -> tuple[int, ...]:
    """Those that have a column of their own."""
    return tuple(measures[place] for place in _PLACES)


def _found_by(written: WrittenRecord, *, adjustment_no: int, latency_us: int | None) -> tuple[Any, ...]:
    record, opening = written.record, written.record.opening
    return (
        opening.organization_id,
        opening.user,
        opening.created_at_us,
        opening.id,
        adjustment_no,
        written.written_at_us,
        opening.workspace_id,
        opening.key_hash,
        opening.endpoint,
        record.status.value,
        opening.requested_model,
        record.model,
        record.provider,
        opening.session_id,
        list(opening.tags),
        latency_us,
    )


def _nothing(column_type: str) -> Any:
    if "Nullable" in column_type:
        return None
    return "" if "String" in column_type else 0


_NO_ADJUSTMENT: Final = tuple(_nothing(kind) for kind in _OF_ADJUSTMENTS.values())
_NOTHING_TOLD: Final = {name: _nothing(kind) for name, kind in _TOLD.items()}
_SOURCES: Final = {source.value: source for source in UsageSource}
_STATUSES: Final = {status.value: status for status in Status}


def read_row(values: Sequence[Any], adjustment: Sequence[Any] | None, key: tuple[str, str | None]) -> ActivityRow:
    """From the values of `READ_RECORD`, those of `READ_ADJUSTMENT` of the one that holds, and the key's name and
    maker."""
    value = dict(zip(READ_RECORD, values, strict=True))
    record = _record(value)
    name, creator = key
    row = ActivityRow(
        record=record,
        written_at_us=value["written_at_us"],
        original_cost=record.cost,
        key_name=name,
        creator=creator,
    )
    if adjustment is None:
        return row
    said = dict(zip(READ_ADJUSTMENT, adjustment, strict=True))
    latest = _adjustment(said)
    return replace(row, record=adjusted(record, latest), adjustment=latest, adjusted_at_us=said["adjusted_at_us"])


def _adjustment(value: Mapping[str, Any]) -> Adjustment:
    return Adjustment(
        id=value["adjustment_id"],
        record_id=value["id"],
        created_at_us=value["adjustment_created_at_us"],
        kind=AdjustmentKind(value["adjustment_kind"]),
        cost=_money(value["cost"]),
        price_source=value["price_source"],
        price_version=value["price_version"],
        reason=value["adjustment_reason"],
        author=value["adjustment_author"],
    )


def _record(value: Mapping[str, Any]) -> Record:
    opening = Opening(
        id=value["id"],
        request_id=value["request_id"],
        created_at_us=value["created_at_us"],
        organization_id=value["organization_id"],
        workspace_id=value["workspace_id"],
        key_hash=value["key_hash"],
        user=value["user"],
        endpoint=value["endpoint"],
        requested_model=value["requested_model"],
        streamed=value["streamed"] == 1,
        session_id=value["session_id"],
        tags=tuple(value["tags"]),
        app_url=value["app_url"],
        app_title=value["app_title"],
    )
    raw, tried = value["raw_usage"], value["tried"]
    return Record(
        opening=opening,
        completed_at_us=value["completed_at_us"],
        status=_STATUSES[value["status"]],
        http_status=value["http_status"],
        model=value["model"],
        provider=value["provider"],
        upstream_model=value["upstream_model"],
        upstream_id=value["upstream_id"],
        finish_reason=value["finish_reason"],
        error_code=value["error_code"],
        service_tier=value["service_tier"],
        usage=Usage(**{counter: value[counter] for counter in _COUNTERS}),
        raw_usage=None if raw is None else bytes.fromhex(raw),
        usage_source=_SOURCES[value["usage_source"]],
        cost=_money(value["cost"]),
        rated_cost=_money(value["rated_cost"]),
        reported_cost=_money(value["reported_cost"]),
        price_source=value["price_source"],
        price_version=value["price_version"],
        is_byok=value["is_byok"] == 1,
        latency_us=value["latency_us"],
        time_to_first_token_us=value["time_to_first_token_us"],
        attempts=value["attempts"],
        tried=() if tried is None else read_attempts(tried),
    )


def _money(amount: int | None) -> Picodollars | None:
    return None if amount is None else Picodollars(amount)
