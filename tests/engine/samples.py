"""Keys, deployments, calls and rate cards for the tests of the engine: everything given, or what differs."""

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from arouter.domain.keys import Key, KeyKind
from arouter.domain.price import Rate, RateCard
from arouter.domain.record import Opening
from arouter.engine.call import Call
from arouter.engine.dialects.chat import Chat
from arouter.engine.routing import Deployment, Route, Routing
from arouter.engine.upstream import Origin
from arouter.providers.vendors import BY_NAME, Vendor
from tests.engine.scripted_clock import NOON_US

SECRET = b"the server's own secret, 32 bytes"
DOLLARS = 10**24
"""A rate of one dollar for a million tokens: quectodollars (10⁻³⁰ dollars) for one."""


def key(**changes: Any) -> Key:
    plain = Key(
        hash=hashlib.sha256(b"key").hexdigest(),
        name="prod",
        kind=KeyKind.LIVE,
        label="lr_live_1234…abcd",
        organization_id="org_1",
        workspace_id="ws_1",
        creator=None,
        created_at_us=NOON_US,
    )
    return replace(plain, **changes)


def opening(**changes: Any) -> Opening:
    plain = Opening(
        id="gen-1",
        request_id="req-1",
        created_at_us=NOON_US,
        organization_id="org_1",
        workspace_id="ws_1",
        key_hash=key().hash,
        user="user_12345",
        endpoint="/v1/chat/completions",
        requested_model="openai/gpt-5.4",
        streamed=False,
    )
    return replace(plain, **changes)


def deployment(name: str = "openai", /, *, vendor: Vendor | None = None, **changes: Any) -> Deployment:
    plain = Deployment(
        provider=name,
        vendor=BY_NAME[name] if vendor is None else vendor,
        origin=Origin(scheme="https", host=f"{name}.example", port=443, path="/v1"),
        headers=(("Authorization", f"Bearer key-of-{name}"),),
    )
    return replace(plain, **changes)


def route(name: str = "openai/gpt-5.4", **changes: Any) -> Route:
    provider, _, model = name.partition("/")
    return Route(deployment=deployment(provider, **changes), model=model, name=f"{provider}/{model}")


def routing(*names: str, **changes: Any) -> Routing:
    return Routing([deployment(name, **changes) for name in names])


def call(*models: str, stream: bool = False, include_usage: bool = True, **changes: Any) -> Call:
    """`changes` are fields of the request, of the opening (`user`, `session_id`, …), or the `key`."""
    asked = models or ("openai/gpt-5.4",)
    owner = changes.pop("key", key())
    opened = {name: changes.pop(name) for name in list(changes) if name in Opening.__dataclass_fields__}
    fields = {"model": asked[0], "messages": [{"role": "user", "content": "Hi"}], "stream": stream, **changes}
    return Call(
        ingress=Chat(),
        opening=opening(
            **{"requested_model": asked[0], "streamed": stream, "asked_bytes": _asked_bytes(fields), **opened}
        ),
        key=owner,
        models=asked,
        fields={name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()},
        stream=stream,
        include_usage=include_usage,
        preferences=msgspec.Raw(msgspec.json.encode(fields["provider"])) if "provider" in fields else None,
    )


def _asked_bytes(fields: dict[str, Any]) -> int:
    return sum(len(msgspec.json.encode(fields[name])) for name in ("messages", "tools") if name in fields)


def card(*, input: int = 2, output: int = 10, source: str = "genai-prices", **rates: int) -> RateCard:  # noqa: A002
    """Prices in whole dollars for a million tokens."""
    stated = {"input_tokens": input, "output_tokens": output, **rates}
    return RateCard(
        source=source,
        version="2026-11",
        rates={meter: Rate(base=dollars * DOLLARS) for meter, dollars in stated.items()},
    )


class Cards:
    """A `CardFinder` over a table of `vendor/model`; `asked` notes what was looked for."""

    def __init__(self, cards: dict[str, RateCard]) -> None:
        self._cards = cards
        self.asked: list[tuple[str, datetime, str | None, str | None]] = []

    def __call__(
        self,
        provider: str,
        model: str,
        at: datetime,
        service_tier: str | None = None,
        batch: bool = False,
        speed: str | None = None,
    ) -> RateCard | None:
        self.asked.append((f"{provider}/{model}", at, service_tier, speed))
        return self._cards.get(f"{provider}/{model}")
