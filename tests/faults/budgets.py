"""Budgets of one dollar on everything that a request belongs to, requests against them, and what must hold then."""

import asyncio
import json
import time
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from arouter.domain.keys import digest
from tests.faults.client import Heard, ask
from tests.faults.processes import Gateway, sandbox_at

REQUESTS = 500
CONTENT = "Hello there, how are you?"
ALLOWED_TOKENS = 50
"""What a request says that it wants at most."""
READ_TOKENS = -(-len(json.dumps([{"role": "user", "content": CONTENT}])) // 3)
"""What its input is taken for."""
USED = ((10, 25), (20, 40), (40, 50), (90, 50))
"""Tokens that the models read and generate: from half of what is held to twice as much."""
MODELS = [f"openai/sandbox?prompt_tokens={read}&tokens={written}&token_ms=2" for read, written in USED]
PRICES = {f'prices."{model}"': {"input": "100", "output": "100"} for model in MODELS}
"""A ten-thousandth of a dollar for each token."""
HELD = (READ_TOKENS + ALLOWED_TOKENS) * Decimal("0.0001")
LIMIT = Decimal(1)
TARGETS = ("organization", "workspace", "key", "every_user")
NEVER: Mapping[str, str] = MappingProxyType({})


def settings(sandbox: str, workers: int) -> dict[str, Any]:
    return {**sandbox_at(sandbox, server={"workers": workers}), **PRICES}


def manage(gateway: Gateway, method: str, path: str, body: Any = None) -> Any:
    with gateway.client(gateway.management) as client:
        answer = client.ask(method, path, None if body is None else json.dumps(body).encode())
    assert answer.status in (200, 201), answer.body
    return json.loads(answer.body, parse_float=Decimal, parse_int=Decimal)["data"]


def with_budgets(gateway: Gateway, resets: Mapping[str, str] = NEVER) -> None:
    """Four of one dollar, on every request of the first key; `resets` by target."""
    own = manage(gateway, "GET", f"/v1/keys/{digest(gateway.live)}")
    target_ids = {"workspace": own["workspace_id"], "key": own["hash"]}
    for target in TARGETS:
        named = {"target_id": target_ids[target]} if target in target_ids else {}
        reset = {"limit_reset": resets[target]} if target in resets else {}
        manage(
            gateway,
            "POST",
            "/v1/guardrails",
            {"target": target, "limit": 1, "name": f"a dollar {target}", **named, **reset},
        )
    time.sleep(1)  # They hold in every worker within a second.


async def ask_all(gateway: Gateway, user: str | None, count: int = REQUESTS) -> list[Heard]:
    return await asyncio.gather(
        *(
            ask(
                gateway.url,
                gateway.live,
                MODELS[number % len(MODELS)],
                stream=number % 3 == 0,
                user=user,
                content=CONTENT,
                max_tokens=ALLOWED_TOKENS,
            )
            for number in range(count)
        )
    )


def costs(gateway: Gateway) -> list[Decimal]:
    """Those of all records. They have few digits, so that a float tells them exactly."""
    return [Decimal(repr(one["cost"])) for one in gateway.records() if one["cost"] is not None]


def overage(gateway: Gateway) -> Decimal:
    """By how much requests passed what was held for them."""
    return sum((max(Decimal(0), cost - HELD) for cost in costs(gateway)), Decimal(0))


def spend_the_rest(gateway: Gateway, user: str) -> None:
    """One after the other, until one is refused."""
    for _ in range(REQUESTS):
        (one,) = asyncio.run(ask_all(gateway, user, 1))
        if one.status != 200:
            break


def figures(gateway: Gateway, user: str) -> dict[str, tuple[Decimal, Decimal]]:
    """Used and held, by scope."""
    told = manage(gateway, "GET", f"/v1/guardrails/explain?api_key_hash={digest(gateway.live)}&user={user}")
    return {one["scope"]: (one["used"], one["held"]) for one in told["limits"]}


def check_peace(gateway: Gateway, user: str) -> Decimal:
    """Every hold is gone, the figures are the ledger's, and no budget was passed but by overages; what was spent."""
    spent = sum(costs(gateway), Decimal(0))
    assert spent <= LIMIT + overage(gateway)
    assert figures(gateway, user) == dict.fromkeys(("organization", "workspace", "key", "user"), (spent, Decimal(0)))
    return spent


def check_refused(gateway: Gateway, user: str) -> None:
    (heard,) = asyncio.run(ask_all(gateway, user, 1))
    assert heard.status == 402
    (error,) = heard.errors
    assert (error["type"], error["code"]) == ("payment_required", "credit_limit_exceeded")
    assert error["metadata"].keys() >= {"scope", "limit_usd", "used_usd", "resets_at", "guardrail"}
    assert error["metadata"]["limit_usd"] == 1
    last = gateway.records()[-1]
    assert (last["id"], last["status"], last["error_code"]) == (heard.id, "rejected", "credit_limit_exceeded")
