"""The command line as a whole."""

from pathlib import Path

from typer.main import get_command

from arouter import __version__
from arouter.cli import app
from arouter.cli.commands import MODULES
from tests.cli.process import misused, succeeded

NAMES = {
    "serve": (),
    "demo": (),
    "sandbox": (),
    "keys": ("create", "list", "show", "disable", "enable", "rotate", "delete"),
    "provider-keys": ("create", "list", "disable", "enable", "delete", "reseal"),
    "guardrails": ("create", "update", "list", "disable", "enable", "delete", "explain"),
    "credits": ("show", "add", "list", "enable", "disable"),
    "organizations": ("create", "list", "rename"),
    "workspaces": ("create", "list", "rename", "archive", "restore"),
    "members": ("add", "list", "change", "disable", "enable", "delete", "set-password", "remove-totp"),
    "invitations": ("create", "list", "delete"),
    "audit": (),
    "clickhouse": ("status", "copy", "rebuild", "upgrade", "check", "schema"),
    "activity": ("export", "summary", "report", "show", "correct"),
    "users": ("list", "top", "show", "token", "block", "unblock", "limit"),
    "db": ("migrate", "status", "check", "backup", "copy", "seal", "retention", "fold", "journal"),
    "prices": ("list", "show", "reprice"),
    "config": ("check", "show"),
}


def test_the_commands_are_those_of_the_contract_and_each_has_help_config_and_json() -> None:
    root = get_command(app)
    assert set(MODULES) == set(NAMES)
    for name, inner in NAMES.items():
        command = root.get_command(None, name)  # type: ignore[attr-defined]
        assert set(getattr(command, "commands", ())) == set(inner)
        for one in [command.commands[each] for each in inner] or [command]:
            options = {option for parameter in one.params for option in parameter.opts}
            assert {"--config", "--json"} <= options
            assert one.help


def test_help_lists_every_command(tmp_path: Path) -> None:
    text = succeeded("--help", cwd=tmp_path)
    assert all(f" {name} " in text for name in NAMES)
    assert succeeded("--version", cwd=tmp_path) == f"arouter {__version__}\n"


def test_an_unknown_command_is_wrong_usage() -> None:
    assert "No such command" in misused("severe")
