"""The command line's reference, from the commands themselves."""

import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal

from typer.main import get_command

from arouter.cli import app
from tools.markdown import code, table

PROGRAM = "arouter"
_NOT_SHOWN = ("help", "install_completion", "show_completion")


def commands() -> str:
    """One section for each command."""
    return "\n".join(_section(path, command) for path, command in walk())


def walk() -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its path: `arouter keys create`. Groups are passed through."""
    yield from _walk(PROGRAM, get_command(app), None)


def _walk(path: str, command: Any, parent: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = command.make_context(path.rpartition(" ")[2], [], parent=parent, resilient_parsing=True)
    for name in command.list_commands(context):
        yield from _walk(f"{path} {name}", command.get_command(context, name), context)


def _section(path: str, command: Any) -> str:
    shown = [one for one in command.params if one.name not in _NOT_SHOWN]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    usage = " ".join((path, *(["[OPTIONS]"] if options else []), *(_metavar(one) for one in arguments)))
    text = f"### `{path}`\n\n{_plain(command.help)}\n\n```text\n{usage}\n```\n"
    lines = [(_names(one), _plain(getattr(one, "help", None)), _default(one)) for one in (*arguments, *options)]
    return text + ("\n" + table(("option", "meaning", "default"), lines) if lines else "")


def _names(one: Any) -> str:
    if one.param_type_name == "argument":
        return code(_metavar(one))
    names = ", ".join((*one.opts, *one.secondary_opts))
    return code(names if one.is_flag else f"{names} {_metavar(one)}")


def _metavar(one: Any) -> str:
    if one.metavar:
        return str(one.metavar)
    kind = one.type_descriptor.annotation
    if typing.get_origin(kind) is list:
        (kind,) = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return "|".join(typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(member.value for member in kind)
    return str(one.name).upper()


def _default(one: Any) -> str:
    if one.required:
        return "required"
    default = one.default
    if default in (None, False, ()) or callable(default) or not one.show_default:
        return ""
    return code(str(default.value if isinstance(default, Enum) else default))


def _plain(text: str | None) -> str:
    return " ".join(text.split()) if text else ""
