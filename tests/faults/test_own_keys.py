"""An organization's own keys in real processes: workers, restarts, wrong key-encryption keys, and kills."""

import asyncio
import hashlib
import json
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

import apsw
import pytest

from arouter.domain.keys import Key, KeyKind, digest, new_plaintext
from arouter.domain.provider_keys import ProviderKey, Sealed, Unreadable
from arouter.engine.vault import Vault, name_of
from arouter.store.sqlite import SqliteStore
from tests.acceptance.client import Answer
from tests.domain.test_provider_keys import key as provider_key
from tests.faults.ledgers import contents
from tests.faults.processes import ROOT, Gateway, Place, Sections, place, wait_until
from tests.provider_that_watches import WatchfulProvider, watchful_provider

OLD, NEW = (hashlib.sha256(name).digest() for name in (b"old", b"new"))
OPERATOR = "sk-of-the-operator-0123456789"
OWN = "sk-of-the-organization-0123456789"
OTHER = "sk-of-the-organization-9876543210"
MODEL = "openai/gpt-4o-mini"
WITHIN_S = 1.0
CONNECTIONS = 24
"""Enough that the kernel gives some of them to each worker."""
KILLS = int(os.environ.get("AROUTER_FAULTS_KILLS", "3"))
MANY = 500 * KILLS
"""Keys whose rotation is killed: more than are through by the last kill."""

Result = TypeVar("Result")


@pytest.fixture
def provider() -> Iterator[WatchfulProvider]:
    with watchful_provider() as watching:
        yield watching


def settings(provider: WatchfulProvider, *keks: bytes, workers: int = 1) -> Sections:
    return {
        "server": {"port": 0, "workers": workers},
        "storage": {"url": "sqlite:///arouter.db"},
        "log": {"format": "json", "level": "debug"},
        "security": {"key_encryption_key": ",".join(kek.hex() for kek in keks)},
        "providers.openai": {"api_key": OPERATOR, "base_url": provider.url},
        "providers.groq": {"base_url": provider.url},
    }


def manage(gateway: Gateway, method: str, path: str, **fields: object) -> Answer:
    with gateway.client(gateway.management) as client:
        return client.ask(method, f"/v1/provider-keys{path}", json.dumps(fields).encode())


def store_key(gateway: Gateway, **fields: object) -> str:
    """The id of a new one."""
    answer = manage(gateway, "POST", "", **{"provider": "openai", "key": OWN, **fields})
    assert answer.status == 201, answer.body
    key_id: str = answer.json["data"]["id"]
    return key_id


def ask(gateway: Gateway, key: str | None = None, model: str = MODEL) -> Answer:
    with gateway.client(key) as client:
        return client.chat(model, "user_1")


def ask_all_workers(gateway: Gateway, key: str | None = None) -> set[int]:
    """Once on each of many new connections; the statuses."""
    return {ask(gateway, key).status for _ in range(CONNECTIONS)}


def in_store(database: Path, work: Callable[[SqliteStore], Awaitable[Result]]) -> Result:
    """What some other process does to the database."""

    async def run() -> Result:
        store = SqliteStore.open(str(database), clock=lambda: 1)
        await store.start()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def a_strangers_key(database: Path) -> str:
    """The plaintext of a key of another organization."""
    plaintext = new_plaintext(KeyKind.LIVE, secrets.token_bytes(24))
    stranger = Key(
        hash=digest(plaintext),
        name="stranger",
        kind=KeyKind.LIVE,
        label="…",
        organization_id="org_stranger",
        workspace_id="ws_stranger",
        creator=None,
        created_at_us=1,
    )
    in_store(database, lambda store: store.directory.add_key(stranger, secret=stranger.hash))
    return plaintext


def sealed_keys(database: Path) -> list[tuple[ProviderKey, Sealed]]:
    return list(in_store(database, lambda store: store.directory.every_provider_key(limit=10 * MANY)))


def reader(*keks: bytes) -> Vault:
    return Vault(keks, secrets.token_bytes)


# ---------------------------------------------------------------- whose key


@pytest.mark.slow
def test_every_worker_asks_with_the_organizations_key_within_a_second(
    provider: WatchfulProvider, tmp_path: Path
) -> None:
    with place(tmp_path, settings(provider, NEW, workers=2)) as home:
        gateway = home.start()
        stranger = a_strangers_key(gateway.database)
        assert ask_all_workers(gateway) == {200}
        assert set(provider.asked_with()) == {OPERATOR}

        def everybody_after(change: Callable[[], object], wanted: str) -> None:
            change()
            time.sleep(WITHIN_S)
            assert ask_all_workers(gateway) == {200}
            assert set(provider.asked_with()) == {wanted}
            assert ask_all_workers(gateway, stranger) == {200}
            assert set(provider.asked_with()) == {OPERATOR}

        made: list[str] = []
        everybody_after(lambda: made.append(store_key(gateway)), OWN)
        everybody_after(lambda: manage(gateway, "PATCH", f"/{made[0]}", key=OTHER), OTHER)
        everybody_after(lambda: manage(gateway, "PATCH", f"/{made[0]}", disabled=True), OPERATOR)
        everybody_after(lambda: manage(gateway, "PATCH", f"/{made[0]}", disabled=False), OTHER)
        everybody_after(lambda: manage(gateway, "DELETE", f"/{made[0]}"), OPERATOR)


def test_a_change_over_http_counts_with_the_next_request(provider: WatchfulProvider, tmp_path: Path) -> None:
    with place(tmp_path, settings(provider, NEW)) as home:
        gateway = home.start()
        made = store_key(gateway)
        for change, wanted in (({}, OWN), ({"key": OTHER}, OTHER), ({"disabled": True}, OPERATOR)):
            assert manage(gateway, "PATCH", f"/{made}", **change).status == 200
            assert ask(gateway).status == 200
            assert provider.asked_with() == [wanted]


def test_the_record_tells_whose_account_it_was_and_what_it_cost(provider: WatchfulProvider, tmp_path: Path) -> None:
    with place(tmp_path, settings(provider, NEW)) as home:
        gateway = home.start()
        assert ask(gateway).status == 200
        store_key(gateway)
        store_key(gateway, provider="groq", key=OTHER)
        assert ask(gateway).status == 200
        assert ask(gateway, model="groq/llama-3.1-8b-instant").status == 200
        assert provider.asked_with() == [OPERATOR, OWN, OTHER]
        records = gateway.records()
        assert [(record["provider"], record["is_byok"]) for record in records] == [
            ("openai", False),
            ("openai", True),
            ("groq", True),
        ]
        operators, own, _ = records
        assert own["cost"] == operators["cost"] > 0
        with gateway.client() as client:
            spent = client.ask("GET", "/v1/key").json["data"]
        assert 0 < spent["byok_usage"] < spent["usage"]


def test_a_fall_back_is_an_attempt_on_the_record(provider: WatchfulProvider, tmp_path: Path) -> None:
    provider.refused = {OWN}
    with place(tmp_path, settings(provider, NEW)) as home:
        gateway = home.start()
        made = store_key(gateway)
        refused = ask(gateway)
        assert refused.status == 502
        assert "your organization's own key" in refused.error["message"]
        assert provider.asked_with() == [OWN]
        manage(gateway, "PATCH", f"/{made}", byok_fallback=True)
        assert ask(gateway).status == 200
        assert provider.asked_with() == [OWN, OPERATOR]
        (_, record) = gateway.records()
        assert (record["attempts"], record["is_byok"]) == (2, False)
        assert [(one["deployment"], one["http_status"], one["is_byok"]) for one in record["tried"]] == [
            (made, 401, True),
            (None, 200, False),
        ]


def test_the_secret_is_in_no_file_and_no_answer(provider: WatchfulProvider, tmp_path: Path) -> None:
    provider.refused = {OWN}
    provider.repeats = True
    with place(tmp_path, settings(provider, NEW)) as home:
        gateway = home.start()
        made = store_key(gateway)
        answers = [
            ask(gateway).body,
            *(manage(gateway, method, f"/{made}", name="x").body for method in ("GET", "PATCH")),
            manage(gateway, "POST", "", provider="openai", key=f"{OWN} with a space").body,
            json.dumps(gateway.records()).encode(),
        ]
        assert provider.asked_with() == [OWN]
        gateway.terminate()
        assert gateway.exit_code() == 0
    files = [path.read_bytes() for path in tmp_path.iterdir() if path.name != "settings.toml"]
    assert len(files) >= 2
    assert not [said for said in (*answers, *files) if OWN.encode() in said]
    assert any(made.encode() in said for said in files)


# ---------------------------------------------------------------- key-encryption keys


def test_a_start_without_the_right_key_encryption_key_says_so_and_refuses_only_who_needs_it(
    provider: WatchfulProvider, tmp_path: Path
) -> None:
    with place(tmp_path, settings(provider, OLD)) as home:
        gateway = home.start()
        store_key(gateway)
        stranger = a_strangers_key(gateway.database)
        gateway.kill()
        for keks in ((NEW,), ()):
            logged = len(gateway.log())
            gateway = restarted(home, settings(provider, *keks))
            errors = [entry for entry in gateway.log()[logged:] if entry["level"] == "error"]
            assert len(errors) == 1
            assert name_of(OLD) in errors[0]["event"]
            assert "security.key_encryption_key" in errors[0]["event"]
            refused = ask(gateway)
            assert (refused.status, refused.error["code"]) == (503, "no_provider_available")
            assert "security.key_encryption_key" in refused.error["message"]
            assert provider.asked_with() == []
            assert ask(gateway, stranger).status == 200
            assert provider.asked_with() == [OPERATOR]
            assert gateway.ready() == 200
            gateway.kill()
        gateway = restarted(home, settings(provider, NEW, OLD))
        assert ask(gateway).status == 200
        assert provider.asked_with() == [OWN]


def restarted(home: Place, sections: Sections) -> Gateway:
    home.sections = sections
    gateway = home.start()
    wait_until(lambda: gateway.ready() == 200)
    return gateway


def reseal(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "arouter", "provider-keys", "reseal", "--json", "--config", "settings.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def count_sealed_with(database: Path, kek: bytes) -> int:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    count = connection.execute("SELECT count(*) FROM provider_keys WHERE sealed_with = ?", (name_of(kek),)).get
    connection.close()
    return int(count)


def is_more_sealed_with(database: Path, kek: bytes, than: int) -> bool:
    return count_sealed_with(database, kek) > than


@pytest.mark.slow
@pytest.mark.timeout(120 + 15 * KILLS)
def test_no_key_is_lost_however_often_the_rotation_is_killed(provider: WatchfulProvider, tmp_path: Path) -> None:
    chance = random.Random(seed := random.randrange(2**32))
    both = reader(NEW, OLD)
    secret_of = {f"pkey_{number:04}": f"sk-secret-of-{number:04}" for number in range(MANY)}

    async def fill(store: SqliteStore) -> None:
        async with asyncio.TaskGroup() as group:
            for key_id, secret in secret_of.items():
                key = provider_key(key_id, organization_id=f"org_{chance.randrange(9)}")
                group.create_task(store.directory.add_provider_key(key, reader(OLD).seal(secret, key)))

    with place(tmp_path, settings(provider, NEW, OLD)) as home:
        gateway = home.start()
        in_store(gateway.database, fill)
        done = 0
        for _ in range(KILLS):
            process = reseal(tmp_path)
            wait_until(partial(is_more_sealed_with, gateway.database, NEW, done))
            time.sleep(chance.uniform(0, 0.05))
            process.kill()
            process.communicate()
            found = sealed_keys(gateway.database)
            assert {key.id: both.unseal(sealed, key) for key, sealed in found} == secret_of, seed
            done = count_sealed_with(gateway.database, NEW)
        assert 0 < done < MANY
        process = reseal(tmp_path)
        told, _ = process.communicate(timeout=60)
        assert json.loads(told) == {"resealed": MANY - done, "unreadable": []}
        found = sealed_keys(gateway.database)
        assert {key.id: reader(NEW).unseal(sealed, key) for key, sealed in found} == secret_of
        with pytest.raises(Unreadable):
            reader(OLD).unseal(found[0][1], found[0][0])
    assert contents(gateway.database).report.problems == ()


@pytest.mark.slow
@pytest.mark.timeout(120 + 15 * KILLS)
def test_a_new_secret_that_was_acknowledged_outlives_a_kill_and_no_other_is_half_there(
    provider: WatchfulProvider, tmp_path: Path
) -> None:
    chance = random.Random(seed := random.randrange(2**32))
    with place(tmp_path, settings(provider, NEW)) as home:
        gateway = home.start()
        made = store_key(gateway, key=f"{OWN}-0")
        acknowledged = 0
        for _ in range(KILLS):
            killed_at_s = time.monotonic() + chance.uniform(0.05, 0.5)
            tried = acknowledged
            with suppress(OSError, HTTPException):
                while True:
                    tried += 1
                    if time.monotonic() > killed_at_s:
                        gateway.kill()
                    assert manage(gateway, "PATCH", f"/{made}", key=f"{OWN}-{tried}").status == 200
                    acknowledged = tried
            gateway = home.start()
            assert ask(gateway).status == 200
            (asked,) = provider.asked_with()
            assert acknowledged <= int(asked.removeprefix(f"{OWN}-")) <= tried, seed
            acknowledged = int(asked.removeprefix(f"{OWN}-"))
            ((key, sealed),) = sealed_keys(gateway.database)
            assert reader(NEW).unseal(sealed, key) == asked
            assert replace(key, name="x").label == f"sk-…{asked[-4:]}"


def test_a_request_that_was_running_when_the_process_died_is_told_to_be_on_the_own_key(
    provider: WatchfulProvider, tmp_path: Path
) -> None:
    provider.never_answers = True
    with place(tmp_path, settings(provider, NEW)) as home:
        gateway = home.start()
        store_key(gateway)
        with gateway.client() as client:
            client.begin("/v1/chat/completions", {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]})
            wait_until(lambda: provider.asked_with() == [OWN])
            time.sleep(0.3)  # for the intent, which nobody waits for, to be on disk
            gateway.kill()
        again = home.start()
        assert again.interrupted == 1
        (record,) = again.records()
        assert (record["status"], record["is_byok"], record["model"]) == ("interrupted", True, MODEL)
