"""A question to an SDK, and what the gateway remembers of it."""

import time
from typing import Any

from tests.acceptance.gateway import Gateway
from tests.sdks.clients import Client
from tests.sdks.script import Script

PATIENCE_S = 20.0


def ask(script: Script, gateway: Gateway, client: Client, verb: str, *, key: str | None = None, **asked: object) -> Any:
    """What `client` says to `verb`, asked of the gateway with its first live key or with another one."""
    where = {"url": gateway.url, "key": gateway.live if key is None else key, "timeout_s": PATIENCE_S}
    return script.ask(verb, **{"dialect": client.speaks or client.dialect, **where, **asked})


def user_of(client: Client, *rest: object) -> str:
    """One whose records nobody else makes."""
    return " ".join(str(one) for one in (client, *rest))


def records(gateway: Gateway, user: str) -> list[dict[str, Any]]:
    """Those of a user, the newest first."""
    with gateway.client() as reader:
        return reader.records([("user", user)])


def awaited_records(gateway: Gateway, user: str) -> list[dict[str, Any]]:
    """The same of a request that its client did not wait for: once there is one."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := records(gateway, user)):
        assert time.monotonic() < deadline_s, f"there is no record of {user}"
        time.sleep(0.02)
    return found
