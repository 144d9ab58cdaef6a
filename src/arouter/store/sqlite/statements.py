"""The statements of `sql/sqlite/queries.sql`, and their filling in."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TypeVar

import apsw

from arouter.domain.usage import INPUT_METERS, METERS, OUTPUT_METERS
from arouter.store.queries import parse_queries, read_sql

Row = TypeVar("Row")

ENGINE = "sqlite"
CHUNKS = (64, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
"""How many rows one INSERT takes. Fixed sizes, so that the prepared statements are reused; enough of them that under
thirty rows, as many as share a transaction under common load, are mostly one or two statements. A statement of more
rows of records no longer fits into the processor's nearest caches, and is not kept prepared beyond 16 KB."""


@cache
def queries() -> Mapping[str, str]:
    return parse_queries(read_sql(ENGINE, "queries.sql"))


@cache
def insert(name: str, columns: tuple[str, ...], sums: tuple[str, ...], rows: int) -> str:
    """An INSERT of `rows` rows of `columns`; on a conflict the columns of `sums` are added."""
    row = f"({','.join('?' * len(columns))})"
    return queries()[name].format(columns=", ".join(columns), rows=",".join([row] * rows), sums=adding(sums))


def adding(columns: Sequence[str]) -> str:
    """What an INSERT does on a conflict: it adds the new values of `columns`."""
    return ", ".join(f"{column} = {column} + excluded.{column}" for column in columns)


def insert_rows(
    connection: apsw.Connection,
    name: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
    sums: tuple[str, ...] = (),
) -> None:
    """Insert `rows` by the statement `name`, as `insert` fills it in."""
    for piece in chunks(rows):
        connection.execute(insert(name, columns, sums, len(piece)), [value for row in piece for value in row])


def chunks(rows: Sequence[Row]) -> Sequence[Sequence[Row]]:
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


def token_sums() -> Mapping[str, str]:
    """The prompt's and the completion's tokens of a record, and a number that is null where none of them is known."""
    meters = (meter for meter in METERS if meter in INPUT_METERS + OUTPUT_METERS)
    return {
        "prompt": _sum_of(INPUT_METERS),
        "completion": _sum_of(OUTPUT_METERS),
        "known": f"coalesce({', '.join(meters)})",
    }


def measures(
    *, success: int | str, rejected: int | str, cost: str, tokens: Mapping[str, str] | None = None
) -> Sequence[str]:
    """What one record adds to each of `tally.MEASURES`, the cost as two expressions.

    `success` and `rejected` are the numbers of the two statuses, or places for them. `tokens`: other expressions for
    `token_sums`.
    """
    text = queries()["measures"].format(
        success=success, rejected=rejected, cost=cost, **(token_sums() if tokens is None else tokens)
    )
    return [expression.strip() for expression in text.split(";")]


def sums(*, success: int, rejected: int) -> str:
    """The columns of `tally.MEASURES` over records that are joined with `adjusted`, the cost as two."""
    expressions = measures(success=success, rejected=rejected, cost=effective_cost())
    return ", ".join(f"coalesce(sum({expression}), 0)" for expression in expressions)


def _sum_of(meters: tuple[str, ...]) -> str:
    return "(" + " + ".join(f"coalesce({meter}, 0)" for meter in meters) + ")"
