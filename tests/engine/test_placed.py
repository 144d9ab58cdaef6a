"""Hosted models through the pipeline: asked where they are, and answered as at the vendors of their dialects."""

import msgspec
import pytest

from arouter.domain.errors import UpstreamFailed
from arouter.domain.usage import Usage
from arouter.engine.credentials import AwsSignature, Headers, Unsigned
from arouter.engine.routing import Routing
from arouter.engine.upstream import Client
from arouter.providers.azure import Azure
from arouter.providers.bedrock import Bedrock
from arouter.providers.bedrock.signature import AwsKey
from arouter.providers.vertex import Vertex
from tests.aws_event_stream import chunk, event, exception
from tests.engine.pipeline import Pipeline, ask, completion, events, message, playing
from tests.engine.samples import Cards, card, deployment
from tests.engine.scripted_client import Says

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
KEY = AwsKey(access_key_id="AKID", secret_access_key="secret", region="eu-west-1", service="bedrock")


class Token:
    """Credentials that are fetched; `failure` is what happens instead."""

    def __init__(self, failure: UpstreamFailed | None = None) -> None:
        self.failure = failure
        self.asked: list[Unsigned] = []

    async def headers(self, request: Unsigned, client: Client, now_us: int) -> Headers:
        self.asked.append(request)
        if self.failure is not None:
            raise self.failure
        return (("Authorization", f"Bearer token-{len(self.asked)}"),)


def pipeline(*answers: Says, token: Token | None = None, cards: Cards | None = None) -> Pipeline:
    routes = Routing(
        [
            deployment("bedrock", headers=(), credentials=AwsSignature(KEY), platform=Bedrock()),
            deployment("vertex", headers=(), credentials=Token() if token is None else token, platform=Vertex()),
            deployment("azure", platform=Azure(api_version="2024-10-21", by_deployment=True)),
            deployment("openai"),
        ]
    )
    return Pipeline(*answers, routes=routes, cards=cards)


def head_of(played: Pipeline, number: int = 0) -> str:
    return played.client.asked[number].head.decode()


def claude_events() -> list[bytes]:
    start = {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 100, "output_tokens": 1}}}
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 20}}
    return [msgspec.json.encode(one) for one in (start, block, text, end, {"type": "message_stop"})]


USAGE = Usage(input_tokens=100, output_tokens=20)


@playing
async def test_claude_at_bedrock_is_signed_and_answers_as_at_anthropic() -> None:
    played = pipeline(Says(steps=(message(),)))
    reply = await ask(played, f"bedrock/{CLAUDE}")
    head = head_of(played)
    assert head.startswith(f"POST /v1/model/{CLAUDE.replace(':', '%3A')}/invoke HTTP/1.1\r\n")
    assert "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKID/20261122/eu-west-1/bedrock/aws4_request" in head
    assert "\r\nX-Amz-Date: 20261122T120000Z\r\n" in head
    assert msgspec.json.decode(reply.last)["choices"][0]["message"]["content"] == "Hello"
    record = await played.only_record()
    assert (record.usage, record.upstream_id, record.finish_reason) == (USAGE, "msg_1", "stop")


@pytest.mark.parametrize("size", [1, 7, 37, 100_000])
@playing
async def test_claudes_stream_at_bedrock_is_taken_out_of_its_framing(size: int) -> None:
    stream = b"".join(chunk(one) for one in claude_events())
    played = pipeline(Says(steps=[stream[at : at + size] for at in range(0, len(stream), size)]))
    reply = await ask(played, f"bedrock/{CLAUDE}", stream=True)
    told = events(reply.stream)
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in told[:-1] if one["choices"]) == "Hello"
    assert told[-1] == "[DONE]"
    record = await played.only_record()
    assert (record.usage, record.error_code) == (USAGE, None)


@playing
async def test_an_exception_in_the_middle_of_a_stream_is_an_error_and_its_usage_is_on_the_record() -> None:
    begun = b"".join(chunk(one) for one in claude_events()[:3])
    played = pipeline(Says(steps=(begun, exception("throttlingException", "Slow down."))))
    reply = await ask(played, f"bedrock/{CLAUDE}", stream=True)
    assert b"Slow down." in reply.stream
    record = await played.only_record()
    assert record.error_code == "upstream_error"
    assert record.usage.input_tokens == 100


@playing
async def test_the_price_at_bedrock_is_that_of_the_name_that_was_asked_for() -> None:
    """The answer names the model and not the region, and they have other prices."""
    cards = Cards(
        {
            "bedrock/global.anthropic.claude": card(input=3, output=15),
            "bedrock/claude-sonnet-4-5-20250929": card(input=99, output=99),
        }
    )
    played = pipeline(Says(steps=(message(),)), cards=cards)
    await ask(played, "bedrock/global.anthropic.claude")
    record = await played.only_record()
    assert record.cost == (100 * 3 + 20 * 15) * 1_000_000


@playing
async def test_another_model_at_bedrock_speaks_converse() -> None:
    stream = (
        event("messageStart", {"role": "assistant"})
        + event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})
        + event("messageStop", {"stopReason": "end_turn"})
        + event("metadata", {"usage": {"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}})
    )
    played = pipeline(Says(steps=(stream,)))
    reply = await ask(played, "bedrock/amazon.nova-pro-v1:0", stream=True)
    assert head_of(played).startswith("POST /v1/model/amazon.nova-pro-v1%3A0/converse-stream HTTP/1.1\r\n")
    assert events(reply.stream)[-2]["usage"]["prompt_tokens"] == 100
    assert (await played.only_record()).usage == USAGE


@playing
async def test_openais_models_at_bedrock_are_relayed() -> None:
    played = pipeline(Says(steps=(completion(),)))
    await ask(played, "bedrock/openai.gpt-oss-120b-1:0")
    assert head_of(played).startswith("POST /v1/openai/v1/chat/completions HTTP/1.1\r\n")
    assert msgspec.json.decode(played.client.asked[0].body)["model"] == "openai.gpt-oss-120b-1:0"
    assert (await played.only_record()).upstream_id == "chatcmpl-1"


@playing
async def test_awss_own_error_has_its_message() -> None:
    body = b'{"message":"The provided model identifier is invalid."}'
    played = pipeline(Says(status=400, steps=(body,)))
    reply = await ask(played, f"bedrock/{CLAUDE}")
    assert reply.error is not None
    assert (reply.error.message, reply.error.code) == (
        "The provided model identifier is invalid.",
        "ValidationException",
    )
    await played.only_record()


@playing
async def test_each_request_to_vertex_carries_the_token_of_its_time() -> None:
    token = Token()
    gemini = {
        "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20},
    }
    played = pipeline(Says(steps=(msgspec.json.encode(gemini),)), Says(steps=(message(),)), token=token)
    await ask(played, "vertex/gemini-2.5-pro")
    await ask(played, "vertex/claude-sonnet-4-5@20250929", id="gen-2")
    assert head_of(played).startswith("POST /v1/publishers/google/models/gemini-2.5-pro:generateContent HTTP/1.1\r\n")
    claude = "claude-sonnet-4-5@20250929"
    assert head_of(played, 1).startswith(f"POST /v1/publishers/anthropic/models/{claude}:rawPredict HTTP/1.1\r\n")
    for number in (0, 1):
        assert f"\r\nAuthorization: Bearer token-{number + 1}\r\n" in head_of(played, number)
    assert [request.path for request in token.asked] == [head_of(played, number).split(" ", 2)[1] for number in (0, 1)]
    assert [request.host for request in token.asked] == ["vertex.example"] * 2
    records = await played.ledger.records()
    assert [record.usage.output_tokens for record in records] == [20, 20]


@playing
async def test_without_credentials_the_next_provider_is_asked_and_the_record_says_why() -> None:
    token = Token(UpstreamFailed("The gateway got no access token for the provider: No."))
    played = pipeline(Says(steps=(completion(),)), token=token)
    await ask(played, "vertex/gemini-2.5-pro", "openai/gpt-5.4")
    record = await played.only_record()
    assert (record.provider, record.attempts) == ("openai", 2)
    assert [(tried.provider, tried.http_status) for tried in record.tried] == [("vertex", None), ("openai", 200)]


@playing
async def test_azure_asks_the_deployment_and_says_what_its_filter_refused() -> None:
    filtered = {"jailbreak": {"filtered": True, "detected": True}}
    error = {"code": "content_filter", "message": "No.", "innererror": {"content_filter_result": filtered}}
    played = pipeline(Says(status=400, steps=(msgspec.json.encode({"error": error}),)))
    reply = await ask(played, "azure/prod")
    path = "/v1/deployments/prod/chat/completions?api-version=2024-10-21"
    assert head_of(played).startswith(f"POST {path} HTTP/1.1\r\n")
    assert reply.error is not None
    assert reply.error.code == "content_filter"
    assert reply.error.metadata["reasons"] == ["jailbreak"]
    await played.only_record()
