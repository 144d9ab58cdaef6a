"""OpenAI's other endpoints: requests change in a few fields, answers in their usage, streams in their last event."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.domain.money import Picodollars
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.providers.base import Prepared, Relay
from arouter.providers.openai import ROUTING_FIELDS, Fields
from arouter.providers.openai_endpoints.answer import BodyRelay, CompletionRelay, TextRelay
from arouter.providers.openai_endpoints.request import relay_completion, relay_fields, relay_form
from arouter.providers.openai_endpoints.stream import BytesRelay, EventRelay
from arouter.providers.openai_endpoints.usage import added, endpoint_usage
from arouter.providers.quantity import characters_usage
from arouter.providers.vendors import BY_NAME, Vendor
from arouter.wire.multipart import read_form

OPENAI, GROQ, OPENROUTER, MISTRAL = (BY_NAME[name] for name in ("openai", "groq", "openrouter", "mistral"))
CHARGE = Charge(usage=Usage(input_tokens=3), cost=Picodollars(1_500_000))
COST = {
    "cost": 0.0000015,
    "cost_details": {"upstream_inference_cost": None, "prompt_cost": None, "completion_cost": None},
}
CUTS = (1, 7, 37, 10**6)


def fields(**told: Any) -> Fields:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in told.items()}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def event(name: str, **body: Any) -> bytes:
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode({"type": name, **body}) + b"\n\n"


# ---------------------------------------------------------------- requests

ASKED = {
    "model": "openai/m",
    "input": "x",
    "user": "raw",
    "safety_identifier": "raw",
    "models": ["a"],
    "route": "fallback",
}


@pytest.mark.parametrize(
    ("vendor", "identity", "sent"),
    [
        (OPENAI, "pseudonym", {"model": "m", "input": "x", "user": "pseudonym"}),
        (OPENAI, None, {"model": "m", "input": "x"}),
        (GROQ, "pseudonym", {"model": "m", "input": "x"}),
    ],
)
def test_identity_goes_to_the_field_user(vendor: Vendor, identity: str | None, sent: dict[str, Any]) -> None:
    prepared = relay_fields(fields(**ASKED), "/embeddings", vendor=vendor, model="m", identity=identity)
    assert (prepared.path, prepared.manner, json.loads(prepared.body)) == ("/embeddings", None, sent)


def test_fields_go_on_as_they_were_written() -> None:
    written = {"input": msgspec.Raw(b"[ 1.50, 2 ]"), "dimensions": msgspec.Raw(b"1e1")}
    prepared = relay_fields(written, "/embeddings", vendor=OPENAI, model="m", identity=None)
    assert prepared.body == b'{"input":[ 1.50, 2 ],"dimensions":1e1,"model":"m"}'


def test_what_addresses_a_gateway_reaches_gateways_only() -> None:
    asked = fields(**dict.fromkeys(ROUTING_FIELDS, "x"), input="x")
    told = {
        name: relay_fields(asked, "/x", vendor=BY_NAME[name], model="m", identity=None)
        for name in ("openai", "openrouter")
    }
    assert json.loads(told["openai"].body) == {"input": "x", "model": "m"}
    assert json.loads(told["openrouter"].body).keys() == {*ROUTING_FIELDS, "input", "model"}


@pytest.mark.parametrize(
    ("vendor", "stream", "options", "sent"),
    [
        (OPENAI, True, None, {"include_usage": True}),
        (OPENAI, True, {"include_usage": False, "x": 1}, {"include_usage": True, "x": 1}),
        (OPENAI, False, None, None),
        (MISTRAL, True, {"include_usage": True}, None),
    ],
)
def test_the_usage_of_a_streamed_completion_is_asked_for(vendor: Vendor, stream: bool, options: Any, sent: Any) -> None:
    asked = fields(prompt="x", **({} if options is None else {"stream_options": options}))
    prepared = relay_completion(asked, "/completions", vendor=vendor, model="m", identity=None, stream=stream)
    assert json.loads(prepared.body).get("stream_options") == sent


def test_stream_options_that_are_none() -> None:
    with pytest.raises(InvalidRequest) as refused:
        relay_completion(fields(stream_options=[]), "/c", vendor=OPENAI, model="m", identity=None, stream=True)
    assert refused.value.param == "stream_options"


def test_a_form_loses_what_is_not_the_providers_business() -> None:
    parts = [("model", "openai/m"), ("user", "raw"), ("session_id", "s"), ("language", "de")]
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), text.encode())
        for name, text in parts
    )
    form = read_form(body + b"--b--", b"b")
    prepared = relay_form(form, "/x", content_type="c", vendor=OPENAI, model="m", identity="pseudonym")
    told = read_form(prepared.body, b"b")
    assert {part.name: told.text(part.name) for part in told.parts} == {
        "model": "m",
        "user": "pseudonym",
        "language": "de",
    }
    assert prepared.manner is not None
    assert prepared.manner.content_type == "c"
    assert isinstance(prepared, Prepared)


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("raw", "of_images", "usage"),
    [
        ({"prompt_tokens": 5, "total_tokens": 5}, False, Usage(input_tokens=5)),
        ({"prompt_tokens": 0, "total_tokens": 0}, False, Usage(input_tokens=0)),
        ({"total_tokens": 7}, False, Usage(input_tokens=7)),
        (
            {"input_tokens": 9, "input_tokens_details": {"text_tokens": 2, "image_tokens": 7}, "output_tokens": 30},
            True,
            Usage(input_tokens=2, input_image_tokens=7, output_image_tokens=30),
        ),
        (
            {"input_tokens": 2, "output_tokens": 30, "output_tokens_details": {"text_tokens": 4, "image_tokens": 26}},
            True,
            Usage(input_tokens=2, output_tokens=4, output_image_tokens=26),
        ),
        (
            {"type": "tokens", "input_tokens": 8, "input_token_details": {"audio_tokens": 6}, "output_tokens": 1},
            False,
            Usage(input_tokens=2, input_audio_tokens=6, output_tokens=1),
        ),
        ({"type": "duration", "seconds": 9}, False, NOTHING_REPORTED),
        ({}, False, None),
        ({"total_tokens": "7"}, False, None),
    ],
)
def test_a_usage_object(raw: dict[str, Any], of_images: bool, usage: Usage | None) -> None:
    assert endpoint_usage(msgspec.json.encode(raw), "openai", of_images=of_images) == usage


def test_what_is_no_usage_object() -> None:
    assert [endpoint_usage(raw, "openai") for raw in (b"", b"[]", b"7", b'{"a":"\xff"}')] == [None] * 4


COUNTS = st.none() | st.integers(0, 10**9)


@given(*[st.builds(Usage, input_tokens=COUNTS, output_image_tokens=COUNTS)] * 3)
def test_usages_are_added_meter_by_meter(one: Usage, two: Usage, three: Usage) -> None:
    assert added(one, two) == added(two, one)
    assert added(added(one, two), three) == added(one, added(two, three))
    assert added(one, NOTHING_REPORTED) == one


# ---------------------------------------------------------------- whole answers

EMBEDDINGS = (
    b'{"object": "list", "data":[{"embedding":[0.10]}],"model":"m-1","usage":{"prompt_tokens": 3,"total_tokens":3}}'
)


def vectors() -> BodyRelay:
    return BodyRelay(OPENAI, what="a list of embeddings", must="data", of_text=True)


def test_a_list_gets_its_cost_and_nothing_else_changes() -> None:
    relay = vectors()
    relay.read_answer(EMBEDDINGS)
    answer = relay.answer(CHARGE)
    assert answer.startswith(EMBEDDINGS[: EMBEDDINGS.index(b'{"prompt_tokens"')])
    assert json.loads(answer)["usage"] == {"prompt_tokens": 3, "total_tokens": 3, **COST}
    told = relay.told
    assert (told.upstream_model, told.usage, told.complete) == ("m-1", Usage(input_tokens=3), True)


def test_an_answer_without_usage_tells_an_estimate_only_of_text() -> None:
    relay = vectors()
    relay.read_answer(b'{"data":[]}')
    assert json.loads(relay.answer(CHARGE))["usage"]["prompt_tokens"] == 3
    assert relay.told.countable
    images = BodyRelay(OPENAI, what="images", must="data", of_images=True)
    images.read_answer(b'{"data": [] }')
    assert images.answer(CHARGE) == b'{"data": [] }'
    assert not images.told.countable


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"<html>", b'{"data"', b"{}", b'{"data":1,"x":"\xff' + b'"}', b"[" * 9999]
)
def test_what_is_no_list_is_the_providers_fault(body: bytes) -> None:
    relay = vectors()
    if body.startswith(b'{"data":1'):
        relay.read_answer(body)  # what is not looked at is not judged
        return
    with pytest.raises(UpstreamFailed) as failed:
        relay.read_answer(body)
    assert not failed.value.retryable


def test_an_error_in_a_good_answer_is_an_error() -> None:
    with pytest.raises(UpstreamFailed) as failed:
        vectors().read_answer(b'{"error":{"message":"No."},"data":[]}')
    assert failed.value.message == "No."


def test_names_that_are_none_are_not_told() -> None:
    relay = vectors()
    relay.read_answer(b'{"data":[],"model":7,"id":"","usage":[]}')
    assert (relay.told.upstream_model, relay.told.upstream_id, relay.told.usage) == (None, None, None)


def test_text_is_passed_over() -> None:
    relay = TextRelay(OPENAI, what="a transcription", must="text")
    relay.read_answer(b"1\n00:00 --> 00:01\nHello\n")
    assert relay.answer(CHARGE) == b"1\n00:00 --> 00:01\nHello\n"
    assert (relay.told.complete, relay.told.usage) == (True, None)


def test_a_completion_is_counted_by_its_text() -> None:
    relay = CompletionRelay(OPENAI)
    relay.read_answer(b'{"id":"cmpl-1","choices":[{"text":"Hello","finish_reason":"stop"},{"text":"you"}]}')
    assert (relay.told.output_bytes, relay.told.finish_reason, relay.told.upstream_id) == (8, "stop", "cmpl-1")
    with pytest.raises(UpstreamFailed):
        CompletionRelay(OPENAI).read_answer(b'{"id":"cmpl-1"}')


# ---------------------------------------------------------------- streams

COMPLETION = (
    b'data: {"id":"cmpl-1","model":"m","choices":[{"text":"Hel","finish_reason":null}]}\n\n',
    b'data: {"id":"cmpl-1","model":"m","choices":[{"text":"lo","finish_reason":"stop"}]}\n\n',
    b'data: {"id":"cmpl-1","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
)


@pytest.mark.parametrize("size", CUTS)
def test_a_streamed_completion(size: int) -> None:
    relay = CompletionRelay(OPENAI)
    assert b"".join(map(relay.feed, cut(b"".join(COMPLETION), size))) == b"".join(COMPLETION[:2])
    told = relay.told
    assert (told.complete, told.output_bytes, told.usage) == (True, 5, Usage(input_tokens=3, output_tokens=2))
    *_, usage, done = relay.last(CHARGE).split(b"\n\n")[:-1]
    assert json.loads(usage.removeprefix(b"data: "))["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, **COST}
    assert (done, relay.last(None)) == (b"data: [DONE]", b"data: [DONE]\n\n")


PARTIAL = event("image_generation.partial_image", b64_json="AAAA", partial_image_index=0)
DONE_IMAGE = event("image_generation.completed", b64_json="BBBB", usage={"input_tokens": 2, "output_tokens": 30})


@pytest.mark.parametrize("size", CUTS)
def test_the_last_event_waits_for_its_cost(size: int) -> None:
    relay = EventRelay(OPENAI, what="images", of_images=True)
    stream = b": comment\n\n" + PARTIAL + DONE_IMAGE
    assert b"".join(map(relay.feed, cut(stream, size))) == b": comment\n\n" + PARTIAL
    assert not relay.told.complete
    relay.end()
    assert (relay.told.complete, relay.told.usage) == (True, Usage(input_tokens=2, output_image_tokens=30))
    last = relay.last(CHARGE)
    assert last.startswith(b"event: image_generation.completed\ndata: ")
    assert json.loads(last.partition(b"data: ")[2])["usage"] == {"input_tokens": 2, "output_tokens": 30, **COST}
    assert relay.last(None) == DONE_IMAGE


@pytest.mark.parametrize("size", CUTS)
def test_several_images_are_added_up(size: int) -> None:
    relay = EventRelay(OPENAI, what="images", of_images=True)
    assert b"".join(map(relay.feed, cut(DONE_IMAGE + PARTIAL + DONE_IMAGE, size))) == DONE_IMAGE + PARTIAL
    relay.end()
    assert relay.told.usage == Usage(input_tokens=4, output_image_tokens=60)


def test_an_end_mark_goes_out_last() -> None:
    relay = EventRelay(OPENAI, what="text")
    chunk = b'data: {"object":"transcription.chunk"}\n\n'
    assert relay.feed(chunk + b"data: [DONE]\n\n" + chunk) == chunk
    assert relay.told.complete
    assert relay.last(CHARGE) == b"data: [DONE]\n\n"


def test_events_without_a_usage_go_out_as_they_came() -> None:
    relay = EventRelay(OPENAI, what="text")
    done = event("transcript.text.done", text="x")
    relay.feed(done)
    relay.end()
    assert (relay.last(CHARGE), relay.told.usage, relay.told.countable) == (done, None, False)


def test_a_stream_without_its_last_event_is_not_whole() -> None:
    relay = EventRelay(OPENAI, what="images")
    relay.feed(PARTIAL)
    relay.end()
    assert not relay.told.complete


@pytest.mark.parametrize(
    ("said", "message", "code"),
    [
        (event("error", message="No.", code="c"), "No.", "c"),
        (b'data: {"error":{"message":"No.","code":7}}\n\n', "No.", "7"),
        (b'data: {"error":{}}\n\n', "The provider reported an error.", None),
    ],
)
def test_an_error_in_a_stream(said: bytes, message: str, code: str | None) -> None:
    relay = EventRelay(OPENAI, what="images")
    assert relay.feed(PARTIAL + said + PARTIAL) == PARTIAL
    assert (relay.told.failure, relay.told.failure_code) == (message, code)


@pytest.mark.parametrize("relay", [EventRelay(OPENAI, what="images")])
def test_events_that_are_no_json(relay: Relay) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        relay.feed(b"data: <html>\n\n")
    assert not failed.value.retryable
    with pytest.raises(UpstreamFailed):
        relay.read_answer(b"{}")
    assert relay.feed(b'data: {"type": 7}\n\n') == b'data: {"type": 7}\n\n'


@given(st.binary(), st.sampled_from(CUTS))
def test_bytes_go_on_as_they_come(data: bytes, size: int) -> None:
    relay = BytesRelay(characters_usage(7))
    assert b"".join(map(relay.feed, cut(data, size))) + relay.last(CHARGE) == data
    relay.end()
    assert (relay.told.complete, relay.told.raw_usage) == (True, b'{"type":"characters","characters":7}')


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_read_or_blamed(data: bytes) -> None:
    for relay in (vectors(), CompletionRelay(OPENAI), EventRelay(OPENAI, what="images")):
        for work in (relay.read_answer, relay.feed):
            for body in (data, b"data: " + data + b"\n\n", b'data: {"usage":' + data + b"}\n\n"):
                try:
                    work(body)
                except UpstreamFailed as failed:
                    assert not failed.retryable  # noqa: PT017 - either is right
