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
from arouter.wire.column_numbers import Bytes2D, decimals, fixed, quoted_instants
from arouter.wire.numbers import dollars, milliseconds

Numbers = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

MOST_COMBINED = 1024
"""Different values of columns that are written as one part."""
MOST_LISTED = 256
"""Different values of a column that are written one by one; more are written as a whole column."""

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
    controls: int
    """A text with a byte below this must be escaped."""
    never_plain: bytes
    """The same of a text with one of these."""
    never_first: Flags
    """By byte: the same of a text that begins with it."""
    nested: Callable[[pa.Array], pa.Array]
    """Columns of JSON text to cells."""

    def nested_text(self, text: str) -> bytes:
        """The same of one."""
        cell: bytes = self.nested(pa.array([text], pa.string()))[0].as_py()
        return cell


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
    controls=0x20,
    never_plain=b'"\\',
    never_first=_bytes(b""),
    nested=lambda values: values.cast(pa.binary()),
)
CSV = Form(
    start=b"",
    end=csv_cells.LINE_END.encode(),
    lead=lambda place, _: b"," if place else b"",
    unknown=b"",
    text=_csv_text,
    controls=0,
    never_plain=b'"',
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

    def __init__(self, form: Form, lines: int) -> None:
        """There is at least one line."""
        self.form = form
        self._lines = lines
        self._parts: list[bytes | _Coded | list[Bytes2D] | pa.Array] = []
        self._constant = b""
        """What every line has behind the last part."""

    def constant(self, value: bytes) -> None:
        self._constant += value

    def column(self, values: pa.Array) -> None:
        last = self._parts[-1] if self._parts else None
        if isinstance(last, list):
            last.append(self._taken_constant())
        elif self._constant:
            self._parts.append(self._constant)
            self._constant = b""
        self._parts.append(values)

    def fixed(self, data: Bytes2D) -> None:
        """As many bytes of every line. What is fixed side by side is one part."""
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, list):
            last = []
            self._parts.append(last)
        last += [self._taken_constant(), data]

    def coded(self, numbers: Numbers, values: list[bytes]) -> None:
        least = int(numbers.min())
        if least == int(numbers.max()):
            self.constant(values[least])
            return
        values = [self._constant + one for one in values]
        last = self._parts[-1] if self._parts else None
        both = _combined(last, numbers, values) if isinstance(last, _Coded) else None
        self._constant = b""
        if both is None:
            self._parts.append(_Coded(numbers, values))
        else:
            self._parts[-1] = both

    def joined(self) -> memoryview:
        lines = pc.binary_join_element_wise(*map(_spread, self._parts), self._constant, b"")
        _, starts, data = lines.buffers()
        ends = np.frombuffer(starts, dtype=np.int32)
        return memoryview(data)[int(ends[lines.offset]) : int(ends[lines.offset + len(lines)])]

    def _taken_constant(self) -> Bytes2D:
        constant, self._constant = np.frombuffer(self._constant, dtype=np.uint8), b""
        return np.broadcast_to(constant, (self._lines, len(constant)))


def _spread(part: bytes | _Coded | list[Bytes2D] | pa.Array) -> bytes | pa.Array:
    """As a column, but for what is the same in every line."""
    if isinstance(part, list):
        return fixed(np.concatenate(part, axis=1))
    if isinstance(part, _Coded):
        return pa.array(part.values, pa.binary()).take(pa.array(part.numbers))
    return part


def _combined(left: _Coded, numbers: Numbers, values: list[bytes]) -> _Coded | None:
    """Both as one part; None if they differ too much for that."""
    if len(values) > MOST_COMBINED or len(left.values) > MOST_COMBINED:
        return None
    there = pa.array(left.numbers * np.int32(len(values)) + numbers).dictionary_encode()
    if len(there.dictionary) > MOST_COMBINED:
        return None
    found = [divmod(pair, len(values)) for pair in there.dictionary.to_numpy().tolist()]
    return _Coded(there.indices.to_numpy(), [left.values[one] + values[other] for one, other in found])


def _coded(line: _Line, numbers: pa.Array, written: list[bytes]) -> None:
    """A column by the number of each value, null where there is none."""
    if numbers.null_count:
        numbers = numbers.fill_null(len(written))
        written = [*written, line.form.unknown]
    line.coded(numbers.to_numpy(), written)


# ---------------------------------------------------------------- cells by type


def _encoded(batch: pa.RecordBatch, form: Form) -> memoryview:
    if not batch.num_rows:
        return memoryview(b"")
    line = _Line(form, batch.num_rows)
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
        line.coded(values.to_numpy(zero_copy_only=False).astype(np.int32), [b"false", b"true"])
    elif pa.types.is_decimal(kind):
        _add_decimals(line, values, kind.scale)
    elif kind.value_type == ATTEMPT:
        _add_attempts(line, values)
    else:
        _add_tags(line, values)


def _add_repeated(line: _Line, values: pa.DictionaryArray) -> None:
    texts = values.dictionary
    if len(texts) > len(values):
        values = values.cast(values.type.value_type).dictionary_encode()
        texts = values.dictionary
    if len(texts) > MOST_LISTED and _are_plain(texts, line.form):
        cells = pc.binary_join_element_wise(b'"', texts.cast(pa.binary()), b'"', b"").take(values.indices)
        line.column(cells.fill_null(line.form.unknown) if cells.null_count else cells)
    else:
        _coded(line, values.indices, [line.form.text(one) for one in texts.to_pylist()])


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
        content, places = _content(values)
        width = int(places[1])
        if len(content) and (np.diff(places) == width).all():
            line.fixed(content.reshape(len(values), width))
        else:
            line.column(values.cast(pa.binary()))
        line.constant(b'"')


def _content(values: pa.Array) -> tuple[npt.NDArray[np.uint8], Numbers]:
    """The bytes of texts, and where each begins, with the end of the last."""
    _, starts, data = values.buffers()
    places = np.frombuffer(starts, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    first, last = int(places[0]), int(places[-1])
    content = np.frombuffer(b"" if data is None else data, dtype=np.uint8)[first:last]
    return content, places - np.int32(first)


def _are_plain(values: pa.Array, form: Form) -> bool:
    content, places = _content(values)
    if not len(content):
        return True
    if content.min() < form.controls or any((content == sign).any() for sign in form.never_plain):
        return False
    begins = places[:-1][places[1:] > places[:-1]]
    return not form.never_first[content[begins]].any()


def _add_instants(line: _Line, values: pa.Array) -> None:
    line.fixed(quoted_instants(values.cast(pa.int64()).to_numpy()))


def _add_integers(line: _Line, values: pa.Array) -> None:
    """Where counts repeat, writing each different one is cheaper than writing all."""
    if values.null_count == len(values):
        line.constant(line.form.unknown)
        return
    coded = values.dictionary_encode()
    if len(coded.dictionary) > MOST_LISTED:
        written = values.cast(pa.string()).cast(pa.binary())
        line.column(written.fill_null(line.form.unknown) if written.null_count else written)
    else:
        _coded(line, coded.indices, [b"%d" % one for one in coded.dictionary.to_pylist()])


def _add_decimals(line: _Line, values: pa.Array, scale: int) -> None:
    written = decimals(decimals_to_units(values), scale, least_places=1 if scale == 3 else 0)
    if values.null_count:
        written = pc.if_else(values.is_valid(), written, pa.scalar(line.form.unknown, pa.binary()))
    line.column(written)


def _add_tags(line: _Line, values: pa.ListArray) -> None:
    tags = values.flatten()
    if not len(tags):
        line.constant(line.form.nested_text("[]"))
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
    which = np.flatnonzero(lengths)
    told = [_encode([_attempt(one) for one in tried]).decode() for tried in values.take(pa.array(which)).to_pylist()]
    numbers = np.zeros(len(values), dtype=np.int32)
    numbers[which] = np.arange(1, len(which) + 1)
    line.coded(numbers, line.form.nested(pa.array(["[]", *told], pa.string())).to_pylist())


def _attempt(fields: dict[str, Any]) -> AttemptRecord:
    latency, cost = fields["latency_ms"], fields["cost"]
    return AttemptRecord(
        **{
            **fields,
            "latency_ms": milliseconds(int(latency.scaleb(3))),
            "cost": None if cost is None else dollars(int(cost.scaleb(12))),
        }
    )
