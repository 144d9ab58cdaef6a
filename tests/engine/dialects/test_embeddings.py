"""Embeddings through the pipeline: a client of either dialect reaches a provider of either, and each has its record."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from arouter.engine.call import Ingress
from arouter.engine.dialects.embeddings import GeminiEmbeddings, OpenAIEmbeddings
from tests.engine.pipeline import Pipeline, playing
from tests.engine.samples import Cards, call, card
from tests.engine.scripted_client import Says
from tests.engine.scripted_reply import ScriptedReply

CARDS = {"openai/text-embedding-3-small": card(), "google/gemini-embedding-001": card()}
OPENAI = msgspec.json.encode(
    {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 100, "total_tokens": 100},
    }
)
GEMINI = b'{"embeddings":[{"values":[0.5,-1.0]}],"usageMetadata":{"promptTokenCount":100,"totalTokenCount":100}}'
OPENAI_FIELDS: dict[str, Any] = {"input": ["Hello"]}
GEMINI_FIELDS: dict[str, Any] = {"content": {"parts": [{"text": "Hello"}]}}
BATCH_FIELDS: dict[str, Any] = {"requests": [{"model": "models/m", **GEMINI_FIELDS}]}


async def ask(ingress: Ingress, model: str, fields: dict[str, Any], answer: bytes) -> tuple[Pipeline, ScriptedReply]:
    pipeline = Pipeline(Says(steps=(answer,)), cards=Cards(CARDS))
    reply = ScriptedReply()
    asked = call(model, user="user_12345", asked_bytes=10)
    encoded = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    await pipeline.completions.run(replace(asked, ingress=ingress, fields=encoded), reply)
    return pipeline, reply


@pytest.mark.parametrize(
    ("ingress", "model", "fields", "answer"),
    [
        (OpenAIEmbeddings(), "openai/text-embedding-3-small", OPENAI_FIELDS, OPENAI),
        (OpenAIEmbeddings(), "google/gemini-embedding-001", OPENAI_FIELDS, GEMINI),
        (GeminiEmbeddings(is_batch=False), "openai/text-embedding-3-small", GEMINI_FIELDS, OPENAI),
        (GeminiEmbeddings(is_batch=True), "openai/text-embedding-3-small", BATCH_FIELDS, OPENAI),
        (GeminiEmbeddings(is_batch=True), "google/gemini-embedding-001", BATCH_FIELDS, GEMINI),
    ],
)
@playing
async def test_whoever_asks_whomever_hears_the_vector_and_is_charged(
    ingress: Ingress, model: str, fields: dict[str, Any], answer: bytes
) -> None:
    pipeline, reply = await ask(ingress, model, fields, answer)
    assert reply.ends == ["whole"]
    told = msgspec.json.decode(reply.last)
    vectors = [one["embedding"] for one in told["data"]] if "data" in told else None
    if vectors is None:
        vectors = [one["values"] for one in (told["embeddings"] if "embeddings" in told else [told["embedding"]])]
    assert vectors == [[0.5, -1.0]]
    record = await pipeline.only_record()
    assert (record.status, record.usage_source, record.finish_reason) == ("success", "provider", None)
    assert (record.usage.prompt_tokens, record.usage.output_tokens) == (100, None)
    assert record.cost == 200 * 10**6
    assert b"user_12345" not in pipeline.client.asked[0].body


@playing
async def test_a_relayed_answer_of_geminis_keeps_every_byte() -> None:
    _, reply = await ask(GeminiEmbeddings(is_batch=True), "google/gemini-embedding-001", BATCH_FIELDS, GEMINI)
    assert reply.last == GEMINI


@pytest.mark.parametrize("ingress", [OpenAIEmbeddings(), GeminiEmbeddings(is_batch=False)])
@playing
async def test_a_provider_without_embeddings_is_not_asked(ingress: Ingress) -> None:
    fields = OPENAI_FIELDS if isinstance(ingress, OpenAIEmbeddings) else GEMINI_FIELDS
    pipeline, reply = await ask(ingress, "anthropic/claude-sonnet-4-5", fields, b"")
    assert reply.error is not None
    assert (reply.error.code, reply.error.param) == ("endpoint_not_supported", "model")
    assert pipeline.client.asked == []
    assert (await pipeline.only_record()).status == "rejected"
