"""Rows of the ledger with everything that is hard to write down."""

from typing import Any

from hypothesis import strategies as st

from arouter.domain.activity import ActivityRow
from arouter.domain.attempt import Attempt
from arouter.domain.money import LARGEST
from arouter.domain.record import Opening, Record, Status, UsageSource
from arouter.domain.usage import Usage

LATEST_US = 250_000_000_000_000_000

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    alphabet="'=+-@\t\r\n\",a\\\x00\x7fé\u2028🚀", max_size=6
)
OPTIONAL = st.none() | TEXTS
COUNTS = st.none() | st.sampled_from([0, 1, 10**12]) | st.integers(0, 5_000)
COSTS = st.none() | st.integers(-LARGEST, LARGEST) | st.integers(-10, 10**13) | st.sampled_from([0, 1, LARGEST])
DURATIONS = st.integers(0, 10**12) | st.integers(0, 2_000)
TIMES = st.integers(0, LATEST_US)
SOURCES = st.sampled_from(UsageSource)

USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    input_audio_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    output_tokens=COUNTS,
    output_image_tokens=COUNTS,
    reasoning_tokens=COUNTS,
)
ATTEMPTS = st.builds(
    Attempt,
    provider=TEXTS,
    model=TEXTS,
    http_status=st.none() | st.integers(100, 599),
    error_code=OPTIONAL,
    latency_us=DURATIONS,
    usage=st.none() | USAGES,
    usage_source=SOURCES,
    cost=COSTS,
    deployment=OPTIONAL,
    is_byok=st.booleans(),
)
OPENINGS = st.builds(
    Opening,
    id=TEXTS,
    request_id=TEXTS,
    created_at_us=TIMES,
    organization_id=TEXTS,
    workspace_id=TEXTS,
    key_hash=TEXTS,
    user=OPTIONAL,
    endpoint=TEXTS,
    requested_model=OPTIONAL,
    streamed=st.booleans(),
    session_id=OPTIONAL,
    tags=st.lists(TEXTS, max_size=3).map(tuple),
    app_url=OPTIONAL,
    app_title=OPTIONAL,
)
RECORDS = st.builds(
    Record,
    opening=OPENINGS,
    completed_at_us=TIMES,
    status=st.sampled_from(Status),
    http_status=st.none() | st.integers(100, 599),
    model=OPTIONAL,
    provider=OPTIONAL,
    upstream_id=OPTIONAL,
    finish_reason=OPTIONAL,
    error_code=OPTIONAL,
    usage=USAGES,
    usage_source=SOURCES,
    cost=COSTS,
    price_source=OPTIONAL,
    price_version=OPTIONAL,
    is_byok=st.booleans(),
    latency_us=st.none() | DURATIONS,
    time_to_first_token_us=st.none() | DURATIONS,
    attempts=st.integers(0, 3),
    tried=st.just(()) | st.lists(ATTEMPTS, max_size=2).map(tuple),
)
ROWS = st.lists(
    st.builds(
        ActivityRow,
        record=RECORDS,
        written_at_us=TIMES,
        original_cost=st.none(),
        key_name=TEXTS,
        creator=OPTIONAL,
    ),
    max_size=8,
)


def row(number: int = 0, **changes: Any) -> ActivityRow:
    """A plain one. `changes` are fields of the opening, the record or the row."""
    opening = {name: changes.pop(name) for name in list(changes) if name in Opening.__dataclass_fields__}
    outside: dict[str, Any] = {
        name: changes.pop(name) for name in ("key_name", "creator", "written_at_us") if name in changes
    }
    created_at_us = opening.pop("created_at_us", 1_795_327_200_123_456 + number)
    record = Record(
        opening=Opening(
            **{
                "id": f"gen-{number:032x}",
                "request_id": f"req-{number}",
                "created_at_us": created_at_us,
                "organization_id": "org_home",
                "workspace_id": "ws_home",
                "key_hash": "a" * 64,
                "user": f"user_{number % 5_000}",
                "endpoint": "/v1/chat/completions",
                "requested_model": "openai/gpt-5.4",
                "streamed": number % 2 == 0,
                **opening,
            }
        ),
        **{
            "completed_at_us": created_at_us + 812_400,
            "status": Status.SUCCESS,
            "http_status": 200,
            "model": f"openai/gpt-{number % 12}",
            "provider": "openai",
            "upstream_id": f"chatcmpl-{number}",
            "finish_reason": "stop",
            "usage": Usage(input_tokens=number % 9_000, cache_read_tokens=60, output_tokens=number % 2_000),
            "usage_source": UsageSource.PROVIDER,
            "cost": 1_234_500_000 + number * 7_500,
            "price_source": "genai-prices",
            "price_version": "2026-11-01",
            "latency_us": 812_400 + number % 90_000,
            "time_to_first_token_us": 233_100 + number % 30_000,
            "attempts": 1,
            **changes,
        },
    )
    fields: dict[str, Any] = {
        "key_name": "prod",
        "creator": "mem_1",
        "written_at_us": record.completed_at_us,
        **outside,
    }
    return ActivityRow(record=record, original_cost=record.cost, **fields)
