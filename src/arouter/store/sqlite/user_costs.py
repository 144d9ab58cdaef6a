"""What each user cost, without their names: of hundreds of thousands only the amounts become Python's.

From roll-ups and records SQL adds the amounts up and puts them in order. Where there are day columns, numpy does the
first, and the order is made here, in pieces: one sort of all would keep everybody waiting for the interpreter's lock.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from zoneinfo import ZoneInfo

import apsw
import msgspec

from arouter.domain.activity import Dimension, Filters, Scope, SummaryQuery
from arouter.store.sqlite.folded import reading
from arouter.store.sqlite.pieces import Piece
from arouter.store.sqlite.rollups import ROLLUP_SUMS, whole_cost
from arouter.store.sqlite.selection import Value
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.summaries import planned
from arouter.store.tally import MEASURES

AT_ONCE = 5_000
"""So many amounts are decoded or sorted at once: the interpreter's lock is held meanwhile."""
_UTC = ZoneInfo("UTC")
_COST = MEASURES.index("cost")


def read_user_costs(connection: apsw.Connection, scope: Scope, filters: Filters) -> Sequence[int]:
    """Greatest first."""
    query = SummaryQuery(scope=scope, filters=filters, group_by=(Dimension.USER,), metrics=frozenset({"cost"}))
    found = planned(connection, query, _UTC)
    if found is None:
        return ()
    maker, days, pieces = found
    if days:
        groups = reading().read_groups(connection, maker, days, pieces)
        return in_order([sums[_COST] for (user_no,), sums in groups.sums.items() if user_no])
    return [*_added_up(connection, pieces)] if pieces else ()


def in_order(costs: Sequence[int]) -> Sequence[int]:
    """Greatest first."""
    pieces = (sorted(costs[start : start + AT_ONCE], reverse=True) for start in range(0, len(costs), AT_ONCE))
    return [*merge(*pieces, reverse=True)]


def _added_up(connection: apsw.Connection, pieces: Sequence[Piece]) -> Iterator[int]:
    sql, values = _statement(pieces)
    for (text,) in connection.execute(sql, values):
        for units, rest in msgspec.json.decode(str(text), type=list[tuple[int, int]]):
            yield whole_cost(units, rest)


def _statement(pieces: Iterable[Piece]) -> tuple[str, tuple[Value, ...]]:
    texts = []
    values: tuple[Value, ...] = ()
    for piece in pieces:
        texts.append(
            queries()["sums_of_users"].format(user=piece.user, sums=piece.sums, source=piece.source, where=piece.where)
        )
        values += piece.values
    sql = queries()["user_costs"].format(
        columns=", ".join(("user_no", *ROLLUP_SUMS)), pieces=" UNION ALL ".join(texts), at_once=AT_ONCE
    )
    return sql, values
