"""Records and keys to store: everything given, or what differs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from arouter.domain.activity import ActivityQuery, Filters, Scope
from arouter.domain.adjustment import Adjustment, AdjustmentKind
from arouter.domain.attempt import Attempt
from arouter.domain.keys import ActivityScope, Key, KeyKind, LimitReset, UserPolicy
from arouter.domain.limits import Budget, Limits
from arouter.domain.money import Picodollars
from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.usage import Usage
from tests.conformance.backends import Backend

NOON_US = 1_790_000_000_000_000
SCOPE = Scope(organization_id="org_a")


def opening(record_id: str, **changes: Any) -> Opening:
    plain = Opening(
        id=record_id,
        request_id=f"req-{record_id}",
        created_at_us=NOON_US,
        organization_id="org_a",
        workspace_id="ws_a",
        key_hash="key-a",
        user="alice",
        endpoint="/v1/chat/completions",
        requested_model="openai/gpt-5.4",
        streamed=False,
    )
    return replace(plain, **changes)


def record(
    record_id: str, *, of: Opening | None = None, opened: dict[str, Any] | None = None, **changes: Any
) -> Record:
    plain = Record(
        opening=of or opening(record_id, **(opened or {})),
        completed_at_us=NOON_US + 900_000,
        status=Status.SUCCESS,
        http_status=200,
        model="openai/gpt-5.4",
        provider="openai",
        usage=Usage(input_tokens=100, output_tokens=20),
        usage_source=UsageSource.PROVIDER,
        cost=Picodollars(1_234_500_000),
    )
    return replace(plain, **changes)


FULL = Record(
    opening=Opening(
        id="gen-full",
        request_id="a\x00b",
        created_at_us=NOON_US + 123_456,
        organization_id="org_a",
        workspace_id="ws_a",
        key_hash="key-a",
        user="ü",
        endpoint="/v1/messages",
        requested_model="fast",
        streamed=True,
        session_id="s 1",
        tags=("b", "a", "b", ""),
        app_url="https://example.com",
        app_title="Näme",
    ),
    completed_at_us=NOON_US + 1_000_000,
    status=Status.CLIENT_DISCONNECT,
    http_status=499,
    model="anthropic/claude",
    provider="anthropic",
    upstream_model="claude-1",
    upstream_id="msg_1",
    finish_reason="stop",
    error_code="gone",
    service_tier="flex",
    usage=Usage(
        input_tokens=1,
        input_audio_tokens=2,
        input_image_tokens=3,
        input_video_tokens=4,
        cache_read_tokens=5,
        cache_read_audio_tokens=6,
        cache_write_tokens=7,
        cache_write_1h_tokens=8,
        output_tokens=9,
        output_audio_tokens=10,
        output_image_tokens=11,
        reasoning_tokens=12,
        web_searches=13,
    ),
    raw_usage=b'{"x": "\xc3\xbc"}\x00\xff',
    usage_source=UsageSource.PARTIAL,
    cost=Picodollars(2**63 - 1),
    rated_cost=Picodollars(0),
    reported_cost=Picodollars(14),
    price_source="operator",
    price_version="v1",
    is_byok=True,
    latency_us=15,
    time_to_first_token_us=16,
    attempts=17,
    tried=(
        Attempt(provider="groq", model="llama", http_status=None, error_code="upstream_timeout", latency_us=0),
        Attempt(
            provider="openai",
            model="ü/\x00",
            http_status=200,
            error_code="upstream_error",
            latency_us=10**12,
            usage=Usage(input_tokens=0, web_searches=10**12),
            usage_source=UsageSource.PARTIAL,
            cost=Picodollars(0),
        ),
        Attempt(
            provider="openai",
            model="",
            http_status=500,
            error_code="",
            latency_us=2,
            usage=Usage(),
            usage_source=UsageSource.ESTIMATED,
            cost=Picodollars(2**63 - 1),
        ),
        Attempt(provider="anthropic", model="claude-1", http_status=200, error_code=None, latency_us=3),
    ),
)

BARE = Record(
    opening=replace(opening("gen-bare"), user=None, requested_model=None),
    completed_at_us=NOON_US,
    status=Status.REJECTED,
    http_status=None,
)

ZEROS = record(
    "gen-zero",
    usage=Usage(
        input_tokens=0,
        input_audio_tokens=0,
        input_image_tokens=0,
        input_video_tokens=0,
        cache_read_tokens=0,
        cache_read_audio_tokens=0,
        cache_write_tokens=0,
        cache_write_1h_tokens=0,
        output_tokens=0,
        output_audio_tokens=0,
        output_image_tokens=0,
        reasoning_tokens=0,
        web_searches=0,
    ),
    raw_usage=b"",
    cost=Picodollars(0),
    rated_cost=Picodollars(0),
    reported_cost=Picodollars(0),
    latency_us=0,
    time_to_first_token_us=0,
)


def adjustment(adjustment_id: str, record_id: str, cost: int | None, **changes: Any) -> Adjustment:
    plain = Adjustment(
        id=adjustment_id,
        record_id=record_id,
        created_at_us=NOON_US + 60_000_000,
        kind=AdjustmentKind.REPRICE,
        cost=None if cost is None else Picodollars(cost),
        price_source="operator",
        price_version="v2",
        reason="the price was wrong",
    )
    return replace(plain, **changes)


def key(name: str = "prod", /, **changes: Any) -> Key:
    plain = Key(
        hash=f"key-{name}",
        name=name,
        kind=KeyKind.LIVE,
        label="lr_live_12ab…ef90",
        organization_id="org_a",
        workspace_id="ws_a",
        creator=None,
        created_at_us=NOON_US,
    )
    return replace(plain, **changes)


FULL_KEY = key(
    "full",
    kind=KeyKind.TEST,
    creator="mem_1",
    updated_at_us=0,
    expires_at_us=0,
    disabled=True,
    limit=Picodollars(0),
    limit_reset=LimitReset.WEEKLY,
    allowed_providers=(),
    allowed_models=("a/b", "ü"),
    user_policy=UserPolicy.FIXED,
    fixed_user="",
    activity_scope=ActivityScope.WORKSPACE,
    rate_limit=Limits(requests_per_minute=1, requests_per_day=2, tokens_per_minute=3),
    default_user_limits=Limits(
        budget=Budget(limit=Picodollars(2**63 - 1), reset=LimitReset.MONTHLY), concurrent_requests=0
    ),
)


def append(backend: Backend, *records: Record) -> None:
    async def close() -> None:
        for done in [backend.ledger.close(each) for each in records]:
            await done

    backend.run(close())


def adjust(backend: Backend, *adjustments: Adjustment, seen: dict[str, str | None] | None = None) -> int:
    async def run() -> int:
        return await backend.ledger.adjust(adjustments, seen=seen)

    return backend.run(run())


def ids(
    backend: Backend, *, scope: Scope = SCOPE, limit: int = 1000, descending: bool = True, **filters: Any
) -> Sequence[str]:
    query = ActivityQuery(scope=scope, filters=Filters(**filters), limit=limit, descending=descending)
    return [row.record.opening.id for row in backend.run(backend.ledger.page(query)).rows]
