"""OpenAI's embeddings as an upstream: translated, and relayed."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.embeddings import EmbeddingsRequest
from arouter.domain.errors import UpstreamFailed
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage
from arouter.providers.openai_embeddings import (
    EmbeddingsRelay,
    prepare_embeddings,
    read_embeddings_answer,
    relay_embeddings_request,
)
from arouter.providers.vendors import BY_NAME
from arouter.wire.openai_embeddings import embeddings_body, pack, read_embeddings
from tests.recordings import Recording, need_recordings, recordings

Body = dict[str, Any]

ALL = recordings("openai.embeddings")
OPENAI, MISTRAL = BY_NAME["openai"], BY_NAME["mistral"]


def name(recording: Recording) -> str:
    return recording.id


def fields(body: Body) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])


def vectors(recording: Recording) -> list[tuple[float, ...]]:
    """The recorded vectors, by plain lookups."""
    found = [one["embedding"] for one in recording.body["data"]]
    return [tuple(one) if isinstance(one, list) else unpacked(one) for one in found]


def unpacked(text: str) -> tuple[float, ...]:
    answer = json.dumps({"data": [{"index": 0, "embedding": text}]}).encode()
    return read_embeddings_answer(answer, vendor=OPENAI, inputs=1).vectors[0]


# ---------------------------------------------------------------- recorded


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_recorded_answer_is_read(recording: Recording) -> None:
    wanted = vectors(recording)
    answer = read_embeddings_answer(recording.response_text.encode(), vendor=OPENAI, inputs=len(wanted))
    assert list(answer.vectors) == wanted
    assert answer.model == recording.body["model"]
    assert answer.usage == Usage(input_tokens=recording.body["usage"]["prompt_tokens"])
    assert json.loads(answer.raw_usage or b"") == recording.body["usage"]


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_recorded_request_written_back_means_the_same(recording: Recording) -> None:
    request = read_embeddings(fields(recording.request), model=recording.request["model"], identity=None)
    written = json.loads(prepare_embeddings(request, vendor=OPENAI).body)
    value = recording.request["input"]
    assert written == {
        **recording.request,
        "input": [value] if isinstance(value, str) else value,
        "encoding_format": "float",
    }


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_recorded_answer_passes_with_the_cost_in_its_usage(recording: Recording) -> None:
    relay = EmbeddingsRelay(OPENAI)
    relay.read_answer(recording.response_text.encode())
    told = relay.told
    assert told.complete
    assert told.usage == Usage(input_tokens=recording.body["usage"]["prompt_tokens"])
    assert told.upstream_model == recording.body["model"]
    passed = relay.answer(Charge(cost=Picodollars(140_000), prompt_cost=Picodollars(140_000)))
    assert b'"cost":0.00000014' in passed
    body = json.loads(passed)
    assert {**body["usage"], "cost": None, "cost_details": None} == {
        **recording.body["usage"],
        "cost": None,
        "cost_details": None,
    }
    assert body["data"] == recording.body["data"]
    data = msgspec.json.decode(recording.response_text, type=dict[str, msgspec.Raw])["data"]
    assert bytes(data) in passed


def test_the_recordings_are_there() -> None:
    need_recordings()
    assert ALL


# ---------------------------------------------------------------- requests


def test_a_request() -> None:
    request = EmbeddingsRequest(
        model="text-embedding-3-small",
        inputs=("a", (1, 2)),
        dimensions=8,
        task_type="CLUSTERING",
        title="t",
        identity="pseudonym",
        rest={"autoTruncate": True},
    )
    told = prepare_embeddings(request, vendor=OPENAI)
    assert told.path == "/embeddings"
    assert told.dropped == ("task_type", "title", "autoTruncate")
    assert json.loads(told.body) == {
        "model": "text-embedding-3-small",
        "input": ["a", [1, 2]],
        "encoding_format": "float",
        "dimensions": 8,
        "user": "pseudonym",
    }


def test_a_vendor_without_a_field_for_the_end_user_gets_none() -> None:
    request = EmbeddingsRequest(model="mistral-embed", inputs=("a",), identity="pseudonym")
    assert "user" not in json.loads(prepare_embeddings(request, vendor=MISTRAL).body)
    sent = relay_embeddings_request(fields({"input": "a"}), vendor=MISTRAL, model="m", identity="pseudonym")
    assert json.loads(sent.body) == {"input": "a", "model": "m"}


def test_a_relayed_request_keeps_what_is_not_ours() -> None:
    body = b'{"input" : [1, 2] , "user":"raw","safety_identifier":"raw","provider":{},"models":[],"x":1.50}'
    sent = relay_embeddings_request(
        msgspec.json.decode(body, type=dict[str, msgspec.Raw]), vendor=OPENAI, model="m", identity="pseudonym"
    )
    assert sent.body == b'{"input":[1, 2],"x":1.50,"model":"m","user":"pseudonym"}'
    gateway = relay_embeddings_request(fields({"provider": {}}), vendor=BY_NAME["openrouter"], model="m", identity=None)
    assert json.loads(gateway.body) == {"provider": {}, "model": "m"}


# ---------------------------------------------------------------- answers


def answer(**told: Any) -> bytes:
    return json.dumps(told).encode()


def test_vectors_are_in_the_order_of_the_inputs() -> None:
    data = [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": pack((1.0,))}]
    assert read_embeddings_answer(answer(data=data), vendor=OPENAI, inputs=2).vectors == ((1.0,), (2.0,))


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1).map(tuple), min_size=1))
def test_what_is_written_is_read_back(told: list[tuple[float, ...]]) -> None:
    data = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(told)]
    read = read_embeddings_answer(answer(data=data), vendor=OPENAI, inputs=len(told))
    written = embeddings_body(read, model="m", as_base64=False, charge=Charge())
    assert read_embeddings_answer(written, vendor=OPENAI, inputs=len(told)).vectors == tuple(told)


GARBAGE = [
    b"",
    b"[]",
    b"{}",
    b'{"data": null}',
    b'{"data": [{"index": 0}]}',
    b'{"data": [{"index": 1, "embedding": [1]}]}',
    b'{"data": [{"index": 0, "embedding": "no base64"}]}',
    b'{"data": [{"index": 0, "embedding": [1]}], "usage": 7}',
    b'{"error": {"message": "no"}}',
    b"\xff",
    b"[" * 5000,
]


@pytest.mark.parametrize("body", GARBAGE)
def test_garbage_is_the_provider_s_fault(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_embeddings_answer(body, vendor=OPENAI, inputs=1)


@pytest.mark.parametrize("body", [one for one in GARBAGE if b'"index"' not in one or b"usage" in one])
def test_garbage_does_not_pass(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        EmbeddingsRelay(OPENAI).read_answer(body)


def test_an_answer_without_usage_gets_what_was_charged() -> None:
    relay = EmbeddingsRelay(MISTRAL)
    relay.read_answer(answer(data=[{"index": 0, "embedding": [1]}]))
    assert relay.told.usage is None
    assert json.loads(relay.answer(Charge(usage=Usage(input_tokens=2))))["usage"]["prompt_tokens"] == 2
