"""A record as a row of the database and back.

A row is `seq, written_at_us, user_no, tags`, then the values of `PLAIN` as they are, then those of `NAMED` as
numbers of the table `names`.
"""

from collections.abc import Mapping, Sequence

import msgspec

from arouter.domain.money import Picodollars
from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.usage import METERS, Usage

_COUNTERS = (*METERS[:-1], "reasoning_tokens", METERS[-1])

PLAIN = (
    "id",
    "request_id",
    "created_at_us",
    "completed_at_us",
    "session_id",
    "upstream_id",
    "http_status",
    "streamed",
    "is_byok",
    "attempts",
    "latency_us",
    "time_to_first_token_us",
    *_COUNTERS,
    "raw_usage",
    "cost",
    "rated_cost",
    "reported_cost",
)
NAMED = (
    "organization_no",
    "workspace_no",
    "key_no",
    "endpoint_no",
    "status_no",
    "usage_source_no",
    "requested_model_no",
    "model_no",
    "provider_no",
    "upstream_model_no",
    "finish_reason_no",
    "error_code_no",
    "price_source_no",
    "price_version_no",
    "app_url_no",
    "app_title_no",
)
HEAD = ("seq", "written_at_us", "user_no", "tags")
COLUMNS = (*HEAD, *PLAIN, *NAMED)

# Bytes have no place in the JSON that rows are read as.
_NULLABLE_BLOB = "iif(raw_usage IS NULL, NULL, hex(raw_usage))"
READ_SQL = ", ".join(_NULLABLE_BLOB if column == "raw_usage" else column for column in COLUMNS)

_FIRST_PLAIN = len(HEAD)
_FIRST_NAMED = _FIRST_PLAIN + len(PLAIN)
_RAW_USAGE = COLUMNS.index("raw_usage")

canonical_bytes = msgspec.json.Encoder().encode
"""Of `(seq, written_at_us, user_no, tags, plain values, named texts)`: what the chain of hashes covers. The user is
in it by number, so that a name can be forgotten without breaking the chain."""


def plain_values(record: Record) -> tuple[object, ...]:
    """The values of `PLAIN`."""
    opening = record.opening
    usage = record.usage
    return (
        opening.id,
        opening.request_id,
        opening.created_at_us,
        record.completed_at_us,
        opening.session_id,
        record.upstream_id,
        record.http_status,
        int(opening.streamed),
        int(record.is_byok),
        record.attempts,
        record.latency_us,
        record.time_to_first_token_us,
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
        record.cost,
        record.rated_cost,
        record.reported_cost,
    )


def named_texts(record: Record) -> tuple[str | None, ...]:
    """The texts of `NAMED`."""
    opening = record.opening
    return (
        opening.organization_id,
        opening.workspace_id,
        opening.key_hash,
        opening.endpoint,
        record.status.value,
        record.usage_source.value,
        opening.requested_model,
        record.model,
        record.provider,
        record.upstream_model,
        record.finish_reason,
        record.error_code,
        record.price_source,
        record.price_version,
        opening.app_url,
        opening.app_title,
    )


Row = Sequence[int | str | None]
"""A row as it is read: the values of `COLUMNS`, bytes in hexadecimal."""


def name_numbers(row: Row) -> Sequence[int | None]:
    """The numbers of a row's names."""
    return row[_FIRST_NAMED:]  # type: ignore[return-value]


def read_canonical(row: Row, names: Mapping[int, str], tags: Sequence[str]) -> bytes:
    """The canonical bytes of a row, as they were when it was written."""
    raw = row[_RAW_USAGE]
    plain = list(row[_FIRST_PLAIN:_FIRST_NAMED])
    values: list[object] = [*plain]
    values[PLAIN.index("raw_usage")] = bytes.fromhex(raw) if isinstance(raw, str) else None
    texts = [None if number is None else names[number] for number in name_numbers(row)]
    return canonical_bytes((*row[:3], tags, values, texts))


def read_record(row: Row, names: Mapping[int, str], user: str | None, tags: tuple[str, ...]) -> Record:
    """The record of a row. `names` holds at least the row's own."""
    plain: dict[str, object] = dict(zip(PLAIN, row[_FIRST_PLAIN:_FIRST_NAMED], strict=True))
    texts = [None if number is None else names[number] for number in name_numbers(row)]
    named: dict[str, object] = dict(zip(NAMED, texts, strict=True))
    return _assemble(plain, named, user, tags)


def _assemble(plain: dict, named: dict, user: str | None, tags: tuple[str, ...]) -> Record:  # type: ignore[type-arg]
    counts = {counter: plain[counter] for counter in _COUNTERS}
    raw = plain["raw_usage"]
    opening = Opening(
        id=plain["id"],
        request_id=plain["request_id"],
        created_at_us=plain["created_at_us"],
        organization_id=named["organization_no"],
        workspace_id=named["workspace_no"],
        key_hash=named["key_no"],
        user=user,
        endpoint=named["endpoint_no"],
        requested_model=named["requested_model_no"],
        streamed=bool(plain["streamed"]),
        session_id=plain["session_id"],
        tags=tags,
        app_url=named["app_url_no"],
        app_title=named["app_title_no"],
    )
    return Record(
        opening=opening,
        completed_at_us=plain["completed_at_us"],
        status=Status(named["status_no"]),
        http_status=plain["http_status"],
        model=named["model_no"],
        provider=named["provider_no"],
        upstream_model=named["upstream_model_no"],
        upstream_id=plain["upstream_id"],
        finish_reason=named["finish_reason_no"],
        error_code=named["error_code_no"],
        usage=Usage(**counts),
        raw_usage=None if raw is None else bytes.fromhex(raw),
        usage_source=UsageSource(named["usage_source_no"]),
        cost=_money(plain["cost"]),
        rated_cost=_money(plain["rated_cost"]),
        reported_cost=_money(plain["reported_cost"]),
        price_source=named["price_source_no"],
        price_version=named["price_version_no"],
        is_byok=bool(plain["is_byok"]),
        latency_us=plain["latency_us"],
        time_to_first_token_us=plain["time_to_first_token_us"],
        attempts=plain["attempts"],
    )


def _money(value: int | None) -> Picodollars | None:
    return None if value is None else Picodollars(value)
