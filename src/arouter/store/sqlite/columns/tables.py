"""The tables of folded days, as they are read: some columns of some days, and of them what a summary asks for."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import apsw
import numpy as np

from arouter.store.sqlite.columns.blocks import Column, unpack
from arouter.store.sqlite.columns.folding import Table
from arouter.store.sqlite.names import to_json
from arouter.store.sqlite.statements import queries

Rows = Mapping[str, Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """By column, the numbers that count; those of models are the routed or the requested one's."""

    numbers: Mapping[str, Sequence[int]]
    users: Sequence[int] | None
    """0 for none; None if users do not matter."""

    def columns(self) -> set[str]:
        """What has to be read for it."""
        requested = {"requested_model_no"} if "model_no" in self.numbers else set()
        return {*self.numbers} | requested | ({"user_no"} if self.users is not None else set())

    def of(self, rows: Rows) -> Rows:
        """The rows that count."""
        chosen: Column | None = None
        for column, numbers in self.numbers.items():
            fits = np.isin(rows[column], numbers)
            if column == "model_no":
                fits |= np.isin(rows["requested_model_no"], numbers)
            chosen = fits if chosen is None else chosen & fits
        if self.users is not None:
            fits = np.isin(rows["user_no"], self.users)
            chosen = fits if chosen is None else chosen & fits
        if chosen is None or chosen.all():
            return rows
        return {name: column[chosen] for name, column in rows.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Of one organization."""

    connection: apsw.Connection
    organization_no: int
    wanted: Wanted

    def day(self, table: Table, day: int, names: Set[str]) -> Rows:
        """What counts of a day; the columns of `names`."""
        found = self.connection.execute(queries()["blocks_of_day"], (self.organization_no, int(table), day))
        return self._rows([data for (data,) in found.fetchall()], names)

    def of_users(self, days: Sequence[int], names: Set[str]) -> Iterator[tuple[int, Rows]]:
        """What counts of the roll-ups of the wanted users, day by day; nothing of other blocks is read."""
        assert self.wanted.users is not None
        values = (self.organization_no, int(Table.ROWS), to_json(days), to_json(self.wanted.users))
        blocks: dict[int, list[bytes]] = {}
        for day, data in self.connection.execute(queries()["blocks_of_users"], values).fetchall():
            assert isinstance(day, int)
            assert isinstance(data, bytes)
            blocks.setdefault(day, []).append(data)
        for day in sorted(blocks):
            yield day, self._rows(blocks[day], names)

    def _rows(self, blocks: Sequence[object], names: Set[str]) -> Rows:
        read = names | self.wanted.columns()
        parts = [self.wanted.of(unpack(data, read)) for data in blocks if isinstance(data, bytes)]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in read if parts}
