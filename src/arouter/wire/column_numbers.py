"""Columns of numbers and instants as columns of the bytes that JSON and CSV write for them.

Needs `numpy` and `pyarrow`. Every function works on whole columns: there is no Python per value.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes2D = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

_ZERO, _DOT, _MINUS = ord("0"), ord("."), ord("-")
_SECONDS_A_DAY = 86_400
_MICROSECONDS = 1_000_000


def _table(texts: list[str]) -> Bytes2D:
    return np.frombuffer("".join(texts).encode(), dtype=np.uint8).reshape(len(texts), -1)


_THREE_DIGITS = _table([f"{number:03d}" for number in range(1000)])
_TIMES_OF_DAY = _table([f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}." for s in range(_SECONDS_A_DAY)])


def ragged(data: Bytes2D, kept: npt.NDArray[np.bool_]) -> pa.Array:
    """One value for each row of `data`: those of its bytes that are `kept`."""
    offsets = np.zeros(len(data) + 1, dtype=np.int32)
    np.cumsum(kept.sum(axis=1, dtype=np.int32), out=offsets[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(data), [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data[kept]))]
    )


def fixed(data: Bytes2D) -> pa.Array:
    """One value for each row of `data`: all of its bytes."""
    rows, width = data.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(
        pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    )


def instants(times_us: Integers) -> Bytes2D:
    """`2026-11-22T06:00:00.123456Z`, 27 bytes each, as `instants.write_instant` writes it."""
    seconds, micros = np.divmod(times_us, _MICROSECONDS)
    days, second_of_day = np.divmod(seconds, _SECONDS_A_DAY)
    different, which = np.unique(days, return_inverse=True)
    dates = _table([str(day) for day in different.astype("datetime64[D]")]) if len(different) else _NO_DATES
    written = np.empty((len(times_us), 27), dtype=np.uint8)
    written[:, :10] = dates[which]
    written[:, 10:20] = _TIMES_OF_DAY[second_of_day]
    written[:, 20:23] = _THREE_DIGITS[micros // 1000]
    written[:, 23:26] = _THREE_DIGITS[micros % 1000]
    written[:, 26] = ord("Z")
    return written


_NO_DATES = np.empty((0, 10), dtype=np.uint8)


def decimals(units: Integers, places: int, least_places: int) -> pa.Array:
    """Units of 10^-places as decimal numbers without an exponent and without zeros at the end.

    `places` is a multiple of 3. At least `least_places` decimals are written: with 0, a whole number has no point.
    ValueError below -(2^63 - 1).
    """
    if len(units) and units.min() == np.iinfo(np.int64).min:
        raise ValueError("an amount is out of all proportion")
    size = np.abs(units)
    whole, rest = np.divmod(size, 10**places)
    written = np.empty((len(units), 1 + 21 + 1 + places), dtype=np.uint8)
    kept = np.empty(written.shape, dtype=np.bool_)
    start = 22 - _width(whole)
    _write_digits(written[:, start:22], whole)
    _write_digits(written[:, 23:], rest)
    written[:, start - 1] = _MINUS
    written[:, 22] = _DOT
    kept[:, start - 1] = units < 0
    kept[:, start:22] = np.logical_or.accumulate(written[:, start:22] != _ZERO, axis=1)
    kept[:, 21] = True
    kept[:, 23:] = np.logical_or.accumulate(written[:, :22:-1] != _ZERO, axis=1)[:, ::-1]
    kept[:, 23 : 23 + least_places] = True
    kept[:, 22] = kept[:, 23]
    return ragged(written[:, start - 1 :], kept[:, start - 1 :])


def _width(whole: Integers) -> int:
    """Digits of the greatest, in full groups of three."""
    most = int(whole.max()) if len(whole) else 0
    return 3 * -(-len(str(most)) // 3)


def _write_digits(into: Bytes2D, numbers: Integers) -> None:
    """`numbers` in decimal, with zeros in front."""
    for end in range(into.shape[1], 3, -3):
        numbers, group = np.divmod(numbers, 1000)
        into[:, end - 3 : end] = _THREE_DIGITS[group]
    into[:, :3] = _THREE_DIGITS[numbers]
