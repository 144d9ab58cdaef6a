"""The management API over a store, asked through ASGI, with a clock that stands still."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

import httpx2
import msgspec
import pytest

from arouter.domain.adjustment import Adjustment, AdjustmentKind
from arouter.domain.ids import RANDOM_BYTES, generation_id
from arouter.domain.keys import Key, KeyKind, digest, masked, new_plaintext
from arouter.domain.models import ModelInfo
from arouter.domain.money import Picodollars
from arouter.domain.organizations import Member
from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.roles import Role
from arouter.domain.usage import Usage
from arouter.engine.estimates import Estimates
from arouter.engine.guardian import Guardian
from arouter.engine.leasing import Leasing
from arouter.engine.tasks import Tasks
from arouter.engine.vault import Vault
from arouter.settings import Settings
from arouter.store.base import Home
from arouter.store.memory import MemoryStore
from arouter.store.stores import Store
from arouter.web.api.app import ApiServices, Check, Readiness, create_api
from arouter.web.auth import Authenticator
from arouter.wiring.own_keys import own_providers

Result = TypeVar("Result")

NOW_US = 1_795_327_200_123_456
"""2026-11-22T06:00:00.123456Z, a Sunday."""

HOME = Home(organization_id="org_home", workspace_id="ws_home", secret=bytes(32))

USAGE = Usage(input_tokens=60, cache_read_tokens=60, cache_write_tokens=0, output_tokens=85, reasoning_tokens=30)


VAULT = Vault([hashlib.sha256(b"key-encryption key").digest()], secrets.token_bytes)
"""What the organization's own keys for providers are sealed with."""

OWN_PROVIDERS = own_providers(Settings())

BOSS = Member(
    id="mem_1",
    organization_id=HOME.organization_id,
    email="boss@example.com",
    name="Boss",
    role=Role.ADMIN,
    created_at_us=NOW_US,
)


def in_memory(clock: Callable[[], int]) -> Store:
    return MemoryStore(clock=clock)


NEEDS_NO_STORE = pytest.mark.parametrize("gateway", ["memory"], indirect=True)
"""For tests that come to their end before the store: one backend is enough."""


class Gateway:
    """A running API, the keys of its organization, and a way to put records into the ledger."""

    def __init__(
        self,
        make_store: Callable[[Callable[[], int]], Store] = in_memory,
        *,
        vault: Vault | None = VAULT,
    ) -> None:
        """`make_store` is given the clock."""
        self.now_us = NOW_US
        self.readiness = Readiness(checks=(Check(name="ledger", ok=True),))
        self.models: Sequence[ModelInfo] = ()
        self._fault: Exception | None = None
        self.store = make_store(lambda: self.now_us)
        self._made = 0
        self._runner = asyncio.Runner()
        self._runner.run(self.store.start())
        self._runner.run(self._settle())
        authenticator = self._authenticator = Authenticator(self.store.directory, now_us=lambda: self.now_us)
        self.leasing = Leasing(
            self.store.counters, now_us=lambda: self.now_us, tasks=Tasks(lambda name, failure: pytest.fail(name))
        )
        self.guardian = Guardian(self.store.directory, self.leasing, Estimates(lambda *_, **__: None))

        async def authenticate(headers: Sequence[tuple[bytes, bytes]], query_string: bytes) -> Key:
            return await authenticator.authenticate(dict(headers), query_string)

        self.services = ApiServices(
            directory=self.store.directory,
            ledger=self.store.ledger,
            authenticate=authenticate,
            now_us=lambda: self.now_us,
            entropy=self._entropy,
            models=self._list_models,
            ready=self._ready,
            metrics=self._metrics,
            default_home=HOME,
            guardian=self.guardian,
            directory_changed=self._changed,
            vault=vault,
            own_providers=OWN_PROVIDERS,
        )
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=create_api(self.services), raise_app_exceptions=False),
            base_url="http://gateway",
        )
        self.live, self.live_key = self.add_key("prod")
        self.management, self.management_key = self.add_key("boss", kind=KeyKind.MANAGEMENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self.client.aclose())
        self._runner.run(self.store.close())
        self._runner.close()

    async def _changed(self) -> None:
        await self._authenticator.refresh()
        await self.guardian.refresh()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Something to be awaited."""
        return self._runner.run(work)

    def ask(
        self, method: str, path: str, *, key: str | None = None, headers: Mapping[str, str] | None = None, **rest: Any
    ) -> httpx2.Response:
        """One request; with `key` as a bearer token."""
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        return self._runner.run(self.client.request(method, path, headers=sent, **rest))

    def get(self, path: str, *, key: str | None = None, **rest: Any) -> httpx2.Response:
        return self.ask("GET", path, key=self.live if key is None else key, **rest)

    def manage(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        return self.ask(method, path, key=self.management, **rest)

    def add_key(self, name: str, *, kind: KeyKind = KeyKind.LIVE, **settings: Any) -> tuple[str, Key]:
        """A plaintext and its key."""
        plaintext = new_plaintext(kind, self._entropy(24))
        organization_id = settings.pop("organization_id", HOME.organization_id)
        creator = BOSS.id if organization_id == BOSS.organization_id else None
        key = Key(
            hash=digest(plaintext),
            name=name,
            kind=kind,
            label=masked(plaintext),
            organization_id=organization_id,
            workspace_id=settings.pop("workspace_id", HOME.workspace_id),
            creator=settings.pop("creator", creator),
            created_at_us=self.now_us + self._made,
            **settings,
        )
        self._runner.run(self.store.directory.add_key(key, secret=key.hash))
        return plaintext, key

    def stored_key(self, key_hash: str, organization_id: str = HOME.organization_id) -> Key:
        """The key as the directory has it."""
        key = self._runner.run(self.store.directory.get_key(organization_id, key_hash))
        assert key is not None
        return key

    def add_record(self, *, key: Key | None = None, user: str | None = None, ago_us: int = 0, **changes: Any) -> Record:
        """One finished request of `key`, `ago_us` before now. `changes` are fields of the opening or the record."""
        self._made += 1
        owner = self.live_key if key is None else key
        created_at_us = self.now_us - ago_us
        opening_fields = {name: changes.pop(name) for name in list(changes) if name in Opening.__dataclass_fields__}
        opening = Opening(
            id=generation_id(created_at_us, self._made.to_bytes(RANDOM_BYTES)),
            request_id=f"req-{self._made}",
            created_at_us=created_at_us,
            organization_id=owner.organization_id,
            workspace_id=owner.workspace_id,
            key_hash=owner.hash,
            user=user,
            endpoint="/v1/chat/completions",
            requested_model="openai/gpt-5.4",
            streamed=True,
        )
        record = Record(
            opening=replace(opening, **opening_fields),
            completed_at_us=created_at_us + 812_400,
            status=Status.SUCCESS,
            http_status=200,
            model="openai/gpt-5.4",
            provider="openai",
            upstream_id="chatcmpl-1",
            finish_reason="stop",
            usage=USAGE,
            usage_source=UsageSource.PROVIDER,
            cost=Picodollars(1_234_500_000),
            price_source="genai-prices",
            price_version="2026-11-01",
            latency_us=812_400,
            time_to_first_token_us=233_100,
            attempts=1,
        )
        record = replace(record, **changes)
        self._runner.run(self._close(record))
        return record

    def adjust(self, record: Record, cost: int | None) -> None:
        """From now on the record costs that, by a price of the operator's."""
        self._made += 1
        adjustment = Adjustment(
            id=f"adj-{self._made}",
            record_id=record.opening.id,
            created_at_us=self.now_us,
            kind=AdjustmentKind.REPRICE,
            cost=None if cost is None else Picodollars(cost),
            price_source=None if cost is None else "operator",
            price_version=None if cost is None else "always",
        )
        self._runner.run(self._adjust(adjustment))

    def replace_key(self, key: Key) -> None:
        """Store the key as it is from now on."""
        self._runner.run(self._replace_key(key))

    def break_models(self, fault: Exception) -> None:
        """From now on the list of models fails so."""
        self._fault = fault

    def _list_models(self) -> Sequence[ModelInfo]:
        if self._fault is not None:
            raise self._fault
        return self.models

    async def _replace_key(self, key: Key) -> None:
        assert await self.store.directory.replace_key(key)
        await self.services.directory_changed()

    async def _settle(self) -> None:
        """The home, and the admin who made its keys."""
        await self.store.directory.home(HOME, now_us=NOW_US)
        await self.store.directory.add_member(BOSS)

    async def _close(self, record: Record) -> None:
        self.store.ledger.open(record.opening)
        await self.store.ledger.close(record)

    async def _adjust(self, adjustment: Adjustment) -> None:
        assert await self.store.ledger.adjust([adjustment]) == 1

    async def _ready(self) -> Readiness:
        return self.readiness

    async def _metrics(self) -> bytes:
        return b"arouter_requests_total 1.0\n"

    def _entropy(self, size: int) -> bytes:
        self._made += 1
        return hashlib.sha512(self._made.to_bytes(8)).digest()[:size]


def exact(content: bytes) -> Any:
    """JSON whose numbers stay the text that they are written with."""
    return _texts(msgspec.json.decode(content, type=msgspec.Raw))


def _texts(raw: msgspec.Raw) -> Any:
    text = bytes(raw)
    if text.startswith(b"{"):
        return {name: _texts(value) for name, value in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()}
    if text.startswith(b"["):
        return [_texts(value) for value in msgspec.json.decode(text, type=list[msgspec.Raw])]
    return text.decode() if text[:1] in b"-0123456789" else msgspec.json.decode(text)


def failure(answer: httpx2.Response) -> dict[str, Any]:
    """The error of an answer, which must have the contract's shape."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code", "metadata"}
    assert isinstance(error["code"], str)
    assert error["message"]
    return error
