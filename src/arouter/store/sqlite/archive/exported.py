"""Sealed records as the columns that an export writes: raw numbers become texts, users, tags, keys and costs that hold.

What repeats is looked up once for a batch. What Python does for each record is nothing, but for the few that were
tried more than once and those whose id is not our own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import apsw
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.usage import INPUT_METERS, OUTPUT_METERS
from arouter.store.attempts import read_attempts
from arouter.store.sqlite.adjuster import read_adjustments
from arouter.store.sqlite.archive.blocks import Numbers, numbers
from arouter.store.sqlite.archive.columns import ID_PREFIX, id_text
from arouter.store.sqlite.archive.columns import SCHEMA as SEALED
from arouter.store.sqlite.archive.reader import Mask, adjusted
from arouter.store.sqlite.names import Texts, fetch, to_json
from arouter.store.sqlite.statements import queries
from arouter.wire.activity_columns import (
    COUNT,
    DOLLARS,
    FLAG,
    INSTANT,
    MILLISECONDS,
    SCHEMA,
    STATUS,
    TAGS,
    TEXT,
    TRIED,
    tried_column,
    units_to_decimals,
)

_FIRST_LONGER_TIME: Final = 16**15
_HEXADECIMAL: Final = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)
"""The two digits of each byte, as one number."""
_TIME_BYTES: Final = 8
_RANDOM_BYTES: Final = 9

_SUMS: Final = {
    "prompt_tokens": INPUT_METERS,
    "completion_tokens": OUTPUT_METERS,
    "total_tokens": INPUT_METERS + OUTPUT_METERS,
    "cached_tokens": ("cache_read_tokens", "cache_read_audio_tokens"),
    "cache_write_tokens": ("cache_write_tokens", "cache_write_1h_tokens"),
    "reasoning_tokens": ("reasoning_tokens",),
    "audio_tokens": ("input_audio_tokens", "cache_read_audio_tokens", "output_audio_tokens"),
    "image_tokens": ("input_image_tokens", "output_image_tokens"),
}
"""What `domain.usage.Usage` adds up, by the same rule: unknown where none of them is known."""
_NAMED: Final = {
    "api_key_hash": "key_no",
    "workspace_id": "workspace_no",
    "organization_id": "organization_no",
    "endpoint": "endpoint_no",
    "requested_model": "requested_model_no",
    "model": "model_no",
    "provider": "provider_no",
    "status": "status_no",
    "finish_reason": "finish_reason_no",
    "error_code": "error_code_no",
    "usage_source": "usage_source_no",
    "price_source": "price_source_no",
    "price_version": "price_version_no",
    "app_url": "app_url_no",
    "app_title": "app_title_no",
}
_PLAIN: Final = {
    "request_id": ("request_id", TEXT),
    "created_at": ("created_at_us", INSTANT),
    "completed_at": ("completed_at_us", INSTANT),
    "session_id": ("session_id", TEXT),
    "upstream_id": ("upstream_id", TEXT),
    "http_status": ("http_status", STATUS),
    "attempts": ("attempts", COUNT),
}


def exported(connection: apsw.Connection, texts: Texts, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Records in the archive's columns as those of `activity_columns.SCHEMA`, with the costs that hold and the names
    of keys as they are now."""
    records = _Records(batch)
    names = _Names(connection, texts, records)
    columns: dict[str, pa.Array] = {
        "id": _ids(records),
        "user": records.repeated("user_no", names.users),
        "tags": _tags(records, names.texts),
        "api_key_name": records.repeated("key_no", lambda number: names.keys.get(number, ("", None))[0]),
        "creator": records.repeated("key_no", lambda number: names.keys.get(number, ("", None))[1]),
        "currency": _constant("USD", len(records)),
        "latency_ms": records.decimals("latency_us", MILLISECONDS),
        "time_to_first_token_ms": records.decimals("time_to_first_token_us", MILLISECONDS),
        "cost": records.decimals("cost", DOLLARS),
        "streamed": pa.array(numbers(batch, "streamed") == 1, FLAG),
        "is_byok": pa.array(numbers(batch, "is_byok") == 1, FLAG),
        "tried": _tried(records),
        **{name: records.column(column).cast(kind) for name, (column, kind) in _PLAIN.items()},
        **{name: records.repeated(column, names.text) for name, column in _NAMED.items()},
        **{name: records.sum(meters) for name, meters in _SUMS.items()},
    }
    columns |= _adjusted(connection, records, columns)
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


class _Records:
    """The batch, and its columns by name whether they are there or not."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self._there = dict(zip(batch.schema.names, batch.columns, strict=True))
        self._coded: dict[str, pa.DictionaryArray] = {}
        self._numbers: dict[str, Numbers] = {}
        self._known: dict[str, Mask] = {}

    def __len__(self) -> int:
        count: int = self.batch.num_rows
        return count

    def column(self, name: str) -> pa.Array:
        found = self._there.get(name)
        return pa.nulls(len(self), SEALED.field(name).type) if found is None else found

    def is_there(self, name: str) -> bool:
        return name in self._there

    def coded(self, name: str) -> pa.DictionaryArray:
        """A column that is there, by its different numbers."""
        if name not in self._coded:
            self._coded[name] = self._there[name].dictionary_encode()
        return self._coded[name]

    def numbers_of(self, name: str) -> list[int]:
        """The different ones."""
        found: list[int] = self.coded(name).dictionary.to_numpy().tolist() if self.is_there(name) else []
        return found

    def repeated(self, name: str, text_of: Callable[[int], str | None]) -> pa.Array:
        """A column of numbers as texts, each looked up once."""
        if not self.is_there(name):
            return pa.DictionaryArray.from_arrays(pa.nulls(len(self), pa.int32()), pa.array([], TEXT))
        return _with_texts(self.coded(name).indices, [text_of(number) for number in self.numbers_of(name)])

    def numbers(self, name: str) -> Numbers:
        """0 where there is none."""
        if name not in self._numbers:
            self._numbers[name] = numbers(self.batch, name)
        return self._numbers[name]

    def known(self, name: str) -> Mask:
        """Of a column that is there."""
        if name not in self._known:
            values = self._there[name]
            self._known[name] = (
                values.is_valid().to_numpy(zero_copy_only=False) if values.null_count else np.ones(len(self), np.bool_)
            )
        return self._known[name]

    def decimals(self, name: str, kind: pa.Decimal128Type) -> pa.Array:
        if not self.is_there(name):
            return pa.nulls(len(self), kind)
        unknown = ~self.known(name) if self._there[name].null_count else None
        return units_to_decimals(numbers(self.batch, name), kind, unknown)

    def sum(self, meters: Sequence[str]) -> pa.Array:
        there = [meter for meter in meters if self.is_there(meter)]
        if not there:
            return pa.nulls(len(self), COUNT)
        if len(there) == 1:
            return self._there[there[0]].cast(COUNT)
        total: Numbers = self.numbers(there[0])
        known = self.known(there[0])
        for meter in there[1:]:
            total = total + self.numbers(meter)
            known = known | self.known(meter)
        return pa.array(total, COUNT, mask=None if known.all() else ~known)


class _Names:
    """The texts of a batch's numbers, asked for together."""

    def __init__(self, connection: apsw.Connection, texts: Texts, records: _Records) -> None:
        wanted: set[int | None] = set()
        for column in _NAMED.values():
            wanted.update(records.numbers_of(column))
        if records.is_there("tags"):
            wanted |= {*pc.list_flatten(records.column("tags")).unique().to_pylist()}
        self.texts = texts.of(connection, wanted)
        users = sorted(records.numbers_of("user_no"))
        names = fetch(connection, queries()["names_of_users"], to_json(users)) if users else []
        self.users: Callable[[int], str | None] = dict(zip(users, names, strict=True)).get
        key_numbers = {number: self.texts[number] for number in records.numbers_of("key_no")}
        keys = fetch(connection, queries()["keys_of_hashes"], to_json(sorted(filter(None, key_numbers.values()))))
        by_hash: Mapping[str | None, tuple[str, str | None]] = {one[0]: (one[1], one[2]) for one in keys}
        self.keys = {number: by_hash[text] for number, text in key_numbers.items() if text in by_hash}

    def text(self, number: int) -> str | None:
        return self.texts[number]


def _with_texts(indices: pa.Array, values: Sequence[str | None]) -> pa.Array:
    if None in values or len(set(values)) < len(values):
        return pa.array(values, TEXT).take(indices).dictionary_encode()
    return pa.DictionaryArray.from_arrays(indices, pa.array(values, TEXT))


def _constant(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text], TEXT))


def _adjusted(
    connection: apsw.Connection, records: _Records, columns: Mapping[str, pa.Array]
) -> Mapping[str, pa.Array]:
    """The columns that adjustments change, if any of the records has one."""
    seqs = numbers(records.batch, "seq")
    holding = {seq: number for seq, number, _, _ in adjusted(connection, seqs)}
    if not holding:
        return {}
    condition = "adjustments.no IN (SELECT value FROM json_each(?))"
    found = {one.no: one.adjustment for one in read_adjustments(connection, condition, to_json([*holding.values()]))}
    places = np.flatnonzero(np.isin(seqs, np.array([*holding], np.int64)))
    said = [found[holding[seq]] for seq in seqs[places].tolist()]
    costs = numbers(records.batch, "cost").copy()
    unknown = ~records.known("cost") if records.is_there("cost") else np.ones(len(records), np.bool_)
    unknown = unknown.copy()
    costs[places] = [0 if one.cost is None else one.cost for one in said]
    unknown[places] = [one.cost is None for one in said]
    which = np.full(len(records), -1, np.int64)
    which[places] = np.arange(len(places))
    changed = pa.array(which >= 0)
    behind = pa.array(np.maximum(which, 0))

    def replaced(name: str, values: Sequence[str | None]) -> pa.Array:
        new = pa.array(values, TEXT).take(behind)
        return pc.if_else(changed, new, columns[name].cast(TEXT)).dictionary_encode()

    return {
        "cost": units_to_decimals(costs, DOLLARS, unknown),
        "price_source": replaced("price_source", [one.price_source for one in said]),
        "price_version": replaced("price_version", [one.price_version for one in said]),
    }


def _tags(records: _Records, texts: Mapping[int | None, str | None]) -> pa.Array:
    if not records.is_there("tags"):
        return pa.ListArray.from_arrays(pa.array(np.zeros(len(records) + 1, np.int32)), pa.array([], TEXT), type=TAGS)
    lists = records.column("tags")
    coded = pc.list_flatten(lists).dictionary_encode()
    known = pa.array([texts[number] for number in coded.dictionary.to_pylist()], TEXT)
    return pa.ListArray.from_arrays(_offsets(lists.value_lengths()), known.take(coded.indices), type=TAGS)


def _offsets(lengths: pa.Array) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths.fill_null(0).to_numpy(zero_copy_only=False), out=offsets[1:])
    return pa.array(offsets)


def _tried(records: _Records) -> pa.Array:
    if not records.is_there("tried"):
        return pa.ListArray.from_arrays(
            _offsets(pa.nulls(len(records), pa.int32())), tried_column([]).values, type=TRIED
        )
    written = records.column("tried")
    told = tried_column([read_attempts(text) for text in written.drop_null().to_pylist()])
    places = np.flatnonzero(written.is_valid().to_numpy(zero_copy_only=False))
    lengths = np.zeros(len(records), np.int32)
    lengths[places] = told.value_lengths().to_numpy()
    return pa.ListArray.from_arrays(_offsets(pa.array(lengths)), told.values, type=TRIED)


# ---------------------------------------------------------------- ids


def _ids(records: _Records) -> pa.Array:
    if not records.is_there("id_random"):
        return records.column("id_text")
    created = numbers(records.batch, "created_at_us")
    randoms = records.column("id_random")
    if len(created) and (created.min() < 0 or created.max() >= _FIRST_LONGER_TIME):
        parts = zip(created.tolist(), randoms.to_pylist(), strict=True)
        own = pa.array([None if random is None else id_text(at, random) for at, random in parts], TEXT)
    else:
        own = _own_ids(created, randoms)
    return pc.coalesce(records.column("id_text"), own) if records.is_there("id_text") else own


def _own_ids(created: Numbers, randoms: pa.Array) -> pa.Array:
    """What `columns.id_text` makes, for times of up to 15 digits; anything where there is no random part."""
    count = len(created)
    data = np.frombuffer(randoms.buffers()[1], np.uint8)
    start = randoms.offset * _RANDOM_BYTES
    random_bytes = data[start : start + count * _RANDOM_BYTES].reshape(count, _RANDOM_BYTES)
    time_bytes = created.astype(">i8").view(np.uint8).reshape(count, _TIME_BYTES)
    parts = [np.broadcast_to(np.frombuffer(ID_PREFIX.encode(), np.uint8), (count, len(ID_PREFIX)))]
    # Half a byte of zero goes before each of the two.
    parts += [_digits(time_bytes)[:, 1:], _digits(random_bytes)[:, 1:]]
    written = np.ascontiguousarray(np.concatenate(parts, axis=1))
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(written.shape[1])
    return pa.Array.from_buffers(TEXT, count, [None, pa.py_buffer(offsets), pa.py_buffer(written)])


def _digits(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    made: npt.NDArray[np.uint8] = _HEXADECIMAL[data].view(np.uint8)
    return made
