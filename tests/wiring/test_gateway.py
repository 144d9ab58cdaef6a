"""A gateway from settings: what fails before it starts, what it answers, and what its log holds."""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from arouter.domain.guardrails import UserRules
from arouter.domain.keys import KeyKind, digest, new_plaintext
from arouter.settings import Settings, SettingsError, load
from arouter.store.sqlite.database import SqliteStore
from arouter.web.auth import find_credentials
from arouter.wiring.gateway import Gateway
from arouter.wiring.logs import configure_logs
from tests.conformance.samples import key

SECRET = "sk-provider-secret"


def gateway(tmp_path: Path, text: str) -> Gateway:
    (tmp_path / "arouter.toml").write_text(text)
    return Gateway(load(environment={}, cwd=tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "[providers.openai]\napi_key = 'x'\nbase_url = 'ftp://x'",
        "[prices.'openai/x']\ninput = 'much'",
        "[storage]\nurl = 'postgresql://x'",
    ],
)
def test_what_cannot_be_fails_before_a_database_is_made(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        gateway(tmp_path, text)
    assert not (tmp_path / "arouter.db").exists()


@pytest.fixture
def logs_as_they_were() -> Any:
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the test's own client, which logs addresses
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_the_log_names_requests_and_never_a_key_or_a_prompt(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], logs_as_they_were: None
) -> None:
    configure_logs("debug", "json")
    text = f"""
        [providers.broken]
        dialect = "openai"
        base_url = "http://127.0.0.1:1/v1"
        api_key = "{SECRET}"
    """
    built = gateway(tmp_path, text)
    keys: list[str] = []
    statuses = []

    async def visit() -> None:
        handlers = await built.start()
        try:
            assert built.first_keys is not None
            keys.extend((built.first_keys.live, built.first_keys.management))
            application = handlers.inference["/v1/chat/completions"]
            async with httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=application), base_url="http://gateway"
            ) as client:
                for model in ("broken/m", "nobody/m", "sandbox/sandbox-echo"):
                    body = {"model": model, "messages": [{"role": "user", "content": "the prompt itself"}]}
                    for target in ("/v1/chat/completions", f"/v1/chat/completions?key={keys[0]}"):
                        headers = {} if "?" in target else {"Authorization": f"Bearer {keys[0]}"}
                        answer = await client.post(target, json=body, headers=headers)
                        statuses.append(answer.status_code)
        finally:
            await built.stop()

    asyncio.run(visit())
    assert statuses == [502, 502, 404, 404, 200, 200]
    said = capfd.readouterr().err
    assert said.count('"request failed"') >= 4
    assert '"gen-' in said
    for hidden in (SECRET, "the prompt itself", *keys):
        assert hidden not in said
        assert hidden not in built.metrics.text().decode()


class Following(Gateway):
    """Tells how often it looked whether anything changed, and how often it read what."""

    def __init__(self, settings: Settings) -> None:
        self.looks = self.reads = 0
        self.looked = asyncio.Condition()
        super().__init__(settings)

    async def _follow(self) -> None:
        await super()._follow()
        async with self.looked:
            self.looks += 1
            self.looked.notify_all()

    async def _refresh(self) -> None:
        await super()._refresh()
        self.reads += 1

    async def after(self, looks: int) -> int:
        """How often it had read after so many more looks."""
        until = self.looks + looks
        async with self.looked:
            await self.looked.wait_for(lambda: self.looks >= until)
        return self.reads


def test_it_reads_of_the_directory_when_somebody_has_changed_it_and_not_before(tmp_path: Path) -> None:
    async def visit() -> None:
        built = Following(load(environment={}, cwd=tmp_path))
        await built.start()
        other = SqliteStore.open(str(tmp_path / "arouter.db"), clock=lambda: 1)
        await other.start()
        try:
            assert await built.after(2) == 1
            await other.directory.add_key(key(organization_id="org_other"), secret="s")
            assert await built.after(2) == 2
            rules = UserRules(organization_id="org_other", user="u", blocked=True)
            await other.directory.put_user_rules(rules)
            assert await built.after(2) == 3
        finally:
            await other.close()
            await built.stop()

    asyncio.run(visit())


def test_a_key_that_another_process_makes_leaves_what_is_known_of_the_others(tmp_path: Path) -> None:
    plaintexts = [new_plaintext(KeyKind.LIVE, bytes([number]) * 24) for number in range(2)]
    keys = [key(name, hash=digest(plaintext)) for name, plaintext in zip("ab", plaintexts, strict=True)]

    async def visit() -> None:
        built = Following(load(environment={}, cwd=tmp_path))
        await built.start()
        other = SqliteStore.open(str(tmp_path / "arouter.db"), clock=lambda: 1)
        await other.start()
        try:
            authenticator = built._authenticator
            one, another = (find_credentials({b"x-api-key": plaintext.encode()}, b"") for plaintext in plaintexts)
            await other.directory.add_key(keys[0], secret=keys[0].hash)
            await built.after(2)
            known = await authenticator.check(one)
            await other.directory.add_key(keys[1], secret=keys[1].hash)
            await built.after(2)
            assert authenticator.recall(one, 0) is known
            assert await authenticator.check(another) == keys[1]
            assert await other.directory.delete_key("org_a", keys[0].hash, now_us=1)
            await built.after(2)
            assert authenticator.recall(one, 0) is None
            assert authenticator.recall(another, 0) == keys[1]
        finally:
            await other.close()
            await built.stop()

    asyncio.run(visit())


def test_the_metrics_can_have_a_port_of_their_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    built = gateway(tmp_path, f"[server]\nmetrics_port = {port}")

    async def look() -> tuple[int, str]:
        handlers = await built.start()
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(handlers.api)) as inside:
            moved = await inside.get("http://gateway/metrics")
        async with httpx2.AsyncClient() as outside:
            found = await outside.get(f"http://127.0.0.1:{port}/metrics")
        await built.stop()
        return moved.status_code, found.text

    status, text = asyncio.run(look())
    assert status == 404
    assert "arouter_records_total" in text
    with socket.create_server(("127.0.0.1", port)):
        pass  # and it is given back
