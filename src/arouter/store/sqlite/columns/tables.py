"""The tables of folded days, as they are read: some columns of some days, and of them what a summary asks for."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import apsw
import numpy as np
import zstandard

from arouter.store.sqlite.columns.absences import ABSENCES
from arouter.store.sqlite.columns.blocks import Column, unpack
from arouter.store.sqlite.columns.folding import Table
from arouter.store.sqlite.folded import FoldedDay
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

    @property
    def only(self) -> tuple[str, int] | None:
        """What a single user is found by: rows are in the order of users, so that those of one follow each other."""
        return ("user_no", self.users[0]) if self.users is not None and len(self.users) == 1 else None

    def of(self, rows: Rows) -> Rows:
        """The rows that count, of those of `only`."""
        chosen: Column | None = None
        for column, numbers in self.numbers.items():
            fits = np.isin(rows[column], numbers)
            if column == "model_no":
                fits |= np.isin(rows["requested_model_no"], numbers)
            chosen = fits if chosen is None else chosen & fits
        if self.users is not None and len(self.users) != 1:
            fits = np.isin(rows["user_no"], self.users)
            chosen = fits if chosen is None else chosen & fits
        if chosen is None or chosen.all():
            return rows
        return {name: column[chosen] for name, column in rows.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Of one organization."""

    connection: apsw.Connection
    wanted: Wanted
    decompressor: zstandard.ZstdDecompressor = field(default_factory=zstandard.ZstdDecompressor)

    def day(self, table: Table, day: FoldedDay, names: Set[str]) -> Rows:
        """What counts of a day; the columns of `names`."""
        found = self.connection.execute(queries()["blocks_of_day"], (day.claim, int(table)))
        return self._rows([data for (data,) in found.fetchall()], names)

    def parts(self, table: Table, day: FoldedDay, names: Set[str]) -> Iterator[Rows]:
        """The same block by block: no user is in two of them."""
        read = names | self.wanted.columns()
        found = self.connection.execute(queries()["blocks_of_day"], (day.claim, int(table)))
        for (data,) in found.fetchall():
            assert isinstance(data, bytes)
            yield self._unpacked(data, read)

    def absences(self, day: FoldedDay) -> Rows | None:
        """Of everybody. None if they were not noted when the day was folded."""
        found = self.connection.execute(queries()["blocks_of_day"], (day.claim, int(Table.ABSENCES))).fetchall()
        for (data,) in found:
            assert isinstance(data, bytes)
            return unpack(data, ABSENCES, self.decompressor)
        return None

    def of_users(self, table: Table, days: Sequence[FoldedDay], names: Set[str]) -> Iterator[tuple[FoldedDay, Rows]]:
        """What counts of the wanted users in a table whose blocks are small, day by day; no other block is read."""
        assert self.wanted.users is not None
        values = (int(table), to_json([day.claim for day in days]), to_json(self.wanted.users))
        blocks: dict[int, list[object]] = {}
        for claim, data in self.connection.execute(queries()["blocks_of_users"], values).fetchall():
            assert isinstance(claim, int)
            blocks.setdefault(claim, []).append(data)
        for day in days:
            if day.claim in blocks:
                yield day, self._rows(blocks[day.claim], names)

    def _rows(self, blocks: Sequence[object], names: Set[str]) -> Rows:
        read = names | self.wanted.columns()
        parts = [self._unpacked(data, read) for data in blocks if isinstance(data, bytes)]
        if len(parts) == 1:
            return parts[0]
        # Of the quarters that were folded there may be none with records: they have no blocks.
        nothing = np.zeros(0, dtype=np.int64)
        return {name: np.concatenate([part[name] for part in parts]) if parts else nothing for name in read}

    def _unpacked(self, data: bytes, read: Set[str]) -> Rows:
        return self.wanted.of(unpack(data, read, self.decompressor, only=self.wanted.only))
