"""`arouter config`: what is set, where it comes from, and whether it works."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from arouter.cli.options import Config, Json, application
from arouter.cli.output import facts, stdout, table, visible, write_json
from arouter.settings import NAMED, SECTIONS, TABLES, Row, Secret, Settings, SettingsError, load, rows
from arouter.store.stores import without_password
from arouter.wiring.prices import operator_prices
from arouter.wiring.providers import deployments, wants_sandbox
from arouter.wiring.storage import POSTGRES, database_name
from arouter.wiring.vault import open_vault

app = application(help="Look at the settings.", no_args_is_help=True)

_SANDBOX_URL = "http://127.0.0.1/v1"
"""Stands for the port that the sandbox will have."""
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+(?=@)")
_UNSET = object()


class Shown(msgspec.Struct, frozen=True):
    """One setting. A secret's value is never told, only whether there is one."""

    name: str
    value: str | int | float | bool | None
    source: str
    variable: str
    help: str


# ---------------------------------------------------------------- commands


@app.command()
def show(config: Config = None, json: Json = False) -> None:
    """Every setting, its value, where it comes from, and its environment variable."""
    settings = load(config)
    shown = list(_shown(settings))
    if json:
        write_json(shown)
        return
    out = stdout()
    out.print(f"File: {settings.file if settings.file is not None else 'none'}", soft_wrap=True, markup=False)
    lines = table(("Setting", "Value", "From", "Variable"))
    for one in shown:
        value = one.value if isinstance(one.value, str) else msgspec.json.encode(one.value).decode()
        lines.add_row(one.name, visible(value), one.source, one.variable)
    out.print(lines)


@app.command()
def check(config: Config = None, json: Json = False) -> None:
    """Whether a gateway could start with these settings, and which providers it would have."""
    settings = load(config)
    database = database_name(settings)
    operator_prices(settings.prices)
    open_vault(settings)
    on, off = deployments(settings, _SANDBOX_URL if wants_sandbox(settings) else None)
    names = sorted({deployment.provider for deployment in on})
    file = None if settings.file is None else str(settings.file)
    if json:
        write_json({"ok": True, "file": file, "database": database, "providers": names, "off": dict(off)})
        return
    out = stdout()
    out.print(
        facts(
            (
                ("File", "none; the defaults and the environment" if file is None else file),
                ("Database", database),
                ("Providers", ", ".join(names) if names else "none"),
            )
        )
    )
    out.print()
    lines = table(("Off", "What turns it on"))
    for name, remedy in off:
        lines.add_row(name, visible(remedy))
    out.print(lines)


# ---------------------------------------------------------------- what is shown


def _shown(settings: Settings) -> Iterator[Shown]:
    plain = _without_environment(settings.file)
    for row in rows():
        table_name, dot, _ = row.section.partition(".")
        if not dot:
            yield _one(row, row.section, settings, plain)
            continue
        if table_name in SECTIONS:
            place = row.section.removesuffix(".<name>")
            assert place in NAMED
            for name in getattr(getattr(settings, table_name), place.partition(".")[2]):
                yield _one(row, f"{place}.{name}", settings, plain)
            continue
        assert table_name in TABLES
        for name, one in getattr(settings, table_name).items():
            if row.section.endswith("<name>"):
                yield _one(row, f"{table_name}.{name}", settings, plain)
                continue
            for deployment in getattr(one, "deployments", ()):
                yield _one(row, f"{table_name}.{name}.deployments.{deployment}", settings, plain)


def _one(row: Row, section: str, settings: Settings, plain: Settings | None) -> Shown:
    value = _value(settings, section, row.name)
    variable = dataclasses.replace(row, section=section).variable
    return Shown(
        name=f"{section}.{row.name}",
        value=without_password(value) if isinstance(value, str) and value.startswith(POSTGRES) else _masked(value),
        source=_source(value, row.default, _UNSET if plain is None else _value(plain, section, row.name)),
        variable=variable,
        help=row.help,
    )


def _value(settings: Settings, section: str, name: str) -> Any:
    """The value, `_UNSET` in a table that is not there."""
    outer, _, inner = section.partition(".")
    part = getattr(settings, outer)
    if outer in SECTIONS and inner:
        table_name, _, named = inner.partition(".")
        part = getattr(part, table_name).get(named)
    elif inner:
        inner, below, deployment = inner.partition(".deployments.")
        part = part.get(inner)
        if below and part is not None:
            part = part.deployments.get(deployment)
    return _UNSET if part is None else getattr(part, name)


def _source(value: Any, default: Any, without_environment: Any) -> str:
    if value == without_environment:
        return "default" if value == default else "file"
    return "default" if value == default else "environment"


def _without_environment(file: Path | None) -> Settings | None:
    """The settings of the file alone; None if it is not complete without the environment."""
    nowhere: Mapping[str, str] = {}
    try:
        return load(file, environment=nowhere) if file is not None else Settings()
    except SettingsError:
        return None


def _masked(value: Any) -> Any:
    if isinstance(value, Secret):
        return "(set)" if value else "(not set)"
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, str):
        return _CREDENTIALS.sub("…", value)
    return value
