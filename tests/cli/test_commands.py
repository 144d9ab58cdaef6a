"""The command line as a whole."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from arouter import __version__
from arouter.cli import app
from arouter.cli.commands import PLACES
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
    assert set(PLACES) == set(NAMES)
    for name, inner in NAMES.items():
        command = root.get_command(None, name)  # type: ignore[attr-defined]
        assert set(getattr(command, "commands", ())) == set(inner)
        for one in [command.commands[each] for each in inner] or [command]:
            options = {option for parameter in one.params for option in parameter.opts}
            assert {"--config", "--json"} <= options
            assert one.help


def test_help_lists_every_command_and_what_it_says_of_itself(tmp_path: Path) -> None:
    text = " ".join(succeeded("--help", cwd=tmp_path).replace("│", " ").split())
    root = get_command(app)
    for name in NAMES:
        said = " ".join(root.get_command(None, name).help.split())  # type: ignore[attr-defined]
        assert f" {name} {said} " in text


@pytest.mark.parametrize("arguments", [("--help",), ("keys", "list"), ("db", "check"), ("users", "--help")])
def test_the_web_framework_is_not_loaded_for_what_does_not_serve(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    told = loaded_by(*arguments, cwd=tmp_path)
    assert "arouter.cli" in told
    assert not told & {"fastapi", "starlette", "opentelemetry", "genai_prices"}


def loaded_by(*arguments: str, cwd: Path) -> set[str]:
    """The modules that a command imports."""
    command = [sys.executable, "-X", "importtime", "-m", "arouter", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_the_version(tmp_path: Path) -> None:
    assert succeeded("--version", cwd=tmp_path) == f"arouter {__version__}\n"


def test_an_unknown_command_is_wrong_usage() -> None:
    assert "No such command" in misused("severe")
