"""`arouter provider-keys`: a secret is taken from standard input or the environment, and never shown."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from arouter.engine.clock import SystemClock
from arouter.store.sqlite import SqliteStore
from tests.cli.process import arouter, misused, refused, told

OLD, NEW = (hashlib.sha256(name).hexdigest() for name in (b"old", b"new"))
SECRET = "sk-proj-sesame-1234567890-abcd"
VARIABLE = "AROUTER_SECURITY__KEY_ENCRYPTION_KEY"


def env(*keks: str, **more: str) -> Mapping[str, str]:
    return {VARIABLE: ",".join(keks or (NEW,)), **more}


def create(folder: Path, *arguments: str, secret: str = SECRET, keks: tuple[str, ...] = (NEW,)) -> Any:
    done = arouter(
        *("provider-keys", "create", "--provider", "openai", *arguments, "--json"),
        cwd=folder,
        env=env(*keks),
        stdin=f"{secret}\n",
    )
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_key_is_stored_listed_disabled_enabled_and_deleted(tmp_path: Path) -> None:
    made = create(tmp_path, "--name", "prod", "--fallback")
    assert (made["provider"], made["name"], made["label"]) == ("openai", "prod", "sk-…abcd")
    assert (made["byok_fallback"], made["api_key_hash"], made["creator"]) == (True, None, None)
    assert told("provider-keys", "list", cwd=tmp_path) == [made]
    assert told("provider-keys", "disable", made["id"], cwd=tmp_path)["disabled"] is True
    assert told("provider-keys", "enable", made["id"], cwd=tmp_path)["disabled"] is False
    assert told("provider-keys", "delete", made["id"], cwd=tmp_path) == {"deleted": True, "id": made["id"]}
    assert told("provider-keys", "list", cwd=tmp_path) == []
    line = refused("provider-keys", "delete", made["id"], cwd=tmp_path)
    assert line == f"there is no provider key '{made['id']}'; `arouter provider-keys list` shows them"


def test_the_secret_may_be_in_the_environment(tmp_path: Path) -> None:
    arguments = ("provider-keys", "create", "--provider", "x-ai", "--secret-from", "XAI_OF_ACME")
    made = told(*arguments, cwd=tmp_path, env=env(XAI_OF_ACME=SECRET))
    assert (made["provider"], made["label"]) == ("xai", "sk-…abcd")
    assert refused(*arguments, cwd=tmp_path, env=env()) == "the environment variable XAI_OF_ACME is not set"


def test_it_is_no_argument(tmp_path: Path) -> None:
    assert "--key" in misused("provider-keys", "create", "--provider", "openai", "--key", SECRET)


def test_it_may_be_for_one_api_key_alone(tmp_path: Path) -> None:
    api_key = told("keys", "create", "--name", "prod", cwd=tmp_path)
    assert create(tmp_path, "--for-key", api_key["hash"])["api_key_hash"] == api_key["hash"]
    arguments = ("provider-keys", "create", "--provider", "openai", "--secret-from", "S", "--for-key", "0" * 64)
    line = refused(*arguments, cwd=tmp_path, env=env(S=SECRET), code=2)
    assert line == "`api_key_hash` names no key of this organization."


@pytest.mark.parametrize(
    ("provider", "secret", "line"),
    [
        ("opnai", SECRET, "Unknown provider `opnai`. Did you mean `openai`?"),
        ("azure", SECRET, "The provider 'azure' cannot be asked. Set base_url in [providers.azure]."),
        ("openai", "", "`key` must be a provider's key: from 8 to 4096 visible ASCII characters without spaces."),
    ],
)
def test_what_cannot_be_stored_is_one_line(tmp_path: Path, provider: str, secret: str, line: str) -> None:
    done = arouter("provider-keys", "create", "--provider", provider, cwd=tmp_path, env=env(), stdin=secret)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"arouter: {line}\n")


def test_without_a_key_encryption_key_it_is_said_what_to_set(tmp_path: Path) -> None:
    arguments = ("provider-keys", "create", "--provider", "openai", "--secret-from", "S")
    line = refused(*arguments, cwd=tmp_path, env={"S": SECRET})
    assert "security.key_encryption_key is not set" in line
    line = refused(*arguments, cwd=tmp_path, env={"S": SECRET, VARIABLE: "sesame"})
    assert line.startswith("security.key_encryption_key must be 32 bytes in base64 or hexadecimal")
    assert "sesame" not in line
    assert refused("config", "check", cwd=tmp_path, env={VARIABLE: "sesame"}) == line


def test_a_rotation_makes_the_older_key_encryption_key_dispensable(tmp_path: Path) -> None:
    made = create(tmp_path, keks=(OLD,))
    create(tmp_path, keks=(NEW, OLD))
    reseal = ("provider-keys", "reseal")
    assert told(*reseal, cwd=tmp_path, env=env(NEW, OLD)) == {"resealed": 1, "unreadable": []}
    assert told(*reseal, cwd=tmp_path, env=env(NEW)) == {"resealed": 0, "unreadable": []}
    back = arouter(*reseal, "--json", cwd=tmp_path, env=env(OLD))
    assert back.returncode == 1
    assert made["id"] in json.loads(back.stdout)["unreadable"]
    assert "stay as they are" in back.stderr


def test_a_rotation_seals_the_secrets_of_apps_too(tmp_path: Path) -> None:
    told("keys", "create", "--name", "first", cwd=tmp_path)
    member = told("members", "add", "--email", "ada@example.com", "--name", "Ada", "--role", "admin", cwd=tmp_path)
    place = (member["organization_id"], member["id"])
    secret = "JBSWY3DPEHPK3PXP"
    asyncio.run(_enrol(tmp_path / "arouter.db", place, secret))
    reseal = ("provider-keys", "reseal")
    assert told(*reseal, cwd=tmp_path, env=env(OLD)) == {"resealed": 1, "unreadable": []}
    assert asyncio.run(_kept(tmp_path / "arouter.db", place)).startswith("sealed:")
    assert told(*reseal, cwd=tmp_path, env=env(NEW, OLD)) == {"resealed": 1, "unreadable": []}
    assert told(*reseal, cwd=tmp_path, env=env(NEW)) == {"resealed": 0, "unreadable": []}
    back = arouter(*reseal, "--json", cwd=tmp_path, env=env(OLD))
    assert (back.returncode, json.loads(back.stdout)["unreadable"]) == (1, [member["id"]])


async def _enrol(path: Path, place: tuple[str, str], secret: str) -> None:
    store = SqliteStore.open(str(path), clock=SystemClock().now_us)
    await store.start()
    assert await store.directory.set_password(*place, "hash")
    assert await store.directory.enrol_totp(*place, secret)
    await store.close()


async def _kept(path: Path, place: tuple[str, str]) -> str:
    store = SqliteStore.open(str(path), clock=SystemClock().now_us)
    await store.start()
    login = await store.directory.get_login(*place)
    await store.close()
    assert login is not None
    return str(login.totp_secret)


def test_a_question_makes_no_database(tmp_path: Path) -> None:
    assert refused("provider-keys", "list", cwd=tmp_path).startswith("there is no database at")
    assert not (tmp_path / "arouter.db").exists()
