"""SQL files: statements under `-- name:` lines, read from the installed package."""

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


def read_sql(engine: str, *path: str) -> str:
    """The text of a file under `sql/<engine>/`."""
    return files("arouter.store").joinpath("sql", engine, *path).read_text(encoding="utf-8")


def parse_queries(text: str) -> Mapping[str, str]:
    """Statements by name. ValueError for text before the first name, or a name that comes twice."""
    head, *parts = _NAME.split(text)
    if re.sub(r"^--.*$", "", head, flags=re.MULTILINE).strip():
        raise ValueError("a statement without a name")
    names = parts[::2]
    if len(set(names)) != len(names):
        raise ValueError("a name that comes twice")
    return MappingProxyType({name: sql.strip().removesuffix(";") for name, sql in zip(names, parts[1::2], strict=True)})
