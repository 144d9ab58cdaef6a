"""Counting tokens: a provider of the client's dialect is asked, for every other one there is an estimate."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from arouter.engine.dialects.token_counts import GeminiTokenCount, MessagesTokenCount
from tests.engine.pipeline import Pipeline, playing
from tests.engine.samples import call, routing
from tests.engine.scripted_client import Says
from tests.engine.scripted_reply import ScriptedReply

MESSAGES: dict[str, Any] = {"max_tokens": 5, "messages": [{"role": "user", "content": "x" * 400}]}
CONTENTS: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "x" * 400}]}]}
Counting = MessagesTokenCount | GeminiTokenCount


async def ask(ingress: Counting, model: str, fields: dict[str, Any], *answers: bytes) -> tuple[Pipeline, ScriptedReply]:
    pipeline = Pipeline(*(Says(steps=(answer,)) for answer in answers), routes=routing("openai", "anthropic", "google"))
    reply = ScriptedReply()
    encoded = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in {"model": model, **fields}.items()}
    asked = replace(call(model, user="user_12345"), ingress=ingress, here=ingress.here, fields=encoded)
    await pipeline.completions.run(asked, reply)
    return pipeline, reply


@pytest.mark.parametrize(
    ("ingress", "model", "fields", "answer", "path"),
    [
        (MessagesTokenCount(), "anthropic/c", MESSAGES, b'{"input_tokens": 103}', b"/v1/messages/count_tokens "),
        (GeminiTokenCount(), "google/g", CONTENTS, b'{"totalTokens":103}', b"/v1beta/models/g:countTokens "),
    ],
)
@playing
async def test_a_provider_of_the_dialect_counts(
    ingress: Counting, model: str, fields: dict[str, Any], answer: bytes, path: bytes
) -> None:
    pipeline, reply = await ask(ingress, model, fields, answer)
    assert (reply.ends, reply.last) == (["whole"], answer)
    assert path in pipeline.client.asked[0].head
    assert b"user_12345" not in pipeline.client.asked[0].body
    record = await pipeline.only_record()
    assert (record.status, record.attempts, record.usage_source, record.cost) == ("success", 1, "none", None)


@pytest.mark.parametrize(
    ("ingress", "model", "fields", "name"),
    [
        (MessagesTokenCount(), "openai/gpt-5.4", MESSAGES, "input_tokens"),
        (MessagesTokenCount(), "google/g", MESSAGES, "input_tokens"),
        (GeminiTokenCount(), "openai/gpt-5.4", CONTENTS, "totalTokens"),
        (GeminiTokenCount(), "anthropic/c", {"generateContentRequest": CONTENTS}, "totalTokens"),
    ],
)
@playing
async def test_for_every_other_one_there_is_an_estimate_and_nobody_is_asked(
    ingress: Counting, model: str, fields: dict[str, Any], name: str
) -> None:
    pipeline, reply = await ask(ingress, model, fields)
    assert (reply.ends, msgspec.json.decode(reply.last)) == (["whole"], {name: 100})
    assert pipeline.client.asked == []
    record = await pipeline.only_record()
    assert (record.status, record.http_status, record.attempts) == ("success", 200, 0)
    assert (record.model, record.usage_source, record.cost) == (model, "none", None)


@playing
async def test_what_cannot_be_counted_is_refused() -> None:
    pipeline, reply = await ask(MessagesTokenCount(), "openai/gpt-5.4", {"messages": 7})
    assert reply.error is not None
    assert reply.error.param == "messages"
    assert (await pipeline.only_record()).status == "rejected"
