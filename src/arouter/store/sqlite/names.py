"""Numbers for texts that repeat, and texts for numbers."""

from collections.abc import Iterable, Mapping, Set
from typing import Any

import apsw
import msgspec

from arouter.store.sqlite.statements import queries

MOST_REMEMBERED = 100_000


class Numbers:
    """The writer's side: the number of a text, given out on first sight. Lives on the writer's thread.

    `forget` must be called when a transaction is rolled back: the numbers given out in it are void.
    """

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._users: dict[tuple[int, str], int] = {}
        self._rows: dict[tuple[str | None, ...], tuple[int | None, ...]] = {}

    def forget(self) -> None:
        self._names.clear()
        self._users.clear()
        self._rows.clear()

    def name(self, connection: apsw.Connection, text: str) -> int:
        number = self._names.get(text)
        if number is None:
            number = _find_or_add(connection, "name", (text,))
            _remember(self._names, text, number)
        return number

    def names(self, connection: apsw.Connection, texts: tuple[str | None, ...]) -> tuple[Any, ...]:
        """A number, or None where there is no text, for each of `texts`. Records repeat all of them together."""
        numbers = self._rows.get(texts)
        if numbers is None:
            numbers = tuple(None if text is None else self.name(connection, text) for text in texts)
            _remember(self._rows, texts, numbers)
        return numbers

    def user(self, connection: apsw.Connection, organization_no: int, name: str) -> int:
        number = self._users.get((organization_no, name))
        if number is None:
            number = _find_or_add(connection, "user", (organization_no, name))
            _remember(self._users, (organization_no, name), number)
        return number


class Texts:
    """The readers' side. A number never changes its text, so what was read once is kept; shared between threads."""

    def __init__(self) -> None:
        self._texts: dict[int | None, str | None] = {None: None}

    def of(self, connection: apsw.Connection, numbers: Set[int | None]) -> Mapping[int | None, str | None]:
        """A mapping with at least the texts of `numbers`; None is none."""
        texts = self._texts
        wanted = {number for number in numbers if number not in texts}
        if wanted:
            if len(texts) > MOST_REMEMBERED:
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


def _find_or_add(connection: apsw.Connection, what: str, key: tuple[int | str, ...]) -> int:
    number = connection.execute(queries()[f"find_{what}"], key).get
    if number is None:
        connection.execute(queries()[f"add_{what}"], key)
        number = connection.last_insert_rowid()
    return int(number)


def _remember(known: dict, key: object, number: object) -> None:  # type: ignore[type-arg]
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known[key] = number
