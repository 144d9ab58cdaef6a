"""The statements of `sql/sqlite/queries.sql`, and their filling in."""

from collections.abc import Mapping, Sequence
from functools import cache

import apsw

from arouter.domain.usage import INPUT_METERS, METERS, OUTPUT_METERS
from arouter.store.queries import parse_queries, read_sql

ENGINE = "sqlite"
CHUNKS = (128, 32, 8, 1)
"""How many rows one INSERT takes. A few fixed sizes, so that the prepared statements are reused."""


@cache
def queries() -> Mapping[str, str]:
    return parse_queries(read_sql(ENGINE, "queries.sql"))


@cache
def insert(name: str, columns: tuple[str, ...], sums: tuple[str, ...], rows: int) -> str:
    """An INSERT of `rows` rows of `columns`; on a conflict the columns of `sums` are added."""
    row = f"({','.join('?' * len(columns))})"
    adding = ", ".join(f"{column} = {column} + excluded.{column}" for column in sums)
    return queries()[name].format(columns=", ".join(columns), rows=",".join([row] * rows), sums=adding)


def insert_rows(
    connection: apsw.Connection,
    name: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
    sums: tuple[str, ...] = (),
) -> None:
    """Insert `rows` by the statement `name`, as `insert` fills it in."""
    for piece in _chunks(rows):
        values: list[object] = []
        for row in piece:
            values += row
        connection.execute(insert(name, columns, sums, len(piece)), values)


def _chunks(rows: Sequence[tuple[object, ...]]) -> Sequence[Sequence[tuple[object, ...]]]:
    """`rows` cut into pieces of the sizes of `CHUNKS`."""
    pieces = []
    start = 0
    for size in CHUNKS:
        while len(rows) - start >= size:
            pieces.append(rows[start : start + size])
            start += size
    return pieces


def effective_cost() -> str:
    """The cost of a record that is joined with `adjusted`."""
    return queries()["effective_cost"].strip()


def used_tokens() -> str:
    """All tokens of a record."""
    return f"{_sum_of(INPUT_METERS)} + {_sum_of(OUTPUT_METERS)}"


def sums(*, success: int, rejected: int) -> str:
    """The columns of `tally.MEASURES`, the cost as two; the arguments are the numbers of the two statuses."""
    return queries()["sums"].format(
        success=success,
        rejected=rejected,
        cost=effective_cost(),
        prompt=_sum_of(INPUT_METERS),
        completion=_sum_of(OUTPUT_METERS),
        known=", ".join(meter for meter in METERS if meter in INPUT_METERS + OUTPUT_METERS),
    )


def _sum_of(meters: tuple[str, ...]) -> str:
    return "(" + " + ".join(f"coalesce({meter}, 0)" for meter in meters) + ")"
