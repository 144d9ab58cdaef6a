"""Sealed records as a piece of a summary: what the archive has added up, given to SQL as any other source.

The hook of summaries: wherever a span of records is read, `sealed_piece` has those of them that are no rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from arouter.domain.activity import Dimension
from arouter.domain.record import Status
from arouter.store.buckets import SLOT_US
from arouter.store.planning import Source, Span
from arouter.store.sqlite.names import numbers_of, to_json
from arouter.store.sqlite.pieces import COLUMNS, Piece, Pieces
from arouter.store.sqlite.rollups import ROLLUP_SUMS
from arouter.store.sqlite.sealed import archive, sealed_range
from arouter.store.sqlite.selection import Wanted, select
from arouter.store.sqlite.statements import queries


def sealed_piece_of(maker: Pieces, span: Span) -> Piece | None:
    """What is sealed of a span of records; None if nothing is, or if it is a span of sums."""
    return sealed_piece(maker, span.first, span.beyond) if span.source is Source.RECORDS else None


def sealed_piece(maker: Pieces, start_us: int | None, end_us: int | None) -> Piece | None:
    """The same columns in the same order as the piece of the rows has. None if nothing can match."""
    wanted = _wanted(maker, start_us, end_us)
    if wanted is None:
        return None
    found = archive("sums").grouped(maker.connection, wanted, _grouping(maker, wanted))
    if not found:
        return None
    groups = tuple(f"group{place}" for place in range(len(found[0]) - 1 - len(ROLLUP_SUMS)))
    columns = ", ".join(f"value ->> {place} AS {name}" for place, name in enumerate((*groups, "user", *ROLLUP_SUMS)))
    return Piece(
        source=queries()["sealed_sums"].format(columns=columns),
        where="1",
        values=(to_json(found),),
        groups=groups,
        sums=", ".join(f"coalesce(sum({column}), 0)" for column in ROLLUP_SUMS),
        user="user",
    )


def sealed_latencies(maker: Pieces, start_us: int | None, end_us: int | None) -> Sequence[Sequence[int]]:
    """For each sealed record with a latency: the numbers of its group, the latency in microseconds, `seq`."""
    wanted = _wanted(maker, start_us, end_us)
    if wanted is None:
        return ()
    return [*archive("sums").latencies(maker.connection, wanted, _grouping(maker, wanted))]


def _wanted(maker: Pieces, start_us: int | None, end_us: int | None) -> Wanted | None:
    filters = replace(maker.query.filters, start_us=start_us, end_us=end_us)
    days = sealed_range(maker.connection, maker.organization_no)
    selection = None if days is None else select(maker.connection, maker.query.scope, filters)
    if days is None or selection is None:
        return None
    wanted = selection.wanted
    wanted = replace(wanted, start_us=max(wanted.start_us, days[0]), end_us=min(wanted.end_us, days[1]))
    return wanted if wanted.start_us < wanted.end_us else None


def _grouping(maker: Pieces, wanted: Wanted) -> Any:
    ranges = None
    if maker.times.dimensions:
        first, beyond = wanted.start_us // SLOT_US, -(-wanted.end_us // SLOT_US)
        ranges = sorted(maker.times.ranges(maker.days(first, beyond), first, beyond))
    statuses = numbers_of(maker.connection, (Status.SUCCESS.value, Status.REJECTED.value))
    sums = archive("sums")
    return sums.Grouping(
        ranges=ranges,
        columns=tuple(sums.TAG if one is Dimension.TAG else COLUMNS[one] for one in maker.dimensions),
        success=statuses.get(Status.SUCCESS.value, 0),
        rejected=statuses.get(Status.REJECTED.value, 0),
    )
