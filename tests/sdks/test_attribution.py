"""Whom a request is for, as SDKs and applications built on them say it."""

import json
import uuid
from typing import Any

import anthropic
import pytest

from arouter.sandbox.server import Sandbox
from tests.acceptance.gateway import Gateway
from tests.sdks.asking import records

DEVICE = "d" * 64
HELLO: Any = [{"role": "user", "content": "Hello!"}]


@pytest.fixture
def sdk(gateway: Gateway) -> Any:
    """As Claude Code makes it: with a token and not with a key of Anthropic's."""
    with anthropic.Anthropic(base_url=gateway.url, auth_token=gateway.live, api_key=None, max_retries=0) as made:
        yield made


def in_members(account: str, session: str) -> str:
    return json.dumps({"device_id": DEVICE, "account_uuid": account, "session_id": session}, separators=(",", ":"))


def underscored(account: str, session: str) -> str:
    return f"user_{DEVICE}_account_{account}_session_{session}"


def ask(sdk: anthropic.Anthropic, model: str, user_id: str, *, stream: bool) -> str:
    """What Claude Code sends, as far as it matters here: a system prompt in blocks, marks for the cache, a tool."""
    asked: Any = {
        "model": model,
        "max_tokens": 1000,
        "system": [{"type": "text", "text": "You are a CLI.", "cache_control": {"type": "ephemeral"}}],
        "messages": HELLO,
        "tools": [{"name": "Read", "description": "Reads a file.", "input_schema": {"type": "object"}}],
        "metadata": {"user_id": user_id},
    }
    if not stream:
        return "".join(block.text for block in sdk.messages.create(**asked).content if block.type == "text")
    with sdk.messages.stream(**asked) as events:
        return events.get_final_text()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("write", [in_members, underscored], ids=["members", "underscores"])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_sessions_of_claude_code_are_their_accounts(
    gateway: Gateway, vendors: Sandbox, sdk: anthropic.Anthropic, provider: str, write: Any, stream: bool
) -> None:
    account = str(uuid.uuid4())
    sessions = [str(uuid.uuid4()) for _ in range(2)]
    for session in sessions:
        assert ask(sdk, f"{provider}/sandbox", write(account, session), stream=stream).startswith("Hello from")
        assert account.encode() not in vendors.requests[-1].body
        assert session.encode() not in vendors.requests[-1].body
    found = records(gateway, account)
    assert [record["session_id"] for record in found] == sessions[::-1]


def test_an_installation_without_an_account_is_the_user(gateway: Gateway, sdk: anthropic.Anthropic) -> None:
    session = str(uuid.uuid4())
    ask(sdk, "anthropic/sandbox", in_members("", session), stream=False)
    assert [record["session_id"] for record in records(gateway, DEVICE)] == [session]


def test_any_other_text_is_the_user(gateway: Gateway, sdk: anthropic.Anthropic) -> None:
    for user in ("user_12345", '{"device_id":1}', f"user_{DEVICE}", ""):
        ask(sdk, "anthropic/sandbox", user, stream=False)
        [record] = records(gateway, user)
        assert (record["user"], record["session_id"]) == (user, None)
