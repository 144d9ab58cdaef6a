"""Activity records as columns: an Arrow batch whose columns are the fields of `activity_json.ActivityRecord`, in order.

| kind | type |
|---|---|
| texts that repeat, such as `user` or `model` | dictionary of utf8 with int32 indices |
| texts that do not: `id`, `request_id`, `session_id`, `upstream_id` | utf8 |
| times | timestamp in microseconds, UTC |
| tokens, `attempts` | int64 |
| `http_status` | int32 |
| costs in dollars | decimal128(38, 12): a picodollar is one unit |
| latencies in milliseconds | decimal128(18, 3): a microsecond is one unit |
| `tags` | list of utf8, never null |
| `tried` | list of structs, the fields of `attempts_json.AttemptRecord`, never null |

Needs `pyarrow` and `numpy`, the extra `analytics`: only `importlib.import_module` may load this module, when it is
needed.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from arouter.domain.activity import ActivityRow
from arouter.domain.attempt import Attempt
from arouter.domain.usage import NOTHING_REPORTED
from arouter.wire.activity_json import COLUMNS
from arouter.wire.attempts_json import AttemptRecord

TEXT = pa.utf8()
REPEATED = pa.dictionary(pa.int32(), pa.utf8())
INSTANT = pa.timestamp("us", tz="UTC")
COUNT = pa.int64()
STATUS = pa.int32()
FLAG = pa.bool_()
DOLLARS = pa.decimal128(38, 12)
MILLISECONDS = pa.decimal128(18, 3)

ATTEMPT = pa.struct(
    [
        pa.field("provider", TEXT, nullable=False),
        pa.field("deployment", TEXT),
        pa.field("model", TEXT, nullable=False),
        pa.field("http_status", STATUS),
        pa.field("error_code", TEXT),
        pa.field("latency_ms", MILLISECONDS, nullable=False),
        pa.field("prompt_tokens", COUNT),
        pa.field("completion_tokens", COUNT),
        pa.field("usage_source", TEXT, nullable=False),
        pa.field("cost", DOLLARS),
        pa.field("is_byok", FLAG, nullable=False),
    ]
)
TAGS = pa.list_(TEXT)
TRIED = pa.list_(ATTEMPT)

SCHEMA = pa.schema(
    [
        pa.field("id", TEXT, nullable=False),
        pa.field("request_id", TEXT, nullable=False),
        pa.field("created_at", INSTANT, nullable=False),
        pa.field("completed_at", INSTANT, nullable=False),
        pa.field("user", REPEATED),
        pa.field("session_id", TEXT),
        pa.field("tags", TAGS, nullable=False),
        pa.field("api_key_hash", REPEATED, nullable=False),
        pa.field("api_key_name", REPEATED, nullable=False),
        pa.field("workspace_id", REPEATED, nullable=False),
        pa.field("organization_id", REPEATED, nullable=False),
        pa.field("creator", REPEATED),
        pa.field("endpoint", REPEATED, nullable=False),
        pa.field("requested_model", REPEATED),
        pa.field("model", REPEATED),
        pa.field("provider", REPEATED),
        pa.field("upstream_id", TEXT),
        pa.field("streamed", FLAG, nullable=False),
        pa.field("status", REPEATED, nullable=False),
        pa.field("http_status", STATUS),
        pa.field("finish_reason", REPEATED),
        pa.field("error_code", REPEATED),
        pa.field("prompt_tokens", COUNT),
        pa.field("completion_tokens", COUNT),
        pa.field("total_tokens", COUNT),
        pa.field("cached_tokens", COUNT),
        pa.field("cache_write_tokens", COUNT),
        pa.field("reasoning_tokens", COUNT),
        pa.field("audio_tokens", COUNT),
        pa.field("image_tokens", COUNT),
        pa.field("cost", DOLLARS),
        pa.field("currency", REPEATED, nullable=False),
        pa.field("usage_source", REPEATED, nullable=False),
        pa.field("price_source", REPEATED),
        pa.field("price_version", REPEATED),
        pa.field("is_byok", FLAG, nullable=False),
        pa.field("latency_ms", MILLISECONDS),
        pa.field("time_to_first_token_ms", MILLISECONDS),
        pa.field("attempts", COUNT, nullable=False),
        pa.field("app_url", REPEATED),
        pa.field("app_title", REPEATED),
        pa.field("tried", TRIED, nullable=False),
    ]
)
"""The contract between whoever has columns and whoever writes them out."""

assert tuple(SCHEMA.names) == COLUMNS
assert tuple(field.name for field in ATTEMPT) == AttemptRecord.__struct_fields__

Integers = npt.NDArray[np.int64]


def columns_of(rows: Sequence[ActivityRow]) -> pa.RecordBatch:
    """Rows as a batch of `SCHEMA`."""
    return pa.record_batch([make(rows) for make in _MAKERS], schema=SCHEMA)


def units_to_decimals(units: Integers, kind: pa.Decimal128Type, unknown: npt.NDArray[np.bool_] | None) -> pa.Array:
    """Whole units of a decimal type, such as picodollars or microseconds, as its values. `unknown` says where null."""
    words = np.empty((len(units), 2), dtype=np.int64)
    words[:, 0] = units
    words[:, 1] = units >> 63
    valid = None if unknown is None else pa.py_buffer(np.packbits(~unknown, bitorder="little"))
    return pa.Array.from_buffers(kind, len(units), [valid, pa.py_buffer(words)])


def decimals_to_units(decimals: pa.Array) -> Integers:
    """The inverse; 0 for null. ValueError for a value that 64 bits do not hold."""
    words = np.frombuffer(decimals.buffers()[1], dtype=np.int64).reshape(-1, 2)
    words = words[decimals.offset : decimals.offset + len(decimals)]
    units = words[:, 0]
    if decimals.null_count:
        units = np.where(_known(decimals), units, 0)
        beyond = _known(decimals) & (words[:, 1] != words[:, 0] >> 63)
    else:
        beyond = words[:, 1] != units >> 63
    if beyond.any():
        raise ValueError("an amount is out of all proportion")
    return np.ascontiguousarray(units)


def tried_column(tried: Iterable[Sequence[Attempt]]) -> pa.Array:
    """The attempts of each record as the column `tried`."""
    lists = [tuple(attempts) for attempts in tried]
    offsets = np.zeros(len(lists) + 1, dtype=np.int32)
    np.cumsum([len(attempts) for attempts in lists], out=offsets[1:])
    every = [attempt for attempts in lists for attempt in attempts]
    usages = [NOTHING_REPORTED if attempt.usage is None else attempt.usage for attempt in every]
    columns = [
        pa.array([attempt.provider for attempt in every], TEXT),
        pa.array([attempt.deployment for attempt in every], TEXT),
        pa.array([attempt.model for attempt in every], TEXT),
        pa.array([attempt.http_status for attempt in every], STATUS),
        pa.array([attempt.error_code for attempt in every], TEXT),
        _decimals([attempt.latency_us for attempt in every], MILLISECONDS),
        pa.array([usage.prompt_tokens for usage in usages], COUNT),
        pa.array([usage.completion_tokens for usage in usages], COUNT),
        pa.array([attempt.usage_source.value for attempt in every], TEXT),
        _decimals([attempt.cost for attempt in every], DOLLARS),
        pa.array([attempt.is_byok for attempt in every], FLAG),
    ]
    attempts = pa.StructArray.from_arrays(columns, fields=list(ATTEMPT))
    return pa.ListArray.from_arrays(pa.array(offsets), attempts, type=TRIED)


# ---------------------------------------------------------------- from rows

_Maker = Callable[[Sequence[ActivityRow]], pa.Array]


def _known(values: pa.Array) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = values.is_valid().to_numpy(zero_copy_only=False)
    return known


def _decimals(units: Sequence[int | None], kind: pa.Decimal128Type) -> pa.Array:
    whole = pa.array(units, pa.int64())
    unknown = ~_known(whole) if whole.null_count else None
    return units_to_decimals(whole.fill_null(0).to_numpy(), kind, unknown)


def _plain(kind: pa.DataType, read: Callable[[ActivityRow], Any]) -> _Maker:
    return lambda rows: pa.array([read(row) for row in rows], kind)


def _repeated(read: Callable[[ActivityRow], str | None]) -> _Maker:
    return lambda rows: pa.array([read(row) for row in rows], TEXT).dictionary_encode()


def _exact(kind: pa.Decimal128Type, read: Callable[[ActivityRow], int | None]) -> _Maker:
    return lambda rows: _decimals([read(row) for row in rows], kind)


_MAKERS: tuple[_Maker, ...] = (
    _plain(TEXT, lambda row: row.record.opening.id),
    _plain(TEXT, lambda row: row.record.opening.request_id),
    _plain(INSTANT, lambda row: row.record.opening.created_at_us),
    _plain(INSTANT, lambda row: row.record.completed_at_us),
    _repeated(lambda row: row.record.opening.user),
    _plain(TEXT, lambda row: row.record.opening.session_id),
    _plain(TAGS, lambda row: row.record.opening.tags),
    _repeated(lambda row: row.record.opening.key_hash),
    _repeated(lambda row: row.key_name),
    _repeated(lambda row: row.record.opening.workspace_id),
    _repeated(lambda row: row.record.opening.organization_id),
    _repeated(lambda row: row.creator),
    _repeated(lambda row: row.record.opening.endpoint),
    _repeated(lambda row: row.record.opening.requested_model),
    _repeated(lambda row: row.record.model),
    _repeated(lambda row: row.record.provider),
    _plain(TEXT, lambda row: row.record.upstream_id),
    _plain(FLAG, lambda row: row.record.opening.streamed),
    _repeated(lambda row: row.record.status.value),
    _plain(STATUS, lambda row: row.record.http_status),
    _repeated(lambda row: row.record.finish_reason),
    _repeated(lambda row: row.record.error_code),
    _plain(COUNT, lambda row: row.record.usage.prompt_tokens),
    _plain(COUNT, lambda row: row.record.usage.completion_tokens),
    _plain(COUNT, lambda row: row.record.usage.total_tokens),
    _plain(COUNT, lambda row: row.record.usage.cached_tokens),
    _plain(COUNT, lambda row: row.record.usage.cache_written_tokens),
    _plain(COUNT, lambda row: row.record.usage.reasoning_tokens),
    _plain(COUNT, lambda row: row.record.usage.audio_tokens),
    _plain(COUNT, lambda row: row.record.usage.image_tokens),
    _exact(DOLLARS, lambda row: row.record.cost),
    _repeated(lambda _: "USD"),
    _repeated(lambda row: row.record.usage_source.value),
    _repeated(lambda row: row.record.price_source),
    _repeated(lambda row: row.record.price_version),
    _plain(FLAG, lambda row: row.record.is_byok),
    _exact(MILLISECONDS, lambda row: row.record.latency_us),
    _exact(MILLISECONDS, lambda row: row.record.time_to_first_token_us),
    _plain(COUNT, lambda row: row.record.attempts),
    _repeated(lambda row: row.record.opening.app_url),
    _repeated(lambda row: row.record.opening.app_title),
    lambda rows: tried_column(row.record.tried for row in rows),
)
