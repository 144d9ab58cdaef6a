"""Columns of whole numbers as bytes, and back.

A block is a head, in MessagePack with its length before it, and the columns one after the other. Each column has the
narrowest type that holds its values. A column of one value is only told in the head. Of a column that never falls, as
users in their order do, the steps from one value to the next are kept where they are narrower.

Large blocks have each column compressed on its own: who needs two of twenty columns unpacks two. Small ones, of which
nearly all columns are needed, are compressed as a whole: to begin to unpack costs as much as they do.
"""

import struct
from collections.abc import Collection, Mapping

import msgspec
import numpy as np
import zstandard

Column = np.ndarray
"""Of one dimension, of whole numbers."""

_LEVEL = 1
_TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "i8")
_STEPS = "+"
"""Before the type of steps."""
_HEAD = struct.Struct("<I")
_DTYPES = {name: np.dtype("<" + name) for name in (*_TYPES, "u8")}


class _Told(msgspec.Struct, array_like=True):
    """One column of the head."""

    name: str
    type: str
    packed: int
    """Bytes; 0 if all its values are `value`, or if there are none."""
    is_compressed: bool
    value: int
    """The first value, if those that follow are told by steps."""


class _Head(msgspec.Struct, array_like=True):
    rows: int
    columns: list[_Told]
    plain: int = 0
    """Bytes of all columns together, if they are compressed as a whole."""


def pack(columns: Mapping[str, Column], *, whole: bool = False) -> bytes:
    """Columns of one length, of signed or unsigned 64 bits or less, as a block, which is compressed as a whole or each
    column on its own."""
    rows = len(next(iter(columns.values())))
    told, bodies = [], []
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    for name, values in columns.items():
        if not rows or (values == values[0]).all():
            told.append(_Told(name, values.dtype.str[1:], 0, False, int(values[0]) if rows else 0))
            continue
        narrow = _narrow(values)
        steps = _steps(values, narrow.itemsize)
        plain = (narrow if steps is None else steps).tobytes()
        packed = plain if whole else compressor.compress(plain)
        is_compressed = len(packed) < len(plain) * 7 // 8
        bodies.append(packed if is_compressed else plain)
        if steps is None:
            told.append(_Told(name, narrow.dtype.str[1:], len(bodies[-1]), is_compressed, 0))
        else:
            kind = _STEPS + steps.dtype.str[1:]
            told.append(_Told(name, kind, len(bodies[-1]), is_compressed, int(values[0])))
    if whole and bodies:
        plain = b"".join(bodies)
        head = msgspec.msgpack.encode(_Head(rows, told, len(plain)))
        return b"".join((_HEAD.pack(len(head)), head, compressor.compress(plain)))
    head = msgspec.msgpack.encode(_Head(rows, told))
    return b"".join((_HEAD.pack(len(head)), head, *bodies))


def unpack(
    block: bytes,
    names: Collection[str],
    decompressor: zstandard.ZstdDecompressor | None = None,
    *,
    only: tuple[str, int] | None = None,
) -> dict[str, Column]:
    """Those of `names`, in narrow types or in 64 bits; a column of one value is not writable.

    A decompressor of the caller's thread saves making one. With `only`, the name of a column that never falls and a
    value, the rows with that value there: what of others is in the block costs next to nothing.
    """
    (length,) = _HEAD.unpack_from(block)
    place = _HEAD.size + length
    head = msgspec.msgpack.decode(memoryview(block)[_HEAD.size : place], type=_Head)
    decompressor = zstandard.ZstdDecompressor() if decompressor is None else decompressor
    bodies = memoryview(block)[place:]
    if head.plain:
        bodies = memoryview(decompressor.decompress(bodies))
    first, beyond = 0, head.rows
    if only is not None:
        rising, value = only
        (values,) = _columns(head, bodies, (rising,), decompressor, 0, head.rows).values()
        first, beyond = np.searchsorted(values, (value, value + 1)).tolist()
    return _columns(head, bodies, names, decompressor, first, beyond)


def _columns(
    head: _Head,
    bodies: memoryview,
    names: Collection[str],
    decompressor: zstandard.ZstdDecompressor,
    first: int,
    beyond: int,
) -> dict[str, Column]:
    """From one row to before another."""
    rows = beyond - first
    columns: dict[str, Column] = {}
    place = 0
    for told in head.columns:
        name, packed = told.name, told.packed
        if name in names:
            if not packed or not rows:
                columns[name] = repeated(told.value if rows else 0, told.type.removeprefix(_STEPS), rows)
            elif told.is_compressed or told.type.startswith(_STEPS):
                body: memoryview | bytes = bodies[place : place + packed]
                values = _values(told, decompressor.decompress(body) if told.is_compressed else body)
                columns[name] = values if rows == head.rows else values[first:beyond]
            else:
                dtype = _DTYPES[told.type]
                columns[name] = np.frombuffer(bodies, dtype, rows, place + first * dtype.itemsize)
        place += packed
    return columns


def _values(told: _Told, body: memoryview | bytes) -> Column:
    if not told.type.startswith(_STEPS):
        return np.frombuffer(body, _DTYPES[told.type])
    steps = np.frombuffer(body, _DTYPES[told.type[len(_STEPS) :]])
    rising: Column = np.cumsum(steps, dtype=np.int64) + told.value
    return rising


def repeated(value: int, kind: str, rows: int) -> Column:
    """A column of one value, which takes no room and is not writable."""
    dtype = _DTYPES[kind]
    return np.ndarray((rows,), dtype, value.to_bytes(dtype.itemsize, "little", signed=dtype.kind == "i"), 0, (0,))


def _steps(values: Column, width: int) -> Column | None:
    """From each value to the next, before them 0. None if they are not narrower than so many bytes, or if any falls."""
    if width == 1 or values.dtype == np.uint64 or (values[1:] < values[:-1]).any():
        return None
    if int(values[-1]) - int(values[0]) >= 2**63:
        return None
    steps = _narrow(np.diff(values.astype(np.int64, copy=False), prepend=values[:1]))
    return steps if steps.itemsize < width else None


def _narrow(values: Column) -> Column:
    if values.dtype == np.uint64:
        return values.astype("<u8", copy=False)
    least, most = int(values.min()), int(values.max())
    for name in _TYPES:
        info = np.iinfo(name)
        if info.min <= least and most <= info.max:
            return values.astype("<" + name)
    raise ValueError("more than 64 bits")
