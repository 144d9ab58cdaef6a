"""The commands by name, each in a module of its own that is loaded when the command is asked for.

The web framework and the price data take most of a second to import, and most commands need neither. This is the
one place where a module is loaded by name, and start-up time is the only reason.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class Place(NamedTuple):
    """Where a command is."""

    module: str
    """Holds a Typer application named `app`."""
    help: str
    """What the command says of itself, for the list of all: to ask each of them would load everything."""


PLACES: Mapping[str, Place] = MappingProxyType(
    {
        "serve": Place("arouter.cli.serve", "Run the gateway until a signal says stop."),
        "demo": Place(
            "arouter.cli.demo",
            "Run the gateway with the sandbox, pretend users and pretend prices, and a page to look at.",
        ),
        "sandbox": Place(
            "arouter.cli.sandbox",
            "Run a pretend provider that speaks the OpenAI, Anthropic and Gemini dialects, until a signal says stop.",
        ),
        "keys": Place("arouter.cli.keys", "Make and manage the keys that clients send."),
        "provider-keys": Place(
            "arouter.cli.provider_keys",
            "Keep your organization's own keys for providers, encrypted.",
        ),
        "organizations": Place(
            "arouter.cli.organizations",
            "Make and rename organizations, each with a ledger that no other one sees.",
        ),
        "workspaces": Place("arouter.cli.workspaces", "Make, rename and archive an organization's workspaces."),
        "members": Place("arouter.cli.members", "Add, show, change and remove an organization's members."),
        "invitations": Place("arouter.cli.invitations", "Invite people into an organization."),
        "audit": Place(
            "arouter.cli.audit",
            "Entries of the audit log, newest first. `arouter db check` proves that none was altered.",
        ),
        "guardrails": Place(
            "arouter.cli.guardrails",
            "Limit the organization, workspaces, members, keys and end users: budgets, rates, models, providers.",
        ),
        "credits": Place(
            "arouter.cli.credits",
            "What an organization has paid in, what is left, and whether requests are held to it.",
        ),
        "activity": Place(
            "arouter.cli.activity",
            "Read the activity, one record for every request, and correct its costs.",
        ),
        "users": Place(
            "arouter.cli.users",
            "Who uses what, one by one and in order; what is said of users, and tokens for them.",
        ),
        "db": Place("arouter.cli.db", "Look after the database."),
        "clickhouse": Place("arouter.cli.clickhouse", "Look after the copy of the ledger in ClickHouse."),
        "prices": Place("arouter.cli.prices", "Look at the prices that requests are rated by."),
        "config": Place("arouter.cli.config", "Look at the settings."),
    }
)
"""In the order of the help."""


class Commands(TyperGroup):
    """The group at the top. Contexts and commands are Typer's own, whose types have no public name."""

    _listing = False
    """While the help of the group is written: of the commands only what they say of themselves is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(PLACES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        place = PLACES.get(cmd_name)
        if place is None:
            return None
        if self._listing:
            return TyperCommand(cmd_name, help=place.help)
        command = get_command(import_module(place.module).app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False
