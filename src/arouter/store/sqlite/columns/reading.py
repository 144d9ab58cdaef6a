"""Sums by group from day columns, together with what SQL says of the spans that have none.

Each question is answered from the smallest table that knows enough:

- `series`, unless users are grouped by or filtered;
- `users` or `members`, if users are and every day of UTC lies in one bucket; for counting users in any bucket;
- for few users the blocks in which they are: of `shares` if every day of UTC lies in one bucket, of `rows` else;
- all `rows` else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apsw
import numpy as np

from arouter.domain.activity import SUMMED_METRICS, Dimension
from arouter.store.buckets import SLOTS_OF_DAY
from arouter.store.sqlite.columns.adding import Added, Adder
from arouter.store.sqlite.columns.blocks import Column, repeated
from arouter.store.sqlite.columns.folding import MASKS, Table
from arouter.store.sqlite.columns.leading import leading
from arouter.store.sqlite.columns.tables import Rows, Tables, Wanted
from arouter.store.sqlite.columns.top_users import MOST_USERS, top_users
from arouter.store.sqlite.columns.users import PairCounter, UserCounter
from arouter.store.sqlite.folded import FoldedDay
from arouter.store.sqlite.pieces import COLUMNS, Piece, Pieces
from arouter.store.sqlite.rollups import ROLLUP_SUMS
from arouter.store.sqlite.statements import queries
from arouter.store.sqlite.sums import Groups, Placer, read_pairs, read_stored, whole_columns, whole_sums

FEW_USERS = 200


def read_groups(
    connection: apsw.Connection, maker: Pieces, days: Sequence[FoldedDay], pieces: Sequence[Piece]
) -> Groups:
    """Everything that `pieces` and the columns of `days`, which rise, hold."""
    numbers, users = maker.numbers(), maker.users()
    if numbers is None or (users is not None and not users):
        # Nothing of such a name was ever recorded.
        return Groups()
    wanted = Wanted(numbers=numbers, users=users)
    tables = Tables(connection=connection, wanted=wanted)
    return _Reading(maker, tables, days, pieces).read()


@dataclass(slots=True)
class _Reading:
    maker: Pieces
    tables: Tables
    days: Sequence[FoldedDay]
    pieces: Sequence[Piece]

    def read(self) -> Groups:
        query = self.maker.query
        buckets = self._buckets()
        table = self._table(buckets)
        if table is Table.USERS and query.group_by == (Dimension.USER,) and self._has_a_top():
            return self._top_users()
        by_user = Dimension.USER in query.group_by
        wants_users = query.asks_for("users")
        names = [COLUMNS[dimension] for dimension in self.maker.dimensions]
        adder = Adder(keys=1 + len(names), user=1 + names.index("user_no") if by_user else None)
        users = self.tables.wanted.users
        pairs = PairCounter() if wants_users and not by_user and users is not None and len(users) > 1 else None
        for day, rows in self._rows(table, {*names, *ROLLUP_SUMS} | ({"user_no"} if pairs else set())):
            self.maker.check()
            keys = self._keys(rows, names, buckets[day.day], table)
            adder.add(keys, [rows[name] for name in ROLLUP_SUMS])
            if pairs is not None:
                pairs.add(keys, rows["user_no"])
        for piece in self.pieces:
            adder.add_rows([(self._key(key), sums) for key, sums in read_stored(self.tables.connection, piece)])
        added = adder.added()
        groups = self._groups(added, by_user=by_user)
        if wants_users and not by_user:
            if users is not None and len(users) == 1:
                # There is nobody else.
                groups.users = dict.fromkeys(groups.sums, min(1, users[0]))
                groups.total_users = min(len(added), 1, users[0])
            else:
                self._count_users(groups, buckets, names, pairs)
        return groups

    # ------------------------------------------------------------ the first users

    def _has_a_top(self) -> bool:
        query = self.maker.query
        return (
            query.limit is not None
            and query.order is not None
            and query.order.by in SUMMED_METRICS
            and self._beyond_users() <= MOST_USERS
        )

    def _beyond_users(self) -> int:
        return int(self.tables.connection.execute(queries()["greatest_user"]).get) + 1

    def _top_users(self) -> Groups:
        query = self.maker.query
        assert query.order is not None

        def read(names: frozenset[str]) -> Iterator[Rows]:
            for day in self.days:
                self.maker.check()
                yield from self.tables.parts(Table.USERS, day, names | {"user_no"})

        besides = [(key[0], sums) for piece in self.pieces for key, sums in read_stored(self.tables.connection, piece)]
        chosen, everybody = top_users(
            read, query.order.by, besides, self._beyond_users(), lambda added: leading(added, query)
        )
        groups = self._groups(chosen, by_user=True)
        groups.count, groups.total, groups.total_users = len(everybody), whole_sums(everybody.total), everybody.users()
        if len(chosen) < len(everybody):
            groups.users_besides = lambda shown: everybody.users_besides([user for (user,) in shown])
        return groups

    # ------------------------------------------------------------ sums

    def _buckets(self) -> dict[int, Column]:
        """By day, the number of the bucket of each of its slots."""
        days = [day.day for day in self.days]
        first, beyond = days[0] * SLOTS_OF_DAY, (days[-1] + 1) * SLOTS_OF_DAY
        numbers = np.zeros(beyond - first, dtype=np.int64)
        for start, end, number in self.maker.times.ranges(days, first, beyond):
            numbers[start - first : end - first] = number
        of_days = numbers.reshape(-1, SLOTS_OF_DAY)
        return {day: of_days[day - days[0]] for day in days}

    def _table(self, buckets: dict[int, Column]) -> Table:
        users = self.tables.wanted.users
        if users is None and Dimension.USER not in self.maker.query.group_by:
            return Table.SERIES
        if any(each[0] != each[-1] for each in buckets.values()):
            return Table.ROWS
        if self._are_few_users():
            return Table.SHARES
        only_users = {*self.maker.dimensions} <= {Dimension.USER} and not self.tables.wanted.numbers
        return Table.USERS if only_users else Table.MEMBERS

    def _are_few_users(self) -> bool:
        users = self.tables.wanted.users
        return users is not None and len(users) <= FEW_USERS

    def _rows(self, table: Table, names: set[str]) -> Iterator[tuple[FoldedDay, Rows]]:
        names.discard("organization_no")
        if table in (Table.SERIES, Table.ROWS):
            names.add("slot")
        if table in (Table.SHARES, Table.ROWS) and self._are_few_users():
            yield from self.tables.of_users(table, self.days, names)
        else:
            for day in self.days:
                yield day, self.tables.day(table, day, names)

    def _keys(self, rows: Rows, names: Sequence[str], buckets: Column, table: Table) -> list[Column]:
        """The bucket and the numbers of the groups of each row."""
        size = len(rows["requests"])
        if table in (Table.SERIES, Table.ROWS) and buckets[0] != buckets[-1]:
            bucket = buckets[rows["slot"]]
        else:
            bucket = repeated(int(buckets[0]), "i8", size)
        return [bucket, *(self._column(rows, name, size) for name in names)]

    def _column(self, rows: Rows, name: str, size: int) -> Column:
        if name == "organization_no":
            return repeated(self.maker.organization_no, "i8", size)
        return rows[name]

    def _key(self, key: Sequence[int]) -> Sequence[int]:
        """Of SQL's groups, with the bucket that there is only one of if there are no times."""
        return key if self.maker.times.dimensions else (0, *key)

    def _groups(self, added: Added, *, by_user: bool) -> Groups:
        query = self.maker.query
        placer = Placer(query.group_by, self.maker.times)
        groups = Groups(count=len(added), total=whole_sums(added.total))
        chosen = leading(added, query)
        keys, sums = added.columns(chosen)
        found = placer.groups(keys if self.maker.times.dimensions else keys[1:], len(chosen))
        groups.sums = dict(zip(found, whole_columns(sums), strict=True))
        if by_user:
            user_place = query.group_by.index(Dimension.USER)
            groups.users = {group: int(group[user_place] > 0) for group in groups.sums}
            groups.total_users = added.users()
            if len(groups.sums) < len(added):
                groups.users_besides = lambda shown: added.users_besides([group[user_place] for group in shown])
        return groups

    # ------------------------------------------------------------ users

    def _count_users(
        self, groups: Groups, buckets: dict[int, Column], names: Sequence[str], pairs: PairCounter | None
    ) -> None:
        """The distinct users of each group and of all."""
        connection = self.tables.connection
        of_pieces = [(self._key(key), user) for piece in self.pieces for *key, user in read_pairs(connection, piece)]
        if pairs is not None:
            pairs.add_pairs(of_pieces)
            counted, groups.total_users = pairs.counted()
        else:
            counter = UserCounter(self._beyond_users(), buckets, {key[0] for key, _ in of_pieces})
            for key, user in of_pieces:
                counter.add_user(tuple(key), user)
            only_users = not names and not self.tables.wanted.numbers
            table = Table.USERS if only_users else Table.MEMBERS
            columns = {*names, "user_no", *MASKS} - {"organization_no"}
            everybody = only_users and self.tables.wanted.users is None
            for day in self.days:
                self.maker.check()
                absences = self.tables.absences(day) if everybody else None
                if absences is not None:
                    masks = MASKS if counter.has_shared_buckets(day.day) else ()
                    counter.add_everybody(day.day, self.tables.day(table, day, {"user_no", *masks}), absences)
                    continue
                rows = self.tables.day(table, day, columns)
                keys = [self._column(rows, name, len(rows["user_no"])) for name in names]
                counter.add_day(day.day, keys, rows)
            counted, groups.total_users = counter.counted()
        placer = Placer(self.maker.query.group_by, self.maker.times)
        groups.users = {
            placer(key if self.maker.times.dimensions else key[1:]): count for key, count in counted.items()
        }
