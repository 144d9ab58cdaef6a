"""Recorded exchanges through the providers' own paths: bytes in, bytes out, and a record that says what they cost.

A replay server is the provider. Embeddings also go through `/v1/embeddings`, where usage and cost must be the same.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from arouter.domain.money import Picodollars, from_decimal, to_text
from tests.acceptance import counts as count
from tests.acceptance.client import Client, fields
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.library_costs import body_of, library_cost
from tests.acceptance.recorded import counts
from tests.acceptance.replay import Replay
from tests.acceptance.stored import Stored
from tests.recordings import Recording, need_recordings, recordings

APIS = {
    "openai.chat": "openai",
    "openai.responses": "openai",
    "openai.embeddings": "openai",
    "anthropic.messages": "anthropic",
    "google.generate": "google",
}
HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "google": "generativelanguage.googleapis.com",
}
PIECES = (1, 7, 37)


@dataclass(frozen=True, kw_only=True)
class Case:
    recording: Recording
    piece_bytes: int

    @property
    def provider(self) -> str:
        return APIS[self.recording.api]

    @property
    def user(self) -> str:
        return f"{self.recording.id} {self.piece_bytes}"

    def __str__(self) -> str:
        return f"{self.recording.id}-{self.piece_bytes}" if self.recording.stream else self.recording.id


CASES = [
    Case(recording=one, piece_bytes=size)
    for api in APIS
    for one in recordings(api)
    if one.host == HOSTS[APIS[api]]
    for size in (PIECES if one.stream else PIECES[:1])
]


@pytest.fixture(scope="module", autouse=True)
def _there() -> None:
    need_recordings()


@pytest.fixture(scope="module")
def gateway(replay: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    providers = {
        name: {"api_key": f"key-of-{name}", "base_url": replay.url + ("/v1" if name == "openai" else "")}
        for name in HOSTS
    }
    with running_gateway(tmp_path_factory.mktemp("gateway"), providers, pass_through="all") as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recorded_exchange(case: Case, client: Client, replay: Replay, stored: Stored) -> None:
    recording = case.recording
    replay.next(recording, case.piece_bytes)
    sent = json.dumps(recording.request)
    answer = client.post(
        f"/{case.provider}{recording.path}",
        sent,
        {"X-ARouter-User": case.user, "anthropic-version": "2023-06-01", "Cookie": "private"},
    )

    assert answer.status == recording.status
    assert answer.body == recording.response_text.encode()
    assert answer.headers["content-type"] == recording.content_type
    received = replay.received
    assert received is not None
    assert (received.target, received.body) == (recording.path, sent.encode())
    headers = dict(received.headers)
    assert b"key-of-" in b" ".join(headers.values())
    assert not {b"cookie", b"x-arouter-user"} & headers.keys()
    assert headers[b"anthropic-version"] == b"2023-06-01"
    [raw] = client.raw_records([("user", case.user)])
    record = {name: json.loads(value) for name, value in raw.items()}
    check_the_record(case, record)
    if recording.status == 200:
        check_usage_and_cost(case, raw, record, stored)


def check_the_record(case: Case, record: dict[str, Any]) -> None:
    recording = case.recording
    model = record["model"]
    assert (record["provider"], record["http_status"]) == (case.provider, recording.status)
    assert model == f"{case.provider}/{model_of(recording)}"
    assert record["status"] in ("success", "upstream_error")
    assert record["endpoint"].startswith(f"/{case.provider}/v1")
    if recording.status != 200:
        assert (record["status"], record["error_code"]) == ("upstream_error", "upstream_error")
        assert (record["cost"], record["usage_source"]) == (None, "none")


def model_of(recording: Recording) -> str:
    if recording.api == "google.generate":
        return recording.path.rpartition("/")[2].partition(":")[0]
    return str(recording.request["model"])


def check_usage_and_cost(case: Case, raw: dict[str, bytes], record: dict[str, Any], stored: Stored) -> None:
    recording = case.recording
    body = body_of(recording)
    usage = body.get("usageMetadata") or body.get("usage")
    if usage is None:
        assert record["usage_source"] in ("estimated", "none")
        return
    assert record["usage_source"] == "provider"
    assert count.recorded(record) == expected_counts(recording, usage)
    bill = stored.record(record["id"])
    at = datetime.fromtimestamp(bill.opening.created_at_us // 1_000_000, UTC)
    expected = expected_cost(recording, body, at)
    assert bill.cost == expected
    assert raw["cost"] == (b"null" if expected is None else to_text(expected).encode())


def expected_counts(recording: Recording, usage: dict[str, Any]) -> count.Counts:
    if recording.api == "openai.embeddings":
        return replace(count.NOTHING, prompt_tokens=usage["prompt_tokens"], total_tokens=usage["total_tokens"])
    return counts(recording, usage)


def expected_cost(recording: Recording, body: dict[str, Any], at: datetime) -> Picodollars | None:
    """By the library, to the last digit; None where it knows no price."""
    if recording.api != "openai.embeddings":
        return library_cost(recording, body, at)
    url = f"https://{recording.host}{recording.path}"
    extracted = get_snapshot().extract_usage(body, provider_api_url=url, api_flavor="embeddings")
    return from_decimal(extracted.calc_price(genai_request_timestamp=at).total_price)


# ---------------------------------------------------------------- through the gateway's own path


@pytest.mark.parametrize("recording", recordings("openai.embeddings"), ids=lambda one: one.id)
def test_recorded_embeddings(recording: Recording, client: Client, replay: Replay, stored: Stored) -> None:
    replay.next(recording, 1)
    asked = {**recording.request, "model": f"openai/{recording.request['model']}", "user": "embeddings"}
    answer = client.post("/v1/embeddings", asked)
    came, went = fields(recording.response_text), fields(answer.body)
    assert {**went, "usage": b""} == {**came, "usage": b""}
    usage = fields(went["usage"])
    assert {**fields(came["usage"]), "cost": usage["cost"], "cost_details": usage["cost_details"]} == usage
    [raw] = client.raw_records([("user", "embeddings")])
    assert raw["cost"] == usage["cost"] != b"null"
    [passed] = client.raw_records([("user", f"{recording.id} 1")])
    same = ("prompt_tokens", "total_tokens", "cost", "model", "provider", "usage_source")
    assert {name: raw[name] for name in same} == {name: passed[name] for name in same}
    assert replay.received is not None
    assert json.loads(replay.received.body) == {**recording.request, "user": stored.pseudonym("embeddings")}


def test_every_recording_of_a_provider_with_a_path_is_a_case() -> None:
    assert len({case.recording.id for case in CASES}) == sum(
        one.host == HOSTS[provider] for api, provider in APIS.items() for one in recordings(api)
    )
