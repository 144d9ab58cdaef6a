"""Gemini's embeddings as an upstream: translated, and relayed."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.embeddings import EmbeddingsRequest
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.gemini.embeddings import (
    EmbedRelay,
    prepare_embeddings,
    read_embeddings_answer,
    relay_embed_request,
)
from arouter.providers.openai_embeddings import read_embeddings_answer as read_openai
from arouter.providers.vendors import BY_NAME
from arouter.wire.gemini_embeddings import embed_body, read_embed
from arouter.wire.openai_embeddings import embeddings_body, read_embeddings
from tests.recordings import Recording, need_recordings, recordings

Body = dict[str, Any]

ALL = recordings("google.embeddings")
ERROR = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}


def name(recording: Recording) -> str:
    return recording.id


def fields(body: Body) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])


# ---------------------------------------------------------------- recorded


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_recorded_answer_is_read(recording: Recording) -> None:
    wanted = tuple(tuple(one["values"]) for one in recording.body["embeddings"])
    answer = read_embeddings_answer(recording.response_text.encode(), inputs=len(wanted))
    assert answer.vectors == wanted
    metadata = recording.body["usageMetadata"]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == metadata["promptTokenCount"]
    assert json.loads(answer.raw_usage or b"") == metadata


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_recorded_request_written_back_means_the_same(recording: Recording) -> None:
    model = recording.path.partition("/models/")[2].partition(":")[0]
    request = read_embed(fields(recording.request), model=model, identity=None, is_batch=True)
    written = prepare_embeddings(request)
    assert json.loads(written.body)["requests"] == [
        {"model": one["model"], "content": {"parts": one["content"]["parts"]}} for one in recording.request["requests"]
    ]
    assert written.path == recording.path


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_recorded_answer_passes(recording: Recording) -> None:
    body = recording.response_text.encode()
    relay = EmbedRelay()
    relay.read_answer(body)
    assert relay.answer(Charge()) == body
    assert relay.told.complete
    assert relay.told.usage is not None
    assert relay.told.usage.prompt_tokens == recording.body["usageMetadata"]["promptTokenCount"]


@pytest.mark.parametrize("recording", ALL, ids=name)
def test_a_client_of_openai_s_gets_the_same_vectors(recording: Recording) -> None:
    wanted = tuple(tuple(one["values"]) for one in recording.body["embeddings"])
    answer = read_embeddings_answer(recording.response_text.encode(), inputs=len(wanted))
    body = embeddings_body(answer, model="m", as_base64=False, charge=Charge())
    assert read_openai(body, vendor=BY_NAME["openai"], inputs=len(wanted)).vectors == wanted


def test_the_recordings_are_there() -> None:
    need_recordings()
    assert ALL


# ---------------------------------------------------------------- requests


def test_a_request_of_a_client_of_openai_s() -> None:
    body = {"input": ["a", "b"], "dimensions": 8, "task_type": "CLUSTERING", "title": "t", "input_type": "x"}
    told = prepare_embeddings(read_embeddings(fields(body), model="gemini-embedding-001", identity="p"))
    assert told.path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert told.dropped == ("input_type",)
    shared = {
        "model": "models/gemini-embedding-001",
        "taskType": "CLUSTERING",
        "title": "t",
        "outputDimensionality": 8,
    }
    assert json.loads(told.body) == {
        "requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in ("a", "b")]
    }


def test_tokens_cannot_be_said() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        prepare_embeddings(EmbeddingsRequest(model="m", inputs=("a", (1, 2))))
    assert refusal.value.param == "input"


def test_a_relayed_request_keeps_what_is_not_ours() -> None:
    one = b'{"content":{"parts":[{"text":"\\u00e9"}]}, "model":"models/google/x","taskType":"A"}'
    body = b'{"requests": [' + one + b'], "user": "me", "labels": {"user": "me"}}'
    told = relay_embed_request(msgspec.json.decode(body, type=dict[str, msgspec.Raw]), model="x/y", is_batch=True)
    assert told.path == "/v1beta/models/x%2Fy:batchEmbedContents"
    assert told.body == (
        b'{"requests":[{"content":{"parts":[{"text":"\\u00e9"}]},"model":"models/x%2Fy","taskType":"A"}]}'
    )


def test_one_content_is_relayed_without_its_model() -> None:
    body = {"model": "models/z", "content": {"parts": [{"text": "a"}]}, "labels": {"team": "a"}}
    told = relay_embed_request(fields(body), model="x", is_batch=False)
    assert told.path == "/v1beta/models/x:embedContent"
    assert json.loads(told.body) == {"content": {"parts": [{"text": "a"}]}, "labels": {"team": "a"}}


def test_requests_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        relay_embed_request(fields({"requests": [1]}), model="x", is_batch=True)
    assert refusal.value.param == "requests"


# ---------------------------------------------------------------- answers


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1).map(tuple), min_size=1))
def test_what_is_written_is_read_back(told: list[tuple[float, ...]]) -> None:
    body = json.dumps({"embeddings": [{"values": one} for one in told]}).encode()
    read = read_embeddings_answer(body, inputs=len(told))
    written = embed_body(read, is_batch=True, charge=Charge())
    assert read_embeddings_answer(written, inputs=len(told)).vectors == tuple(told)


def test_modalities_have_another_name_here() -> None:
    metadata = {
        "promptTokenCount": 10,
        "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "IMAGE", "tokenCount": 6}],
    }
    body = json.dumps({"embedding": {"values": [1]}, "usageMetadata": metadata}).encode()
    answer = read_embeddings_answer(body, inputs=1)
    assert (answer.vectors, answer.usage) == (((1.0,),), Usage(input_tokens=4, input_image_tokens=6))


def test_no_usage_is_not_zero() -> None:
    body = b'{"embeddings":[{"values":[1]}]}'
    assert read_embeddings_answer(body, inputs=1).usage is None
    relay = EmbedRelay()
    relay.read_answer(body)
    assert (relay.told.usage, relay.told.raw_usage) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"embeddings": 7}',
        b'{"embeddings": [{"values": ["a"]}]}',
        b'{"embeddings": [{}]}',
        b'{"embeddings": []}',
        b'{"embeddings": [{"values": [1]}], "usageMetadata": 7}',
        json.dumps(ERROR).encode(),
        b"\xff",
        b"[" * 5000,
    ],
)
def test_garbage_is_the_provider_s_fault(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        read_embeddings_answer(body, inputs=1)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"embedding": {}, "usageMetadata": 7}', json.dumps(ERROR).encode()])
def test_garbage_does_not_pass(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        EmbedRelay().read_answer(body)
