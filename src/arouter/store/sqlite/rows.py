"""A record as a row of the database and back.

A row is `seq, written_at_us, user_no, tags`, then the values of `PLAIN` as they are, then those of `NAMED` as
numbers of the table `names`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.usage import METERS, Usage
from arouter.store.attempts import read_attempts, write_attempts

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
    "tried",
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
    "service_tier_no",
)
HEAD = ("seq", "written_at_us", "user_no", "tags")
COLUMNS = (*HEAD, *PLAIN, *NAMED)
STORED = (*HEAD, *PLAIN[:-1], *NAMED, PLAIN[-1])
"""The same in the order of the table. Of rows that are inserted in this order SQLite copies no value once more."""

# Bytes have no place in the JSON that rows are read as.
_NULLABLE_BLOB = "iif(raw_usage IS NULL, NULL, hex(raw_usage))"
READ_SQL = ", ".join(_NULLABLE_BLOB if column == "raw_usage" else column for column in COLUMNS)
READ_ADJUSTED_SQL = f"{READ_SQL}, adjustment_no"
ADJUSTMENT = len(COLUMNS)
"""The same with the number of the adjustment that holds, or None, and its place."""

_FIRST_PLAIN = len(HEAD)
_FIRST_NAMED = _FIRST_PLAIN + len(PLAIN)
_BEHIND_NAMED = _FIRST_NAMED + len(NAMED)
_RAW_USAGE = COLUMNS.index("raw_usage")

_encode_lines = msgspec.json.Encoder().encode_lines


def canonical_bytes(
    head: tuple[object, object, object], tags: Sequence[str], plain: Sequence[object], texts: Sequence[str | None]
) -> bytes:
    """What the chain of hashes covers: `seq, written_at_us, user_no`, the tags, the values of `PLAIN`, the texts of
    `NAMED`, as one JSON array.

    The user is in it by number, so that a name can be forgotten without breaking the chain. The last value and the
    last text, which older records do not have, are in it only where there is one.
    """
    seq, written_at_us, user_no = head
    return all_canonical_bytes((seq,), written_at_us, (user_no,), ((tags, plain, texts, None),))


def all_canonical_bytes(
    seqs: Iterable[object],
    written_at_us: object,
    users: Iterable[object],
    records: Iterable[tuple[Sequence[str], Sequence[object], Sequence[str | None], object]],
) -> bytes:
    """The canonical bytes of many records, one behind the other: their numbers, when they were written, the numbers of
    their users, and what they are (tags, plain values, texts, the user). ValueError for a text that is not Unicode."""
    values = [
        (
            seq,
            written_at_us,
            user_no,
            tags,
            plain if plain[-1] is not None else plain[:-1],
            texts if texts[-1] is not None else texts[:-1],
        )
        for seq, user_no, (tags, plain, texts, _) in zip(seqs, users, records, strict=False)
    ]
    # JSON has no line ends but those between the values: they are written as escapes.
    return _encode_lines(values).replace(b"\n", b"")


def values_of(record: Record) -> tuple[tuple[str, ...], tuple[Any, ...], tuple[str | None, ...], str | None]:
    """The tags, the values of `PLAIN`, the texts of `NAMED`, the user."""
    opening = record.opening
    usage = record.usage
    return (
        opening.tags,
        (
            opening.id,
            opening.request_id,
            opening.created_at_us,
            record.completed_at_us,
            opening.session_id,
            record.upstream_id,
            record.http_status,
            1 if opening.streamed else 0,
            1 if record.is_byok else 0,
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
            write_attempts(record.tried) if record.tried else None,
        ),
        (
            opening.organization_id,
            opening.workspace_id,
            opening.key_hash,
            opening.endpoint,
            record.status._value_,
            record.usage_source._value_,
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
            record.service_tier,
        ),
        opening.user,
    )


Row = Sequence[int | str | None]
"""A row as it is read: the values of `COLUMNS`, bytes in hexadecimal."""


def name_numbers(row: Row) -> Sequence[int | None]:
    """The numbers of a row's names."""
    return row[_FIRST_NAMED:_BEHIND_NAMED]  # type: ignore[return-value]


def read_canonical(row: Row, names: Mapping[int | None, str | None], tags: Sequence[str]) -> bytes:
    """The canonical bytes of a row, as they were when it was written."""
    raw = row[_RAW_USAGE]
    plain = list(row[_FIRST_PLAIN:_FIRST_NAMED])
    values: list[object] = [*plain]
    values[PLAIN.index("raw_usage")] = bytes.fromhex(raw) if isinstance(raw, str) else None
    texts = [names[number] for number in name_numbers(row)]
    return canonical_bytes((row[0], row[1], row[2]), tags, values, texts)


_STATUSES = {status.value: status for status in Status}
_SOURCES = {source.value: source for source in UsageSource}


def read_record(row: Row, names: Mapping[int | None, str | None], user: str | None, tags: tuple[str, ...]) -> Record:
    """The record of a row. `names` holds at least the row's own, and None for None."""
    return _assemble(row, [names[number] for number in name_numbers(row)], user, tags)


def _assemble(row: Sequence[Any], texts: Sequence[Any], user: str | None, tags: tuple[str, ...]) -> Record:
    # By place, since a page has a thousand of them; the test of the full record holds the places to the names.
    raw = row[29]
    opening = Opening(
        id=row[4],
        request_id=row[5],
        created_at_us=row[6],
        organization_id=texts[0],
        workspace_id=texts[1],
        key_hash=texts[2],
        user=user,
        endpoint=texts[3],
        requested_model=texts[6],
        streamed=row[11] == 1,
        session_id=row[8],
        tags=tags,
        app_url=texts[14],
        app_title=texts[15],
    )
    usage = Usage(
        input_tokens=row[16],
        input_audio_tokens=row[17],
        input_image_tokens=row[18],
        input_video_tokens=row[19],
        cache_read_tokens=row[20],
        cache_read_audio_tokens=row[21],
        cache_write_tokens=row[22],
        cache_write_1h_tokens=row[23],
        output_tokens=row[24],
        output_audio_tokens=row[25],
        output_image_tokens=row[26],
        reasoning_tokens=row[27],
        web_searches=row[28],
    )
    return Record(
        opening=opening,
        completed_at_us=row[7],
        status=_STATUSES[texts[4]],
        http_status=row[10],
        model=texts[7],
        provider=texts[8],
        upstream_model=texts[9],
        upstream_id=row[9],
        finish_reason=texts[10],
        error_code=texts[11],
        service_tier=texts[16],
        usage=usage,
        raw_usage=None if raw is None else bytes.fromhex(raw),
        usage_source=_SOURCES[texts[5]],
        cost=row[30],
        rated_cost=row[31],
        reported_cost=row[32],
        tried=() if row[33] is None else read_attempts(row[33]),
        price_source=texts[12],
        price_version=texts[13],
        is_byok=row[12] == 1,
        latency_us=row[14],
        time_to_first_token_us=row[15],
        attempts=row[13],
    )
