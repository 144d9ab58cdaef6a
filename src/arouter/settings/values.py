"""What was written as typed values: texts, numbers, flags, secrets, lists, tables."""

import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal


class SettingsError(Exception):
    """A setting that cannot be. The message names it and says what to do."""


def setting(default: Any, text: str) -> Any:
    """A row of the table: its default and its help."""
    return field(default=default, metadata={"help": text})


class Secret(str):
    """Text that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')" if self else "Secret('')"


class Dollars(str):
    """An amount as text; a number in the file is kept exactly as it is written."""

    __slots__ = ()


def tables_in(told: Any, name: str) -> dict[str, Any]:
    if not isinstance(told, dict) or not all(isinstance(table, dict) for table in told.values()):
        raise SettingsError(f"[{name}] takes one table for each name, as in [{name}.something]")
    return told


_TEXTS = tuple[str, ...]


def _texts(value: Any, path: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(text.strip() for text in value.split(",") if text.strip())
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(value)
    raise SettingsError(f"{path} must be a list of texts, not {value!r}")


class Values:
    """Turns what was written into typed values."""

    def __init__(self, variables: Mapping[str, str], directory: Path) -> None:
        self._variables = variables
        self._directory = directory

    def section(self, kind: type, told: Any, path: str) -> Any:
        if not isinstance(told, dict):
            raise SettingsError(f"[{path}] must be a table")
        hints = typing.get_type_hints(kind)
        for name in told:
            if name not in hints:
                raise SettingsError(f"there is no setting {path}.{name}{nearest(name, hints)}")
        return kind(**{name: self._value(value, hints[name], f"{path}.{name}") for name, value in told.items()})

    def _value(self, value: Any, hint: Any, path: str) -> Any:
        if isinstance(value, str):
            value = self._resolve(value, path)
        (kind,) = _kinds(hint)
        if typing.get_origin(kind) is Mapping:
            _, below = typing.get_args(kind)
            return {name: self.section(below, told, f"{path}.{name}") for name, told in tables_in(value, path).items()}
        if kind == _TEXTS:
            return tuple(self._resolve(text, path) for text in _texts(value, path))
        return _convert(value, kind, path)

    def _resolve(self, value: str, path: str) -> str:
        source, colon, name = value.partition(":")
        if colon and source == "env":
            # A variable that is not set is an empty value: a provider without a key is off, and says so.
            return self._variables.get(name, "")
        if colon and source == "file":
            return self.read(name, path)
        return value

    def read(self, name: str, path: str) -> str:
        try:
            return (self._directory / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError, ValueError) as exc:
            raise SettingsError(f"{path}: the file {name} cannot be read") from exc


def _kinds(hint: Any) -> tuple[Any, ...]:
    """What a value may be, besides unset."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    return (hint,)


def _convert(value: Any, hint: Any, path: str) -> Any:
    if typing.get_origin(hint) is Literal:
        if value in typing.get_args(hint):
            return value
        raise SettingsError(f"{path} must be one of {', '.join(typing.get_args(hint))}, not {value!r}")
    if hint is bool:
        return _flag(value, path)
    if hint in (int, float):
        return _number(value, hint, path)
    if hint is Dollars and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Dollars(value)
    if not isinstance(value, str):
        raise SettingsError(f"{path} must be text, not {value!r}")
    return hint(value)


def _flag(value: Any, path: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise SettingsError(f"{path} must be true or false, not {value!r}")


def _number(value: Any, hint: type, path: str) -> Any:
    if not isinstance(value, bool):
        try:
            number = hint(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is not None and 0 <= number < math.inf and (hint is float or str(number) == str(value)):
            return number
    wanted = "a whole number" if hint is int else "a number"
    raise SettingsError(f"{path} must be {wanted} of at least 0, not {value!r}")


def nearest(name: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def describe(hint: Any) -> str:
    (kind,) = _kinds(hint)
    if kind is not hint:
        return describe(kind)
    if typing.get_origin(hint) is Literal:
        return " or ".join(f"`{value}`" for value in typing.get_args(hint))
    return {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Secret: "secret text",
        Dollars: "dollars",
        _TEXTS: "list of texts",
    }[hint]
