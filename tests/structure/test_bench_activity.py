"""`make bench-activity` works: it runs small, and what it measures with is what the ledger would be given."""

from typing import Any

import pytest
from bench.activity.tables import Tables

from arouter.domain.record import Record
from arouter.sandbox.history.columns import History
from arouter.sandbox.history.population import Plan
from arouter.sandbox.history.records import records_of
from arouter.store.attempts import write_attempts
from tests.sandbox.test_history import OWNER, START_US, listed


@pytest.fixture(scope="module")
def history() -> History:
    return History(Plan(seed=3, start_us=START_US, days=10, users=200, records=20_000), listed)


def _fields(record: Record) -> dict[str, Any]:
    """A record as a row of the table has it."""
    opening, usage = record.opening, record.usage
    of_opening = (
        *("id", "request_id", "created_at_us", "session_id", "streamed", "user", "organization_id", "workspace_id"),
        *("key_hash", "endpoint", "requested_model", "app_url", "app_title"),
    )
    of_usage = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    of_record = (
        *("completed_at_us", "upstream_id", "http_status", "is_byok", "attempts", "latency_us", "raw_usage", "cost"),
        *("time_to_first_token_us", "model", "provider", "upstream_model", "finish_reason", "error_code"),
        *("price_source", "price_version", "rated_cost"),
    )
    return {
        **{name: getattr(opening, name) for name in of_opening},
        **{name: getattr(usage, name) for name in of_usage},
        **{name: getattr(record, name) for name in of_record},
        "tags": list(opening.tags) or None,
        "tried": write_attempts(record.tried) if record.tried else None,
        "status": record.status.value,
        "usage_source": record.usage_source.value,
    }


def test_the_table_of_a_day_says_what_its_records_say(history: History) -> None:
    tables = Tables(history, OWNER)
    for number in (0, 8):
        day = history.day(number)
        assert tables.of(day).to_pylist() == [_fields(record) for record in records_of(history, day, OWNER)]
