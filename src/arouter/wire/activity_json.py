"""Activity records as JSON: what `GET /v1/activity` answers.

One form serves all formats: the list's `data`, the lines of NDJSON and the columns of CSV are the fields of
`ActivityRecord`, in this order.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from arouter.domain.activity import ActivityRow, Cursor
from arouter.wire.attempts_json import AttemptRecord, attempt_records
from arouter.wire.instants import write_instant
from arouter.wire.numbers import Dollars, dollars, milliseconds

Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class ActivityRecord(msgspec.Struct, frozen=True, gc=False):
    """One request and what became of it. Unknown is null; zero is a real zero."""

    id: str
    request_id: str
    created_at: Instant
    completed_at: Instant
    user: str | None
    session_id: str | None
    tags: tuple[str, ...]
    api_key_hash: str
    api_key_name: str
    workspace_id: str
    organization_id: str
    creator: str | None
    endpoint: str
    requested_model: str | None
    model: str | None
    provider: str | None
    upstream_id: str | None
    streamed: bool
    status: Literal["success", "upstream_error", "client_disconnect", "rejected", "interrupted"]
    http_status: int | None
    finish_reason: str | None
    error_code: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    audio_tokens: int | None
    image_tokens: int | None
    cost: Dollars | None
    currency: Literal["USD"]
    usage_source: Literal["provider", "estimated", "partial", "none"]
    price_source: str | None
    price_version: str | None
    is_byok: bool
    latency_ms: float | None
    time_to_first_token_ms: float | None
    attempts: int
    app_url: str | None
    app_title: str | None
    tried: tuple[AttemptRecord, ...]


class ActivityPage(msgspec.Struct, frozen=True):
    """A page of records. `next_cursor` leads to the next one; it is null on the last."""

    object: Literal["list"]
    has_more: bool
    next_cursor: str | None
    data: list[ActivityRecord]


COLUMNS = ActivityRecord.__struct_fields__


def activity_record(row: ActivityRow) -> ActivityRecord:
    """A row of the ledger in its public form."""
    record = row.record
    opening = record.opening
    usage = record.usage
    return ActivityRecord(
        id=opening.id,
        request_id=opening.request_id,
        created_at=write_instant(opening.created_at_us),
        completed_at=write_instant(record.completed_at_us),
        user=opening.user,
        session_id=opening.session_id,
        tags=opening.tags,
        api_key_hash=opening.key_hash,
        api_key_name=row.key_name,
        workspace_id=opening.workspace_id,
        organization_id=opening.organization_id,
        creator=row.creator,
        endpoint=opening.endpoint,
        requested_model=opening.requested_model,
        model=record.model,
        provider=record.provider,
        upstream_id=record.upstream_id,
        streamed=opening.streamed,
        status=record.status.value,
        http_status=record.http_status,
        finish_reason=record.finish_reason,
        error_code=record.error_code,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_written_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        audio_tokens=usage.audio_tokens,
        image_tokens=usage.image_tokens,
        cost=dollars(record.cost),
        currency="USD",
        usage_source=record.usage_source.value,
        price_source=record.price_source,
        price_version=record.price_version,
        is_byok=record.is_byok,
        latency_ms=milliseconds(record.latency_us),
        time_to_first_token_ms=milliseconds(record.time_to_first_token_us),
        attempts=record.attempts,
        app_url=opening.app_url,
        app_title=opening.app_title,
        tried=attempt_records(record.tried),
    )


def encode_page(rows: Sequence[ActivityRow], next_cursor: Cursor | None) -> bytes:
    """A page of the list."""
    return msgspec.json.encode(
        ActivityPage(
            object="list",
            has_more=next_cursor is not None,
            next_cursor=None if next_cursor is None else next_cursor.to_text(),
            data=[activity_record(row) for row in rows],
        )
    )


def encode_lines(rows: Sequence[ActivityRow]) -> bytes:
    """NDJSON: one record a line, each with its line feed."""
    return msgspec.json.Encoder().encode_lines([activity_record(row) for row in rows])
