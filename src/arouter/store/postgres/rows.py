"""A record as a row of the database and back: what is written, what is read, and what the chain of hashes covers.

Rows are read as JSON, one text for each: a page of a thousand records has forty thousand values, and the driver would
make each of them on the event loop. `decode_row` makes them wherever it is called.
"""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.usage import Usage
from arouter.store.attempts import read_attempts, write_attempts
from arouter.store.postgres.texts import from_stored

TYPES = {
    "id": "text",
    "created_at_us": "bigint",
    "request_id": "text",
    "completed_at_us": "bigint",
    "organization_id": "text",
    "workspace_id": "text",
    "key_hash": "text",
    "end_user": "text",
    "endpoint": "text",
    "requested_model": "text",
    "streamed": "boolean",
    "session_id": "text",
    "tags": "text[]",
    "app_url": "text",
    "app_title": "text",
    "status": "text",
    "http_status": "integer",
    "model": "text",
    "provider": "text",
    "upstream_model": "text",
    "upstream_id": "text",
    "finish_reason": "text",
    "error_code": "text",
    "service_tier": "text",
    "input_tokens": "bigint",
    "input_audio_tokens": "bigint",
    "input_image_tokens": "bigint",
    "input_video_tokens": "bigint",
    "cache_read_tokens": "bigint",
    "cache_read_audio_tokens": "bigint",
    "cache_write_tokens": "bigint",
    "cache_write_1h_tokens": "bigint",
    "output_tokens": "bigint",
    "output_audio_tokens": "bigint",
    "output_image_tokens": "bigint",
    "reasoning_tokens": "bigint",
    "web_searches": "bigint",
    "raw_usage": "bytea",
    "usage_source": "text",
    "cost": "bigint",
    "rated_cost": "bigint",
    "reported_cost": "bigint",
    "price_source": "text",
    "price_version": "text",
    "is_byok": "boolean",
    "latency_us": "bigint",
    "time_to_first_token_us": "bigint",
    "attempts": "bigint",
    "tried": "text",
}
"""What a record is written as: columns of `records` and their types."""

COLUMNS = tuple(TYPES)
_RAW_USAGE = COLUMNS.index("raw_usage")
_ESCAPED = "\\u0001"
"""How JSON has the character that texts are stored with in place of others: see `texts`."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Any]).decode


def values_of(record: Record) -> tuple[object, ...]:
    """The values of `COLUMNS`. ValueError for a text of an attempt that is not Unicode."""
    opening = record.opening
    usage = record.usage
    return (
        opening.id,
        opening.created_at_us,
        opening.request_id,
        record.completed_at_us,
        opening.organization_id,
        opening.workspace_id,
        opening.key_hash,
        opening.user,
        opening.endpoint,
        opening.requested_model,
        opening.streamed,
        opening.session_id,
        opening.tags,
        opening.app_url,
        opening.app_title,
        record.status._value_,
        record.http_status,
        record.model,
        record.provider,
        record.upstream_model,
        record.upstream_id,
        record.finish_reason,
        record.error_code,
        record.service_tier,
        usage.input_tokens,
        usage.input_audio_tokens,
        usage.input_image_tokens,
        usage.input_video_tokens,
        usage.cache_read_tokens,
        usage.cache_read_audio_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
        usage.output_audio_tokens,
        usage.output_image_tokens,
        usage.reasoning_tokens,
        usage.web_searches,
        record.raw_usage,
        record.usage_source._value_,
        record.cost,
        record.rated_cost,
        record.reported_cost,
        record.price_source,
        record.price_version,
        record.is_byok,
        record.latency_us,
        record.time_to_first_token_us,
        record.attempts,
        write_attempts(record.tried) if record.tried else None,
    )


def canonical_bytes(values: Sequence[object]) -> bytes:
    """What the chain of hashes covers of a record: the values of `COLUMNS` as a JSON array. ValueError for a text that
    is not Unicode."""
    return _encode(values)


def as_json(columns: Sequence[str]) -> str:
    """SQL that makes one JSON array of some columns. `raw_usage` is told in hexadecimal."""
    values = ["encode(raw_usage, 'hex')" if column.endswith("raw_usage") else column for column in columns]
    return f"json_build_array({', '.join(values)})::text"


def decode_row(text: str) -> list[Any]:
    """The values of a row that was read as JSON, texts as they were before they were stored."""
    values = _decode(text)
    # Few texts have it; those that only look like it stay as they are.
    return [_restored(value) for value in values] if _ESCAPED in text else values


def decode_record_row(text: str) -> list[Any]:
    """The same of a row that begins with `COLUMNS`: `raw_usage` as bytes."""
    values = decode_row(text)
    raw = values[_RAW_USAGE]
    if raw is not None:
        values[_RAW_USAGE] = bytes.fromhex(raw)
    return values


def _restored(value: Any) -> Any:
    if isinstance(value, str):
        return from_stored(value.encode()) if "\x01" in value else value
    return [_restored(each) for each in value] if isinstance(value, list) else value


_STATUSES = {status.value: status for status in Status}
_SOURCES = {source.value: source for source in UsageSource}


def record_of(row: Sequence[Any]) -> Record:
    """The record of a row that begins with the values of `COLUMNS`."""
    # By place, since a page has a thousand of them; the test of the full record holds the places to the names.
    opening = Opening(
        id=row[0],
        created_at_us=row[1],
        request_id=row[2],
        organization_id=row[4],
        workspace_id=row[5],
        key_hash=row[6],
        user=row[7],
        endpoint=row[8],
        requested_model=row[9],
        streamed=row[10],
        session_id=row[11],
        tags=tuple(row[12]),
        app_url=row[13],
        app_title=row[14],
    )
    usage = Usage(
        input_tokens=row[24],
        input_audio_tokens=row[25],
        input_image_tokens=row[26],
        input_video_tokens=row[27],
        cache_read_tokens=row[28],
        cache_read_audio_tokens=row[29],
        cache_write_tokens=row[30],
        cache_write_1h_tokens=row[31],
        output_tokens=row[32],
        output_audio_tokens=row[33],
        output_image_tokens=row[34],
        reasoning_tokens=row[35],
        web_searches=row[36],
    )
    return Record(
        opening=opening,
        completed_at_us=row[3],
        status=_STATUSES[row[15]],
        http_status=row[16],
        model=row[17],
        provider=row[18],
        upstream_model=row[19],
        upstream_id=row[20],
        finish_reason=row[21],
        error_code=row[22],
        service_tier=row[23],
        usage=usage,
        raw_usage=cast("bytes | None", row[37]),
        usage_source=_SOURCES[row[38]],
        cost=row[39],
        rated_cost=row[40],
        reported_cost=row[41],
        price_source=row[42],
        price_version=row[43],
        is_byok=row[44],
        latency_us=row[45],
        time_to_first_token_us=row[46],
        attempts=row[47],
        tried=() if row[48] is None else read_attempts(row[48]),
    )
