"""Numbers for texts that repeat, and texts for numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from typing import Any, Generic, TypeVar, cast

import apsw
import msgspec

from arouter.store.sqlite.statements import chunks, insert_rows, queries

Key = TypeVar("Key")
Value = TypeVar("Value")

MOST_REMEMBERED = 10_000
"""In one generation. To throw more away at once would keep everybody waiting for the interpreter's lock."""

UserKey = tuple[int, str]
"""The number of an organization, and the user's name there."""
_USER_COLUMNS = ("organization_no", "name")


class Remembered(Generic[Key, Value]):
    """What was asked for last: at least `MOST_REMEMBERED` pairs, and less than twice as many."""

    def __init__(self) -> None:
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def get_all(self, keys: Sequence[Key]) -> Sequence[Value | None]:
        """The same of many."""
        young = self._young.get
        return [value if (value := young(key)) is not None else self.get(key) for key in keys]

    def put(self, key: Key, value: Value) -> None:
        if len(self._young) >= MOST_REMEMBERED:
            self._old = self._young
            self._young = {}
        self._young[key] = value

    def clear(self) -> None:
        self._young.clear()
        self._old.clear()


class Numbers:
    """The writer's side: the number of a text, given out on first sight. Lives on the writer's thread.

    `forget` must be called when a transaction is rolled back: the numbers given out in it are void.
    """

    def __init__(self) -> None:
        self._names: Remembered[str, int] = Remembered()
        self._rows: Remembered[tuple[str | None, ...], tuple[int | None, ...]] = Remembered()
        self._users: Remembered[UserKey, int] = Remembered()

    def forget(self) -> None:
        self._names.clear()
        self._rows.clear()
        self._users.clear()

    def name(self, connection: apsw.Connection, text: str) -> int:
        number = self._names.get(text)
        if number is None:
            number = _find_or_add_name(connection, text)
            self._names.put(text, number)
        return number

    def names(self, connection: apsw.Connection, texts: tuple[str | None, ...]) -> tuple[Any, ...]:
        """A number, or None where there is no text, for each of `texts`. Records repeat all of them together.

        ValueError for a text that is not Unicode.
        """
        numbers = self._rows.get(texts)
        if numbers is None:
            # None of them gets a number if one is refused.
            "".join(text for text in texts if text is not None).encode()
            numbers = tuple(None if text is None else self.name(connection, text) for text in texts)
            self._rows.put(texts, numbers)
        return numbers

    def all_names(
        self, connection: apsw.Connection, rows: Sequence[tuple[str | None, ...]]
    ) -> Sequence[tuple[Any, ...]]:
        """The same of many rows of texts."""
        found = self._rows.get_all(rows)
        return [
            self.names(connection, texts) if numbers is None else numbers
            for texts, numbers in zip(rows, found, strict=True)
        ]

    def users(self, connection: apsw.Connection, users: Sequence[UserKey]) -> Sequence[int]:
        """The numbers of `users`, in their order; new ones are given out together.

        ValueError for a name that is not Unicode.
        """
        found = self._users.get_all(users)
        unknown = [user for user, number in zip(users, found, strict=True) if number is None]
        if not unknown:
            return cast(Sequence[int], found)
        different = list(dict.fromkeys(unknown))
        # None of them gets a number if one is refused.
        "".join(name for _, name in different).encode()
        given = dict(_find_or_add_users(connection, different))
        for user, number in given.items():
            self._users.put(user, number)
        return [given[user] if number is None else number for user, number in zip(users, found, strict=True)]


class Texts:
    """The readers' side. A number never changes its text, so what was read once is kept; shared between threads."""

    def __init__(self) -> None:
        self._texts: dict[int | None, str | None] = {None: None}

    def of(self, connection: apsw.Connection, numbers: Set[int | None]) -> Mapping[int | None, str | None]:
        """A mapping with at least the texts of `numbers`; None is none."""
        if connection.txn_state("main") == apsw.SQLITE_TXN_WRITE:
            # Numbers that were given out in a transaction may be void behind it.
            return {None: None, **dict(fetch(connection, queries()["texts_of_names"], to_json([*numbers])))}
        texts = self._texts
        wanted = {number for number in numbers if number not in texts}
        if wanted:
            if len(texts) > 2 * MOST_REMEMBERED:
                texts = self._texts = {None: None}
                wanted = {number for number in numbers if number is not None}
            texts.update(fetch(connection, queries()["texts_of_names"], to_json([*wanted])))
        return texts


def numbers_of(connection: apsw.Connection, texts: Iterable[str]) -> Mapping[str, int]:
    """The numbers of those texts that have one."""
    rows = fetch(connection, queries()["names_of_texts"], to_json(sorted(set(texts))))
    return {text: number for number, text in rows}


def fetch(connection: apsw.Connection, sql: str, *parameters: object) -> list:  # type: ignore[type-arg]
    """The rows of a statement that returns them as one JSON array."""
    return msgspec.json.decode(connection.execute(sql, parameters).get, type=list)


def to_json(values: object) -> str:
    return msgspec.json.encode(values).decode()


def _find_or_add_name(connection: apsw.Connection, text: str) -> int:
    number = connection.execute(queries()["find_name"], (text,)).get
    if number is None:
        connection.execute(queries()["add_name"], (text,))
        number = connection.last_insert_rowid()
    return int(number)


def _find_or_add_users(connection: apsw.Connection, users: Sequence[UserKey]) -> Iterator[tuple[UserKey, int]]:
    """`users` are all different."""
    new = []
    for piece in chunks(users):
        values = [value for user in piece for value in user]
        numbers = connection.execute(_find_users(len(piece)), values).get
        for user, number in zip(piece, msgspec.json.decode(numbers, type=list[int | None]), strict=True):
            if number is None:
                new.append(user)
            else:
                yield user, number
    if new:
        insert_rows(connection, "add_users", _USER_COLUMNS, new)
        # Each row got the number after the greatest.
        first = connection.last_insert_rowid() - len(new) + 1
        yield from zip(new, range(first, first + len(new)), strict=True)


@cache
def _find_users(count: int) -> str:
    return queries()["find_users"].format(rows=", ".join([queries()["find_user"]] * count))
