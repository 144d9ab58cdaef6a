"""Columns of numbers and instants as columns of the bytes that JSON and CSV write for them.

Needs `numpy` and `pyarrow`. Every function works on whole columns: there is no Python per value.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes2D = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.bytes_]

_DOT, _MINUS, _QUOTE, _ZULU = (ord(sign) for sign in '.-"Z')
_SECONDS_A_DAY = 86_400
_MICROSECONDS = 1_000_000
_MICROSECONDS_A_DAY = _SECONDS_A_DAY * _MICROSECONDS


def _table(texts: list[str]) -> Texts:
    """Texts of one width."""
    return np.frombuffer("".join(texts).encode(), dtype=f"S{len(texts[0])}")


_THREE_DIGITS = _table([f"{number:03d}" for number in range(1000)])
_TIMES_OF_DAY = _table([f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}." for s in range(_SECONDS_A_DAY)])
_DIGITS = np.array([len(str(number)) for number in range(1000)], dtype=np.int64)
"""Of a number below 1,000, without zeros in front."""
_DECIMALS = np.array([len(f"{number:03d}".rstrip("0")) for number in range(1000)], dtype=np.int64)
"""Of so many thousandths, without zeros at the end."""


def fixed(data: Bytes2D) -> pa.Array:
    """One value for each row of `data`: all of its bytes."""
    rows, width = data.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(
        pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    )


def ragged(data: Bytes2D, first: Integers, behind: Integers) -> pa.Array:
    """One value for each row of `data`: its bytes from one place to before another."""
    rows, width = data.shape
    offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(behind - first, out=offsets[1:])
    kept = np.take(_runs(width), first * (width + 1) + behind, axis=0)
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data[kept])])


@cache
def _runs(width: int) -> npt.NDArray[np.bool_]:
    """Which bytes are kept of a row, by its first place times (width + 1) plus the one behind its last."""
    places, edges = np.arange(width), np.arange(width + 1)
    runs: npt.NDArray[np.bool_] = (places >= edges[:, None, None]) & (places < edges[None, :, None])
    return runs.reshape(-1, width)


def quoted_instants(times_us: Integers) -> Bytes2D:
    """`"2026-11-22T06:00:00.123456Z"`, 29 bytes each, as `instants.write_instant` writes it, within quotes."""
    days = times_us // _MICROSECONDS_A_DAY
    of_day = times_us - days * _MICROSECONDS_A_DAY
    seconds = of_day // _MICROSECONDS
    micros = of_day - seconds * _MICROSECONDS
    millis = micros // 1000
    written = np.empty((len(times_us), 29), dtype=np.uint8)
    written[:, 0] = written[:, 28] = _QUOTE
    if len(times_us):
        _put(written, 1, _dates(days))
    _put(written, 11, _TIMES_OF_DAY[seconds])
    _put(written, 21, _THREE_DIGITS[millis])
    _put(written, 24, _THREE_DIGITS[micros - millis * 1000])
    written[:, 27] = _ZULU
    return written


def _dates(days: Integers) -> Texts:
    first = days[:1]
    # Most batches are of one day.
    different, which = (first, None) if (days == first).all() else np.unique(days, return_inverse=True)
    dates = _table([str(day) for day in different.astype("datetime64[D]")])
    return np.broadcast_to(dates, len(days)) if which is None else dates[which]


def decimals(units: Integers, places: int, least_places: int) -> pa.Array:
    """Units of 10^-places as decimal numbers without an exponent and without zeros at the end.

    `places` is a multiple of 3. At least `least_places` decimals are written: with 0, a whole number has no point.
    ValueError below -(2^63 - 1).
    """
    if len(units) and units.min() == np.iinfo(np.int64).min:
        raise ValueError("an amount is out of all proportion")
    size = np.abs(units)
    whole = size // 10**places
    before = _groups(whole, _width(whole))
    behind = _groups(size - whole * 10**places, places)
    point = 1 + 3 * len(before)
    written = np.empty((len(units), point + 1 + places), dtype=np.uint8)
    digits, shown = np.ones(len(units), dtype=np.int64), np.full(len(units), least_places, dtype=np.int64)
    for place, group in enumerate(before):
        _put(written, 1 + 3 * place, _THREE_DIGITS[group])
    for place, group in enumerate(reversed(before)):
        digits = np.where(group > 0, 3 * place + _DIGITS[group], digits)
    for place, group in enumerate(behind):
        _put(written, point + 1 + 3 * place, _THREE_DIGITS[group])
        shown = np.where(group > 0, np.maximum(3 * place + _DECIMALS[group], least_places), shown)
    written[:, point] = _DOT
    first = point - digits
    negative = np.flatnonzero(units < 0)
    if len(negative):
        first[negative] -= 1
        written[negative, first[negative]] = _MINUS
    return ragged(written, first, np.where(shown > 0, point + 1 + shown, point))


def _width(whole: Integers) -> int:
    """Digits of the greatest, in full groups of three."""
    most = int(whole.max()) if len(whole) else 0
    return 3 * -(-len(str(most)) // 3)


def _groups(numbers: Integers, digits: int) -> list[Integers]:
    """The digits of each number in threes, the first of them first."""
    groups = []
    for _ in range(digits // 3 - 1):
        above = numbers // 1000
        groups.append(numbers - above * 1000)
        numbers = above
    return [numbers, *reversed(groups)]


def _put(into: Bytes2D, place: int, texts: Texts) -> None:
    """One of the texts into each row, from that place on."""
    into[:, place : place + texts.itemsize].view(texts.dtype)[:, 0] = texts
