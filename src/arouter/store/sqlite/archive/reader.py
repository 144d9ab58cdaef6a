"""Sealed records found: by a question, by their ids, or all that match."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.activity import Cursor
from arouter.store.sqlite.archive.blocks import MARKED, USERS_IN_BUCKET, numbers, signed
from arouter.store.sqlite.archive.columns import ID_PREFIX, id_text, own_id, to_rows, unpack
from arouter.store.sqlite.archive.recent import RECENT
from arouter.store.sqlite.names import fetch, to_json
from arouter.store.sqlite.rows import Row
from arouter.store.sqlite.sealed import DAY_US, is_unicode
from arouter.store.sqlite.selection import Wanted
from arouter.store.sqlite.statements import queries

_LATEST_US: Final = 2**63 - 1
_MOST_GAPS: Final = 8
"""The numbers of a block's records are close to each other, or are asked for one by one."""
_SEQ: Final = 0

Mask = np.ndarray[Any, np.dtype[np.bool_]]


Decode = Callable[[int, int, bytes], pa.RecordBatch]
"""What `columns.unpack` does."""


@dataclass(frozen=True, slots=True)
class Found:
    """Sealed records as the ledger reads rows, in any order, with the number of the adjustment that holds; the numbers
    of their tags by `seq`."""

    rows: Sequence[Row]
    tags: Mapping[object, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The adjustments that hold for some of a block's records: where those are, and what is said of them."""

    places: np.ndarray[Any, np.dtype[np.int64]]
    costs: Sequence[int | None]
    at_us: Sequence[int]


def page(connection: apsw.Connection, wanted: Wanted, *, descending: bool, limit: int, after: Cursor | None) -> Found:
    """The first `limit` records that are wanted, in the order of (created_at_us, id); of several users, of each."""
    if after is not None:
        # A record of the cursor's own microsecond may stand behind it.
        if descending:
            wanted = within(wanted, end_us=after.created_at_us + 1)
        else:
            wanted = within(wanted, start_us=after.created_at_us)
    pieces: list[pa.RecordBatch] = []
    for blocks, user in sources(connection, wanted, descending, RECENT.unpack):
        left = limit
        for block in blocks:
            found = _first(connection, block, user, wanted, after, left if descending else -left)
            if found is not None:
                pieces.append(found)
                left -= found.num_rows
                if left == 0:
                    break
    return _found(connection, pieces)


def within(wanted: Wanted, *, start_us: int = 0, end_us: int = _LATEST_US) -> Wanted:
    """The same of fewer instants."""
    return replace(wanted, start_us=max(wanted.start_us, start_us), end_us=min(wanted.end_us, end_us))


def scan(connection: apsw.Connection, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """Every record that is wanted, once, a block at a time, in no order."""
    for blocks, user in sources(connection, wanted, descending=False):
        for block in blocks:
            batch = block if user is None else of_user(block, user)
            mask = matching(connection, batch, wanted)
            if mask.any():
                yield batch if mask.all() else batch.filter(pa.array(mask))


def count(connection: apsw.Connection, wanted: Wanted) -> int:
    """How many records `scan` has to look at: those of every block that may hold what is wanted."""
    if wanted.users is None:
        asked = [time_blocks(wanted, descending=False)]
    else:
        asked = [user_blocks(wanted, user or 0, descending=False) for user in wanted.users]
    sql = queries()["records_of_blocks"]
    return sum(int(connection.execute(sql.format(blocks=blocks), values).get) for blocks, values in asked)


def find(connection: apsw.Connection, record_ids: Iterable[str]) -> Found:
    """The sealed records of those ids, of whatever organization."""
    wanted: dict[int, set[str]] = {}
    ids = [*record_ids]
    for record_id in ids:
        created_at_us = _time_of(record_id)
        if created_at_us is not None:
            wanted.setdefault(created_at_us, set()).add(record_id)
    sql = queries()["sealed_ids"].format(unseen=queries()["unseen_days"])
    for record_id, created_at_us in fetch(connection, sql, to_json([*filter(is_unicode, ids)])):
        wanted.setdefault(created_at_us, set()).add(record_id)
    if not wanted:
        return Found([], {})
    pieces: list[pa.RecordBatch] = []
    for organization_no in fetch(connection, queries()["organizations_with_sealed_days"]):
        pieces += _of_times(connection, organization_no, wanted)
    return _found(connection, pieces)


def adjusted_in(connection: apsw.Connection, batch: pa.RecordBatch) -> Adjusted:
    """The adjustments that hold for a block's records."""
    seqs = numbers(batch, "seq")
    found = sorted(adjusted(connection, seqs))
    if not found:
        return Adjusted(np.zeros(0, np.int64), (), ())
    by_seq = {row[0]: row for row in found}
    places = np.flatnonzero(np.isin(seqs, np.array([*by_seq], np.int64)))
    rows = [by_seq[seq] for seq in seqs[places].tolist()]
    return Adjusted(places, [row[3] for row in rows], [row[2] for row in rows])


def matching(connection: apsw.Connection, batch: pa.RecordBatch, wanted: Wanted, user: int | None = None) -> Mask:
    """Which records of a block are wanted; of one user only, 0 for none, if one is given."""
    created = numbers(batch, "created_at_us")
    mask: Mask = (created >= wanted.start_us) & (created < wanted.end_us)
    if user is not None:
        mask &= numbers(batch, "user_no") == user
    for column, allowed in wanted.one_of:
        mask &= _is_in(numbers(batch, column), allowed)
    if wanted.models is not None:
        either = [_is_in(numbers(batch, column), wanted.models) for column in ("model_no", "requested_model_no")]
        mask &= either[0] | either[1]
    if wanted.sessions:
        mask &= _text_is_in(batch, "session_id", wanted.sessions)
    if wanted.tags is not None:
        mask &= _has_tag(batch, wanted.tags)
    if wanted.written_until_us is not None:
        mask &= numbers(batch, "written_at_us") <= wanted.written_until_us
    if wanted.updated_since_us is not None and mask.any():
        mask &= _updated_since(connection, batch, wanted.updated_since_us)
    return mask


# ---------------------------------------------------------------- where


def sources(
    connection: apsw.Connection, wanted: Wanted, descending: bool, decode: Decode = unpack
) -> Iterator[tuple[Iterator[pa.RecordBatch], int | None]]:
    """Blocks that may hold what is wanted, in order: all of them, made by `decode`, or those of each user with the
    user."""
    if wanted.users is None:
        yield unpacked(connection, *time_blocks(wanted, descending), decode), None
    else:
        for user in wanted.users:
            yield _by_user(connection, wanted, 0 if user is None else user, descending), user or 0


def time_blocks(wanted: Wanted, descending: bool) -> tuple[str, tuple[object, ...]]:
    conditions, marks = "", []
    asked = [*wanted.one_of, *(() if wanted.models is None else [("model_no", wanted.models)])]
    for name, columns in MARKED:
        for column, allowed in asked:
            if column in columns:
                conditions += f" AND {name} & ? <> 0"
                marks.append(_bits_of(allowed))
    sql = queries()["time_blocks"].format(
        unseen=queries()["unseen_days"], masks=conditions, direction="DESC" if descending else "ASC"
    )
    # A block is within one day, so that older ones need not be looked at.
    return sql, (wanted.organization_no, wanted.start_us - DAY_US, wanted.end_us, wanted.start_us, *marks)


def _by_user(connection: apsw.Connection, wanted: Wanted, user: int, descending: bool) -> Iterator[pa.RecordBatch]:
    return unpacked(connection, *user_blocks(wanted, user, descending))


def user_blocks(wanted: Wanted, user: int, descending: bool) -> tuple[str, tuple[object, ...]]:
    sql = queries()["user_blocks"].format(unseen=queries()["unseen_days"], direction="DESC" if descending else "ASC")
    return sql, (
        wanted.organization_no,
        user // USERS_IN_BUCKET,
        wanted.start_us // DAY_US,
        wanted.end_us // DAY_US,
        _bits_of((user,)),
        wanted.end_us,
        wanted.start_us,
    )


def _of_times(
    connection: apsw.Connection, organization_no: int, wanted: Mapping[int, set[str]]
) -> Iterator[pa.RecordBatch]:
    """The records of those ids and times."""
    sql = queries()["time_blocks"].format(unseen=queries()["unseen_days"], masks="", direction="ASC")
    left = sorted(wanted)
    while left:
        at_us = left[0]
        last_us = at_us
        values = (organization_no, at_us - DAY_US, at_us + 1, at_us)
        for batch in unpacked(connection, sql, values, RECENT.unpack):
            created = numbers(batch, "created_at_us")
            last_us = int(created[-1])
            times = np.array([each for each in left if each == at_us or each < last_us], np.int64)
            places = [
                place
                for place in np.flatnonzero(np.isin(created, times)).tolist()
                if id_at(batch, place) in wanted[int(created[place])]
            ]
            if places:
                yield taken(batch, np.array(places))
        # What lies on the last block's last microsecond may go on in the next block: it is looked for on its own.
        left = [each for each in left if each > at_us and each >= last_us]


def unpacked(
    connection: apsw.Connection, sql: str, values: tuple[object, ...], decode: Decode = unpack
) -> Iterator[pa.RecordBatch]:
    for present, size, data, _ in connection.execute(sql, values):
        yield decode(present, size, data)


def _time_of(record_id: str) -> int | None:
    """The time that an id of our own tells."""
    digits = record_id[len(ID_PREFIX) : -17]
    try:
        created_at_us = int(digits, 16)
    except ValueError:
        return None
    return created_at_us if own_id(created_at_us, record_id) is not None else None


def _bits_of(values: Iterable[int]) -> int:
    made = 0
    for value in values:
        made |= 1 << (value % 64)
    return signed(made)


# ---------------------------------------------------------------- which


def _is_in(values: np.ndarray[Any, np.dtype[np.int64]], allowed: frozenset[int]) -> Mask:
    if len(allowed) == 1:
        equal: Mask = values == next(iter(allowed))
        return equal
    return np.isin(values, np.array([*allowed], np.int64))


def _text_is_in(batch: pa.RecordBatch, name: str, allowed: Sequence[str]) -> Mask:
    place = batch.schema.get_field_index(name)
    if place < 0:
        return np.zeros(batch.num_rows, np.bool_)
    found = pc.is_in(batch.column(place), value_set=pa.array(allowed, pa.string()))
    made: Mask = found.fill_null(False).to_numpy(zero_copy_only=False)
    return made


def _has_tag(batch: pa.RecordBatch, allowed: frozenset[int]) -> Mask:
    mask: Mask = np.zeros(batch.num_rows, np.bool_)
    place = batch.schema.get_field_index("tags")
    if place >= 0:
        tags = batch.column(place)
        hits = _is_in(pc.list_flatten(tags).to_numpy(zero_copy_only=False), allowed)
        mask[pc.list_parent_indices(tags).to_numpy(zero_copy_only=False)[hits]] = True
    return mask


def _updated_since(connection: apsw.Connection, batch: pa.RecordBatch, since_us: int) -> Mask:
    mask: Mask = numbers(batch, "written_at_us") >= since_us
    if not mask.all():
        adjusted = adjusted_in(connection, batch)
        mask[adjusted.places[np.array(adjusted.at_us, np.int64) >= since_us]] = True
    return mask


def cut(batch: pa.RecordBatch, mask: Mask, after: Cursor, descending: bool) -> None:
    """Leave out the records of the cursor's own microsecond that are not behind it."""
    for place in np.flatnonzero(mask & (numbers(batch, "created_at_us") == after.created_at_us)).tolist():
        record_id = id_at(batch, place)
        mask[place] = record_id < after.id if descending else record_id > after.id


def id_at(batch: pa.RecordBatch, place: int) -> str:
    names = batch.schema.names
    if "id_text" in names:
        text = batch.column(names.index("id_text"))[place].as_py()
        if text is not None:
            return str(text)
    created_at_us = batch.column(names.index("created_at_us"))[place].as_py()
    return id_text(created_at_us, batch.column(names.index("id_random"))[place].as_py())


# ---------------------------------------------------------------- what


def of_user(batch: pa.RecordBatch, user: int) -> pa.RecordBatch:
    """The records of one user, 0 for none, in a block in the order of users."""
    users = numbers(batch, "user_no")
    first, beyond = np.searchsorted(users, user), np.searchsorted(users, user, side="right")
    return batch.slice(int(first), int(beyond - first))


def taken(batch: pa.RecordBatch, places: np.ndarray[Any, np.dtype[np.int64]]) -> pa.RecordBatch:
    """The records in those places, which are in order."""
    first, count = int(places[0]), len(places)
    if int(places[-1]) - first + 1 == count:
        return batch.slice(first, count)
    return batch.take(pa.array(places))


def _first(
    connection: apsw.Connection,
    block: pa.RecordBatch,
    user: int | None,
    wanted: Wanted,
    after: Cursor | None,
    last: int,
) -> pa.RecordBatch | None:
    """So many of the last records of a block that are wanted, or of the first if it is negative; None if there are
    none."""
    span = None if wanted.has_conditions else _span(block, user, wanted, after)
    if span is not None:
        first, beyond = span
        first, beyond = (max(first, beyond - last), beyond) if last > 0 else (first, min(beyond, first - last))
        return block.slice(first, beyond - first) if first < beyond else None
    batch = block if user is None else of_user(block, user)
    mask = matching(connection, batch, wanted)
    if after is not None:
        cut(batch, mask, after, descending=last > 0)
    places = np.flatnonzero(mask)
    return taken(batch, places[-last:] if last > 0 else places[:-last]) if len(places) else None


def _span(block: pa.RecordBatch, user: int | None, wanted: Wanted, after: Cursor | None) -> tuple[int, int] | None:
    """From where to before where the records of a block are wanted, for their time and their user alone: a look at the
    ends is enough. None if there are some of the cursor's own microsecond."""
    created = numbers(block, "created_at_us")
    first, beyond = 0, len(created)
    if user is not None:
        first, beyond = numbers(block, "user_no").searchsorted((user, user + 1)).tolist()
        created = created[first:beyond]
    start, end = created.searchsorted((wanted.start_us, wanted.end_us)).tolist()
    if after is not None and start < end and after.created_at_us in (int(created[start]), int(created[end - 1])):
        return None
    return first + start, first + end


def _found(connection: apsw.Connection, pieces: Sequence[pa.RecordBatch]) -> Found:
    if not pieces:
        return Found([], {})
    rows, tags = _rows(pieces)
    seqs = np.array([row[_SEQ] for row in rows], np.int64)
    adjustments = {seq: adjustment_no for seq, adjustment_no, _, _ in adjusted(connection, seqs)}
    for row in rows:
        row.append(adjustments.get(row[_SEQ]))
    return Found(rows, tags)


def _rows(pieces: Sequence[pa.RecordBatch]) -> tuple[list[list[Any]], dict[object, Sequence[int]]]:
    """All pieces together: each step costs by the column, however few records there are."""
    if len(pieces) == 1:
        return to_rows(pieces[0])
    alike: dict[tuple[str, ...], list[pa.RecordBatch]] = {}
    for piece in pieces:
        alike.setdefault(tuple(piece.schema.names), []).append(piece)
    tables = [pa.Table.from_batches(batches) for batches in alike.values()]
    joined = tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="default")
    return to_rows(joined.combine_chunks().to_batches()[0])


def adjusted(
    connection: apsw.Connection, seqs: np.ndarray[Any, np.dtype[np.int64]]
) -> Sequence[tuple[int, int, int, int | None]]:
    """The adjustments that hold for records of those numbers: `seq`, the adjustment's number, time and cost."""
    if not len(seqs):
        return []
    first, last = int(seqs.min()), int(seqs.max())
    if last - first < _MOST_GAPS * len(seqs):
        known = set(seqs.tolist())
        return [row for row in fetch(connection, queries()["adjusted_between"], first, last) if row[0] in known]
    return fetch(connection, queries()["adjusted_of"], to_json(seqs.tolist()))
