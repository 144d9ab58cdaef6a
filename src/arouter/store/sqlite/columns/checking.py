"""Proof that columns say what the roll-ups say."""

from collections.abc import Sequence

import apsw
import numpy as np

from arouter.store.sqlite.columns.absences import ABSENCES, absences_of
from arouter.store.sqlite.columns.folding import MASKS, Table
from arouter.store.sqlite.columns.tables import Tables, Wanted
from arouter.store.sqlite.folded import FoldedDay
from arouter.store.sqlite.rollups import ROLLUP_SUMS
from arouter.store.sqlite.statements import queries


def is_as_the_rollups(connection: apsw.Connection, organization_no: int, day: FoldedDay) -> bool:
    """Whether each of the tables of a day adds up to what its roll-ups do, and the absences are those of its users."""
    expected = _of_rollups(connection, organization_no, day)
    tables = Tables(connection=connection, wanted=Wanted(numbers={}, users=None))
    adding_up = [table for table in Table if table is not Table.ABSENCES]
    return all(_of_table(tables, table, day) == expected for table in adding_up) and _absences_agree(tables, day)


def _of_rollups(connection: apsw.Connection, organization_no: int, day: FoldedDay) -> Sequence[int]:
    sums = ", ".join(f"coalesce(sum({name}), 0)" for name in ROLLUP_SUMS)
    row = connection.execute(
        queries()["sums_of_slots"].format(columns=sums), (organization_no, day.first, day.beyond)
    ).fetchone()
    assert row is not None
    return [value for value in row if isinstance(value, int)]


def _absences_agree(tables: Tables, day: FoldedDay) -> bool:
    """Whether the absences of a day, if they were noted, are those of its users."""
    noted = tables.absences(day)
    if noted is None:
        return True
    found = absences_of(tables.day(Table.USERS, day, {"user_no", *MASKS}))
    return all(noted[name].tolist() == found[name].tolist() for name in ABSENCES)


def _of_table(tables: Tables, table: Table, day: FoldedDay) -> Sequence[int]:
    rows = tables.day(table, day, frozenset(ROLLUP_SUMS))
    return [int(rows[name].sum(dtype=np.int64)) for name in ROLLUP_SUMS]
