"""What commands print: text and tables for people, one JSON value for machines, one line for what went wrong."""

import sys
from collections.abc import Iterable

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arouter.domain.errors import ARouterError

_WIDTH_OF_A_FILE = 240
"""Columns of output that is not a terminal: nothing is cut there for want of room."""


class Failure(Exception):
    """A command cannot do what it was asked. The message is one line and says what to do next."""


def stdout() -> Console:
    """Where the answer goes."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)


def stderr() -> Console:
    """Where everything else goes."""
    return Console(stderr=True, highlight=False)


def write_json(value: object) -> None:
    """One JSON value on a line of its own."""
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def complain(problem: Exception) -> None:
    """One line on standard error."""
    text = problem.message if isinstance(problem, ARouterError) else str(problem)
    if isinstance(problem, ARouterError) and problem.detail is not None:
        text = f"{text} ({problem.detail})"
    line = Text.assemble(("arouter: ", "bold red"), " ".join(text.split()))
    stderr().print(line, soft_wrap=True)


def visible(text: str | None) -> Text:
    """A text that somebody else chose, safe on a terminal; no text and the empty text are told apart."""
    if text is None:
        return Text("none", style="dim")
    if not text:
        return Text('""', style="dim")
    return Text("".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text))


def table(columns: Iterable[str], *, numbers: Iterable[str] = ()) -> Table:
    """An empty table; the columns of `numbers` are aligned at the right."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    right = frozenset(numbers)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name in right)
    return made


def facts(pairs: Iterable[tuple[str, Text | str]]) -> Table:
    """Names and values, a line each."""
    made = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(name, value if isinstance(value, Text) else Text(value))
    return made


def tell(shown: msgspec.Struct, *, json: bool) -> None:
    """One object of the API: as JSON, or its fields with their values."""
    if json:
        write_json(shown)
        return
    fields = msgspec.structs.asdict(shown)
    stdout().print(facts((name.replace("_", " "), visible(as_text(value))) for name, value in fields.items()))


def as_text(value: object) -> str | None:
    """A value of such a field for people; None for none."""
    if value is None:
        return None
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, msgspec.Struct):
        stated = {name: told for name, told in msgspec.structs.asdict(value).items() if told is not None}
        return ", ".join(f"{name.replace('_', ' ')}: {as_text(told)}" for name, told in stated.items())
    return str(value)
