"""A record before its row has a number, and how many of them are packed until they get one, with the intents that came
beside them.

What is packed says which columns it has, so that a program of another version can read what this one left.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from arouter.domain.record import Opening, Record
from arouter.store.limits import check_with_counts
from arouter.store.sqlite.rows import NAMED, PLAIN, values_of

Prepared = tuple[tuple[str, ...], tuple[Any, ...], tuple[str | None, ...], str | None]
"""The tags, the values of `PLAIN`, the texts of `NAMED`, the user. A bare tuple: there are many."""

Noted = tuple[str, int, bytes]
"""An intent as it is kept, a row of `open_records`: the id, the number of the owner, the opening as JSON."""


class _Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    plain: list[str]
    named: list[str]
    prepared: list[Prepared]
    noted: list[Noted] = []  # msgspec makes a list for each
    """A group without intents says nothing of them."""


_ID: Final = PLAIN.index("id")
_COUNTS: Final = slice(PLAIN.index("attempts"), PLAIN.index("raw_usage"))
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode
_ARRAY_OF_THREE: Final = b"\x93"
_ARRAY_OF_FOUR: Final = b"\x94"
_COLUMNS: Final = _encode(PLAIN) + _encode(NAMED)


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


def note_all(openings: Sequence[Opening], owner_no: int) -> list[Noted]:
    """Intents as they are kept, without those that cannot be: their records could not be either, and are refused."""
    noted: list[Noted] = []
    for opening in openings:
        with suppress(UnicodeEncodeError):
            noted.append((opening.id, owner_no, msgspec.json.encode(opening)))
    return noted


def pack(prepared: Sequence[Prepared], noted: Sequence[Noted] = ()) -> bytes:
    """ValueError if a text is not Unicode."""
    if noted:
        return _ARRAY_OF_FOUR + _COLUMNS + _encode(prepared) + _encode(noted)
    return _ARRAY_OF_THREE + _COLUMNS + _encode(prepared)


def unpack(packed: bytes) -> tuple[Sequence[Prepared], Sequence[Noted]]:
    """What `pack` was given. A column that was not known then is None.

    ValueError for one that is not known now, and for what was not packed.
    """
    group = _decode(packed)
    if group.plain == [*PLAIN] and group.named == [*NAMED]:
        return group.prepared, group.noted
    unknown = {*group.plain, *group.named} - {*PLAIN, *NAMED}
    if unknown:
        raise ValueError(f"this program does not know {', '.join(sorted(unknown))}")
    prepared = [
        (tags, _placed(PLAIN, group.plain, values), _placed(NAMED, group.named, texts), user)
        for tags, values, texts, user in group.prepared
    ]
    return prepared, group.noted


def _placed(columns: Sequence[str], given: Sequence[str], values: Sequence[Any]) -> tuple[Any, ...]:
    found = dict(zip(given, values, strict=True))
    return tuple(found.get(column) for column in columns)
