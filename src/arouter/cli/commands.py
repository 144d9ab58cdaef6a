"""The commands by name, each in a module of its own that is loaded when the command is asked for.

The web framework and the price data take most of a second to import, and most commands need neither. This is the
one place where a module is loaded by name, and start-up time is the only reason.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "serve": "arouter.cli.serve",
        "demo": "arouter.cli.demo",
        "sandbox": "arouter.cli.sandbox",
        "keys": "arouter.cli.keys",
        "provider-keys": "arouter.cli.provider_keys",
        "organizations": "arouter.cli.organizations",
        "workspaces": "arouter.cli.workspaces",
        "members": "arouter.cli.members",
        "invitations": "arouter.cli.invitations",
        "audit": "arouter.cli.audit",
        "guardrails": "arouter.cli.guardrails",
        "credits": "arouter.cli.credits",
        "activity": "arouter.cli.activity",
        "users": "arouter.cli.users",
        "db": "arouter.cli.db",
        "clickhouse": "arouter.cli.clickhouse",
        "prices": "arouter.cli.prices",
        "config": "arouter.cli.config",
    }
)
"""Each holds a Typer application named `app`. In the order of the help."""


class Commands(TyperGroup):
    """The group at the top. Contexts and commands are Typer's own, whose types have no public name."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        module = MODULES.get(cmd_name)
        if module is None:
            return None
        command = get_command(import_module(module).app)
        command.name = cmd_name
        return command
