"""A record before its row has a number, and how many of them are packed until they get one.

What is packed says which columns it has, so that a program of another version can read what this one left.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from arouter.domain.record import Record
from arouter.store.limits import check_with_counts
from arouter.store.sqlite.rows import NAMED, PLAIN, values_of

Prepared = tuple[tuple[str, ...], tuple[Any, ...], tuple[str | None, ...], str | None]
"""The tags, the values of `PLAIN`, the texts of `NAMED`, the user. A bare tuple: there are many."""

_Packed = tuple[list[str], list[str], list[Prepared]]

_ID: Final = PLAIN.index("id")
_COUNTS: Final = slice(PLAIN.index("attempts"), PLAIN.index("raw_usage"))
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode
_ARRAY_OF_THREE: Final = b"\x93"
_COLUMNS: Final = _ARRAY_OF_THREE + _encode(PLAIN) + _encode(NAMED)


def prepare(record: Record) -> Prepared:
    """ValueError if a number is out of all proportion. Whether its texts are Unicode shows when it is packed."""
    prepared = values_of(record)
    check_with_counts(record, prepared[1][_COUNTS])
    return prepared


def prepare_all(records: Sequence[Record]) -> tuple[Sequence[Prepared], list[ValueError | None]]:
    """Those that can be stored, and what is wrong with each of all."""
    prepared: list[Prepared] = []
    problems: list[ValueError | None] = []
    for record in records:
        try:
            one = prepare(record)
            _encode(one)
        except ValueError as problem:
            problems.append(problem)
        else:
            prepared.append(one)
            problems.append(None)
    return prepared, problems


def id_of(prepared: Prepared) -> str:
    record_id: str = prepared[1][_ID]
    return record_id


def pack(prepared: Sequence[Prepared]) -> bytes:
    """ValueError if a text is not Unicode."""
    return _COLUMNS + _encode(prepared)


def unpack(packed: bytes) -> Sequence[Prepared]:
    """What `pack` was given. A column that was not known then is None.

    ValueError for one that is not known now, and for what was not packed.
    """
    plain, named, prepared = _decode(packed)
    if plain == [*PLAIN] and named == [*NAMED]:
        return cast(Sequence[Prepared], prepared)
    unknown = {*plain, *named} - {*PLAIN, *NAMED}
    if unknown:
        raise ValueError(f"this program does not know {', '.join(sorted(unknown))}")
    return [
        (tags, _placed(PLAIN, plain, values), _placed(NAMED, named, texts), user)
        for tags, values, texts, user in prepared
    ]


def _placed(columns: Sequence[str], given: Sequence[str], values: Sequence[Any]) -> tuple[Any, ...]:
    found = dict(zip(given, values, strict=True))
    return tuple(found.get(column) for column in columns)
