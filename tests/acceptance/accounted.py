"""What the activity and the bill say of a recorded answer, whatever dialect its client speaks."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from arouter.domain.money import Picodollars, from_text, to_text
from arouter.domain.record import Record
from tests.acceptance import counts as count
from tests.acceptance import recorded, spoken
from tests.acceptance.case import PRICE, Case
from tests.acceptance.client import Client, fields
from tests.acceptance.counts import Counts
from tests.acceptance.library_costs import body_of, is_comparable, library_cost
from tests.acceptance.stored import Stored

PICODOLLARS_PER_TOKEN = {name: int(from_text(price)) // 1_000_000 for name, price in PRICE.items()}

COUNTED_TWICE = {"b6df3640c152"}
"""OpenRouter counts the same tokens as read from the cache and as written to it: we count them as read."""


def usage_of(case: Case) -> dict[str, Any] | None:
    """The provider's usage object; None where it told none."""
    body = body_of(case.recording)
    found: dict[str, Any] | None = body["usageMetadata"] if case.dialect == "generate" else body["usage"]
    return found


def counts_of(case: Case) -> Counts:
    """What the provider counted, as we count it."""
    usage = usage_of(case)
    if usage is None:
        return count.NOTHING
    counts = recorded.counts(case.recording, usage)
    return replace(counts, cache_write_tokens=None) if case.recording.id in COUNTED_TWICE else counts


def check(case: Case, client: Client, stored: Stored, record_id: str, told_cost: bytes | None) -> None:
    """`told_cost` is what the client was told in its answer; None where that is the provider's own, untouched."""
    [record] = client.raw_records([("user", case.user)])
    assert json.loads(record["id"]) == record_id
    check_the_record(case, {name: json.loads(value) for name, value in record.items()})
    if told_cost is not None:
        assert record["cost"] == told_cost
    check_the_cost(case, record["cost"], stored.record(record_id))


def check_the_record(case: Case, record: dict[str, Any]) -> None:
    recording = case.recording
    assert record["user"] == case.user
    assert (record["status"], record["http_status"]) == ("success", 200)
    assert (record["provider"], record["model"]) == (case.provider, case.name)
    assert record["endpoint"] == spoken.endpoint(case.client, stream=recording.stream)
    assert record["streamed"] is recording.stream
    assert record["finish_reason"] == finish_reason_of(case)
    assert (record["attempts"], record["error_code"]) == (1, None)
    counts = count.recorded(record)
    if is_unfinished(case):
        assert record["usage_source"] == "estimated"
        assert replace(counts, prompt_tokens=None, total_tokens=None) == replace(count.NOTHING, completion_tokens=0)
    else:
        assert record["usage_source"] == "provider"
        assert counts == counts_of(case)


def is_unfinished(case: Case) -> bool:
    """A response that is made in the background, and has only been put into a queue: nobody knows its usage yet."""
    return case.dialect == "responses" and not case.recording.stream and case.recording.body["status"] == "queued"


def finish_reason_of(case: Case) -> str | None:
    """In OpenAI's words. What has not begun has not ended, unless for a client who cannot come back for the rest.

    Snowflake's empty word, or none at all, is no reason; who is told in another dialect gets the one that it means.
    """
    said = recorded.said(case.recording)
    if case.relayed:
        return None if is_unfinished(case) else said.finish_reason or None
    return said.finish_reason or ("tool_calls" if said.calls else "stop")


def check_the_cost(case: Case, listed: bytes, stored: Record) -> None:
    """To the last digit; OpenRouter's own figure goes before the library's, and the operator's before all."""
    assert listed.decode() == ("null" if stored.cost is None else to_text(stored.cost))
    reported = reported_cost(case)
    assert stored.reported_cost == reported
    assert stored.cost == (stored.rated_cost if reported is None else reported)
    if is_unfinished(case):
        return
    if case.is_renamed:
        assert stored.rated_cost == operators_cost(counts_of(case))
    elif is_comparable(case.recording):
        at = datetime.fromtimestamp(stored.opening.created_at_us // 1_000_000, UTC)
        assert stored.rated_cost == library_cost(case.recording, body_of(case.recording), at)


def operators_cost(counts: Counts) -> Picodollars:
    """Every token at the price of its kind."""
    cached, written = counts.cached_tokens or 0, counts.cache_write_tokens or 0
    used = {
        "input": (counts.prompt_tokens or 0) - cached - written,
        "output": counts.completion_tokens or 0,
        "cache_read": cached,
        "cache_write": written,
    }
    return Picodollars(sum(PICODOLLARS_PER_TOKEN[kind] * tokens for kind, tokens in used.items()))


def reported_cost(case: Case) -> Picodollars | None:
    """By OpenRouter, from the digits that it wrote."""
    if case.provider != "openrouter":
        return None
    told = recorded.written(case.recording)
    if case.dialect == "responses" and case.recording.stream:
        told = [fields(told[-1])["response"].decode()]
    usages = [fields(text).get("usage", b"null") for text in told]
    costs = [fields(usage)["cost"] for usage in usages if b'"cost"' in usage]
    return from_text(costs[-1].decode()) if costs else None
