"""Columns of activity records as NDJSON and CSV: to the byte what `activity_json` and `activity_csv` make of rows.

A line is put together from few parts. What repeats is a part by number: each different value is escaped once, with
the name and the comma before it, and columns side by side that have few different values become one such part. So
most of a line is copied, and what Python does per record is nothing.

Needs the extra `analytics`, as `activity_columns` does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from arouter.wire import csv_cells
from arouter.wire.activity_columns import ATTEMPT, SCHEMA, decimals_to_units
from arouter.wire.attempts_json import AttemptRecord
from arouter.wire.column_numbers import Bytes2D, decimals, fixed, instants
from arouter.wire.numbers import dollars, milliseconds

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MOST_COMBINED = 1024
"""Different values of columns that are written as one part."""

_encode = msgspec.json.Encoder().encode


# ---------------------------------------------------------------- the two forms


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a cell is written."""

    start: bytes
    end: bytes
    lead: Callable[[int, str], bytes]
    """What stands before the cell of a column, by its place and name."""
    unknown: bytes
    text: Callable[[str], bytes]
    """With its quotes."""
    never_plain: Flags
    """By byte: whether a text with it must be escaped."""
    never_first: Flags
    """The same of a text that begins with it."""
    nested: Callable[[pa.Array], pa.Array]
    """Columns of JSON text to cells."""


def _bytes(members: bytes) -> Flags:
    flags = np.zeros(256, dtype=np.bool_)
    flags[list(members)] = True
    return flags


def _csv_text(value: str) -> bytes:
    return csv_cells.text(value).encode()


def _csv_nested(values: pa.Array) -> pa.Array:
    doubled = pc.replace_substring(values, '"', '""')
    return pc.binary_join_element_wise(b'"', doubled.cast(pa.binary()), b'"', b"")


NDJSON = Form(
    start=b"",
    end=b"}\n",
    lead=lambda place, name: (b',"%b":' if place else b'{"%b":') % name.encode(),
    unknown=b"null",
    text=_encode,
    never_plain=_bytes(bytes(range(0x20)) + b'"\\'),
    never_first=_bytes(b""),
    nested=lambda values: values.cast(pa.binary()),
)
CSV = Form(
    start=b"",
    end=csv_cells.LINE_END.encode(),
    lead=lambda place, _: b"," if place else b"",
    unknown=b"",
    text=_csv_text,
    never_plain=_bytes(b'"'),
    never_first=_bytes(b"'=+-@\t\r"),
    nested=_csv_nested,
)


def encode_lines(batch: pa.RecordBatch) -> memoryview:
    """A batch of `SCHEMA` as NDJSON."""
    return _encoded(batch, NDJSON)


def encode_rows(batch: pa.RecordBatch) -> memoryview:
    """A batch of `SCHEMA` as lines of CSV, without the header."""
    return _encoded(batch, CSV)


# ---------------------------------------------------------------- parts of a line


@dataclass(slots=True)
class _Coded:
    """A part by number."""

    numbers: Numbers
    values: list[bytes]


class _Line:
    """The parts of every line of a batch, in their order."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._parts: list[bytes | _Coded | pa.Array] = []

    def constant(self, value: bytes) -> None:
        last = self._parts[-1] if self._parts else None
        if isinstance(last, bytes):
            self._parts[-1] = last + value
        elif isinstance(last, _Coded):
            last.values = [one + value for one in last.values]
        else:
            self._parts.append(value)

    def column(self, values: pa.Array) -> None:
        self._parts.append(values)

    def coded(self, numbers: Numbers, values: list[bytes]) -> None:
        last = self._parts[-1] if self._parts else None
        if isinstance(last, bytes):
            self._parts[-1] = _Coded(numbers, [last + one for one in values])
        elif isinstance(last, _Coded) and (both := _combined(last, numbers, values)) is not None:
            self._parts[-1] = both
        else:
            self._parts.append(_Coded(numbers, values))

    def joined(self) -> memoryview:
        parts = [_spread(part) if isinstance(part, _Coded) else part for part in self._parts]
        lines = pc.binary_join_element_wise(*parts, b"")
        _, starts, data = lines.buffers()
        ends = np.frombuffer(starts, dtype=np.int32)
        return memoryview(data)[int(ends[lines.offset]) : int(ends[lines.offset + len(lines)])]


def _combined(left: _Coded, numbers: Numbers, values: list[bytes]) -> _Coded | None:
    """Both as one part; None if they differ too much for that."""
    if len(values) > MOST_COMBINED or len(left.values) > MOST_COMBINED:
        return None
    pairs = left.numbers * len(values) + numbers
    if len(left.values) * len(values) <= MOST_COMBINED:
        return _Coded(pairs, [one + other for one in left.values for other in values])
    there = pa.array(pairs).dictionary_encode()
    if len(there.dictionary) > MOST_COMBINED:
        return None
    found = [divmod(pair, len(values)) for pair in there.dictionary.to_pylist()]
    return _Coded(_indices(there), [left.values[one] + values[other] for one, other in found])


def _spread(part: _Coded) -> pa.Array:
    return pa.array(part.values, pa.binary()).take(pa.array(part.numbers))


def _indices(values: pa.DictionaryArray) -> Numbers:
    """The number of each value; that behind the last where there is none."""
    numbers = values.indices
    if numbers.null_count:
        numbers = numbers.fill_null(len(values.dictionary))
    whole: Numbers = numbers.to_numpy(zero_copy_only=False).astype(np.int64)
    return whole


# ---------------------------------------------------------------- cells by type


def _encoded(batch: pa.RecordBatch, form: Form) -> memoryview:
    if not batch.num_rows:
        return memoryview(b"")
    line = _Line(form)
    for place, field in enumerate(SCHEMA):
        line.constant(form.lead(place, field.name))
        _add(line, batch.column(place), field)
    line.constant(form.end)
    return line.joined()


def _add(line: _Line, values: pa.Array, field: pa.Field) -> None:
    kind = field.type
    if pa.types.is_dictionary(kind):
        _add_repeated(line, values)
    elif pa.types.is_string(kind):
        _add_texts(line, values)
    elif pa.types.is_timestamp(kind):
        _add_instants(line, values)
    elif pa.types.is_integer(kind):
        _add_integers(line, values)
    elif pa.types.is_boolean(kind):
        line.coded(values.cast(pa.int64()).to_numpy(zero_copy_only=False), [b"false", b"true"])
    elif pa.types.is_decimal(kind):
        _add_decimals(line, values, kind.scale)
    elif kind.value_type == ATTEMPT:
        _add_attempts(line, values)
    else:
        _add_tags(line, values)


def _add_repeated(line: _Line, values: pa.DictionaryArray) -> None:
    if len(values.dictionary) > len(values):
        values = values.cast(values.type.value_type).dictionary_encode()
    written = [line.form.text(one) for one in values.dictionary.to_pylist()]
    line.coded(_indices(values), [*written, line.form.unknown])


def _add_texts(line: _Line, values: pa.Array) -> None:
    """Most need no escape: one look at all their bytes tells."""
    if values.null_count == len(values):
        line.constant(line.form.unknown)
    elif not _are_plain(values, line.form):
        _add_repeated(line, values.dictionary_encode())
    elif values.null_count:
        quoted = pc.binary_join_element_wise(b'"', values.cast(pa.binary()), b'"', b"")
        line.column(quoted.fill_null(line.form.unknown))
    else:
        line.constant(b'"')
        line.column(values.cast(pa.binary()))
        line.constant(b'"')


def _are_plain(values: pa.Array, form: Form) -> bool:
    _, starts, data = values.buffers()
    places = np.frombuffer(starts, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    first, last = int(places[0]), int(places[-1])
    if first == last:
        return True
    content = np.frombuffer(data, dtype=np.uint8)[first:last]
    if form.never_plain[content].any():
        return False
    begins = places[:-1][places[1:] > places[:-1]] - first
    return not form.never_first[content[begins]].any()


def _add_instants(line: _Line, values: pa.Array) -> None:
    written = instants(values.cast(pa.int64()).to_numpy())
    quoted: Bytes2D = np.full((len(written), written.shape[1] + 2), ord('"'), dtype=np.uint8)
    quoted[:, 1:-1] = written
    line.column(fixed(quoted))


def _add_integers(line: _Line, values: pa.Array) -> None:
    """Counts repeat, so that writing each different one is cheaper than writing all."""
    if values.null_count == len(values):
        line.constant(line.form.unknown)
        return
    coded = values.dictionary_encode()
    written = coded.dictionary.cast(pa.string()).cast(pa.binary()).to_pylist()
    line.coded(_indices(coded), [*written, line.form.unknown])


def _add_decimals(line: _Line, values: pa.Array, scale: int) -> None:
    written = decimals(decimals_to_units(values), scale, least_places=1 if scale == 3 else 0)
    if values.null_count:
        written = pc.if_else(values.is_valid(), written, pa.scalar(line.form.unknown, pa.binary()))
    line.column(written)


def _add_tags(line: _Line, values: pa.ListArray) -> None:
    tags = values.flatten()
    if not len(tags):
        line.column(line.form.nested(_repeat("[]", len(values))))
        return
    coded = tags.dictionary_encode()
    written = pa.array([_encode(one).decode() for one in coded.dictionary.to_pylist()], pa.string())
    quoted = written.take(coded.indices)
    starts = values.offsets.cast(pa.int64()).to_numpy()
    inside = pc.binary_join(pa.ListArray.from_arrays(pa.array((starts - starts[0]).astype(np.int32)), quoted), ",")
    line.column(line.form.nested(pc.binary_join_element_wise("[", inside, "]", "")))


def _add_attempts(line: _Line, values: pa.ListArray) -> None:
    """They are told where there was more than one only: few records have any."""
    lengths = values.value_lengths().to_numpy()
    if not lengths.any():
        line.column(line.form.nested(_repeat("[]", len(values))))
        return
    which = np.flatnonzero(lengths)
    told = [_encode([_attempt(one) for one in tried]).decode() for tried in values.take(pa.array(which)).to_pylist()]
    numbers = np.zeros(len(values), dtype=np.int64)
    numbers[which] = np.arange(1, len(which) + 1)
    cells = line.form.nested(pa.array(["[]", *told], pa.string()))
    line.column(cells.take(pa.array(numbers)))


def _attempt(fields: dict[str, Any]) -> AttemptRecord:
    latency, cost = fields["latency_ms"], fields["cost"]
    return AttemptRecord(
        **{
            **fields,
            "latency_ms": milliseconds(int(latency.scaleb(3))),
            "cost": None if cost is None else dollars(int(cost.scaleb(12))),
        }
    )


def _repeat(text: str, times: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), times)
