"""The relay of OpenAI's dialect: what is changed on the way, what is read, and that no cut changes it."""

import json
import random
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.domain.money import Picodollars
from arouter.providers import openai
from arouter.providers.openai import Fields, Relay, read_error, relay_request
from arouter.providers.vendors import BY_NAME, VENDORS
from tests.recordings import Recording, need_recordings, recordings

OPENAI = BY_NAME["openai"]
RELAYED = [vendor for vendor in VENDORS if vendor.dialect == "openai"]

# ---------------------------------------------------------------- the request


def fields(text: str) -> Fields:
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw])


def sent(text: str, vendor: str = "openai", *, stream: bool = False, identity: str | None = None) -> Any:
    prepared = relay_request(fields(text), vendor=BY_NAME[vendor], model="m", stream=stream, identity=identity)
    assert (prepared.path, prepared.query, prepared.headers, prepared.dropped) == ("/chat/completions", "", (), ())
    return prepared.body.decode()


def test_what_is_not_ours_stays_byte_for_byte_in_its_place() -> None:
    odd = '{"temperature": 1.0e0,"model":"o","x_unknown":{"a" : [1,2.50, "\\u00fc"]},"n":0, "seed":1234567890123456789}'
    assert sent(odd) == (
        '{"temperature":1.0e0,"model":"m","x_unknown":{"a" : [1,2.50, "\\u00fc"]},"n":0,"seed":1234567890123456789}'
    )


@given(
    st.dictionaries(st.text(max_size=8), st.recursive(st.integers() | st.text(), st.lists, max_leaves=5), max_size=4)
)
def test_any_field_that_is_not_ours_passes(extra: dict[str, Any]) -> None:
    ours = {"model", "user", "safety_identifier", "stream_options", *openai.FALL_BACK_FIELDS, *openai.ROUTING_FIELDS}
    others = {name: value for name, value in extra.items() if name not in ours}
    body = msgspec.json.encode({**others, "model": "openai/m"}).decode()
    assert msgspec.json.decode(sent(body)) == {**others, "model": "m"}


@pytest.mark.parametrize("vendor", [vendor.name for vendor in RELAYED])
@pytest.mark.parametrize("identity", [None, "pseudonym"])
def test_who_the_user_is_never_leaves(vendor: str, identity: str | None) -> None:
    told = msgspec.json.decode(sent('{"user":"raw","safety_identifier":"raw"}', vendor, identity=identity))
    field = BY_NAME[vendor].identity_field
    expected = {"model": "m"}
    if field is not None and identity is not None:
        expected[field] = identity
    assert told == expected


def test_a_name_that_is_escaped_or_said_twice_does_not_slip_through() -> None:
    assert sent('{"us\\u0065r":"raw","user":"raw","model":"a","m\\u006fdel":"b"}') == '{"model":"m"}'


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ("", {"include_usage": True}),
        (',"stream_options":null', {"include_usage": True}),
        (',"stream_options":{}', {"include_usage": True}),
        (',"stream_options":{"include_usage":false}', {"include_usage": True}),
        (',"stream_options":{"include_obfuscation":false}', {"include_obfuscation": False, "include_usage": True}),
    ],
)
def test_usage_is_always_asked_for_in_a_stream(options: str, asked: dict[str, bool]) -> None:
    body = f'{{"model":"x"{options}}}'
    assert msgspec.json.decode(sent(body, stream=True))["stream_options"] == asked
    assert "stream_options" not in sent(body, "mistral", stream=True)
    assert ("stream_options" in sent(body)) == ("stream_options" in body)


def test_options_that_are_no_object_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent('{"stream_options":7}', stream=True)
    assert refused.value.param == "stream_options"


@pytest.mark.parametrize("vendor", [vendor.name for vendor in RELAYED])
def test_instructions_to_a_gateway_reach_only_gateways_and_fall_backs_nobody(vendor: str) -> None:
    names = (*openai.ROUTING_FIELDS, *openai.FALL_BACK_FIELDS)
    told = msgspec.json.decode(sent(msgspec.json.encode(dict.fromkeys(names, 1)).decode(), vendor))
    assert set(told) - {"model"} == (set(openai.ROUTING_FIELDS) if vendor == "openrouter" else set())


# ---------------------------------------------------------------- streams, however they are cut


def chunk(text: str) -> bytes:
    return f"data: {text}\n\n".encode()


def heard(stream: bytes, sizes: list[int] | int | None = None, vendor: str = "openai") -> tuple[bytes, Relay]:
    """What is forwarded of a stream in pieces of these sizes (the last one repeats); None: at once."""
    relay = Relay(BY_NAME[vendor])
    forwarded = b""
    start = 0
    plan = [len(stream)] if sizes is None else [sizes] if isinstance(sizes, int) else sizes
    for number in range(len(stream) + 1):
        size = max(1, plan[min(number, len(plan) - 1)])
        forwarded += relay.feed(stream[start : start + size])
        start += size
        if start >= len(stream):
            break
    relay.end()
    return forwarded, relay


RECORDED = [
    one
    for api in ("openai.chat", "compatible.chat", "openrouter.chat")
    for one in recordings(api)
    if one.stream and one.status == 200 and one.path.endswith("/chat/completions")
]


def test_there_are_recorded_streams() -> None:
    need_recordings()
    assert len(RECORDED) > 20


@pytest.mark.parametrize("recording", RECORDED, ids=lambda one: one.id)
def test_a_recorded_stream_is_the_same_however_it_is_cut(recording: Recording) -> None:
    stream = recording.response_text.encode()
    whole, relay = heard(stream)
    assert relay.told.complete
    assert relay.told.upstream_model
    assert relay.told.output_bytes > 0
    charge = Charge(cost=Picodollars(1))
    last = relay.last(charge)
    for size in (1, 7, 37):
        forwarded, again = heard(stream, size)
        assert forwarded == whole
        assert asdict(again.told) == asdict(relay.told)
        assert again.last(charge) == last


@pytest.mark.parametrize("recording", RECORDED, ids=lambda one: one.id)
def test_all_but_the_usage_of_a_recorded_stream_is_forwarded(recording: Recording) -> None:
    whole, relay = heard(recording.response_text.encode())

    def choices(stream: str) -> list[Any]:
        blocks = [line.removeprefix("data: ") for line in stream.split("\n") if line.startswith("data: {")]
        return [choice for block in blocks for choice in msgspec.json.decode(block).get("choices") or ()]

    assert choices(whole.decode()) == choices(recording.response_text.replace("\r\n", "\n"))
    for block in whole.decode().split("\n\n"):
        if block.startswith("data: {"):
            assert msgspec.json.decode(block.removeprefix("data: ")).get("usage") is None
    told_last = [line for line in recording.response_text.split("\n") if '"usage":{' in line.replace(" ", "")]
    if told_last:
        usage = msgspec.json.decode(told_last[-1].removeprefix("data: "))["usage"]
        assert msgspec.json.decode(relay.told.raw_usage or b"null") == usage


TEXT = '{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}'
STOP = '{"id":"a","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
DONE = b"data: [DONE]\n\n"


def usage_chunk(prompt: int, completion: int, choices: str = "[]") -> bytes:
    return chunk(
        f'{{"id":"a","model":"m","choices":{choices},"usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion}}}}}'
    )


def test_usage_beside_choices_is_kept_back_and_the_choices_go() -> None:
    forwarded, relay = heard(usage_chunk(1, 2, '[{"index":0,"delta":{"content":"Hi"}}]') + chunk(STOP) + DONE)
    assert b'"usage"' not in forwarded
    assert b'"content":"Hi"' in forwarded
    assert relay.told.usage is not None
    assert relay.told.usage.output_tokens == 2


def test_of_several_usages_the_last_one_counts() -> None:
    _, relay = heard(usage_chunk(1, 1) + chunk(TEXT) + usage_chunk(1, 9) + chunk(STOP) + DONE)
    assert relay.told.usage is not None
    assert relay.told.usage.output_tokens == 9
    assert relay.told.raw_usage == b'{"prompt_tokens":1,"completion_tokens":9}'


def test_a_zero_is_a_zero_and_an_empty_or_odd_usage_is_none() -> None:
    _, relay = heard(usage_chunk(0, 0) + DONE)
    assert relay.told.usage is not None
    assert (relay.told.usage.input_tokens, relay.told.usage.output_tokens) == (0, 0)
    for odd in ("{}", "[]", "7", '"x"', '{"prompt_tokens":"many"}'):
        forwarded, relay = heard(usage_chunk(3, 4) + chunk(f'{{"choices":[],"usage":{odd}}}') + chunk(STOP) + DONE)
        assert relay.told.usage is not None
        assert relay.told.usage.input_tokens == 3
        assert odd not in forwarded.decode() or odd in STOP


@pytest.mark.parametrize("size", [None, 1, 7])
def test_nothing_counts_after_the_end_or_a_failure(size: int | None) -> None:
    forwarded, relay = heard(chunk(TEXT) + chunk(STOP) + DONE + chunk(TEXT) + usage_chunk(5, 5), size)
    assert forwarded == chunk(TEXT) + chunk(STOP)
    assert relay.told.usage is None
    failure = chunk('{"error":{"message":"busy","code":503}}')
    forwarded, relay = heard(chunk(TEXT) + failure + chunk(TEXT), size)
    assert forwarded == chunk(TEXT)
    assert (relay.told.failure, relay.told.failure_code, relay.told.complete) == ("busy", "503", False)


@pytest.mark.parametrize(
    ("error", "failure", "code"),
    [
        ('"text"', "The provider reported an error.", None),
        ('{"message":"m","type":"t"}', "m", "t"),
        ('{"message":7,"code":"c"}', "The provider reported an error.", "c"),
        ("[]", "The provider reported an error.", None),
        ("false", "The provider reported an error.", None),
    ],
)
def test_an_error_in_a_stream_whatever_its_shape(error: str, failure: str, code: str | None) -> None:
    _, relay = heard(chunk(f'{{"error":{error}}}'))
    assert relay.told.failure in (failure, "text")
    assert relay.told.failure_code == code


def test_an_end_without_a_mark_is_an_end_only_with_a_reason() -> None:
    assert heard(chunk(TEXT) + chunk(STOP))[1].told.complete
    assert not heard(chunk(TEXT))[1].told.complete


def test_comments_and_unknown_shapes_pass_and_other_text_does_not() -> None:
    odd = chunk('{"id":7,"choices":"none"}') + chunk("[1]") + chunk("true") + b": ping\n\nevent: x\n\n"
    assert heard(odd + chunk(STOP))[0] == odd + chunk(STOP)
    for nonsense in (b"data: <html>\n\n", b"data: {\n\n", b'data: {"id":"\xff"}\n\n', b'data: {"\xff":1}\n\n'):
        with pytest.raises(UpstreamFailed) as failed:
            heard(nonsense)
        assert not failed.value.retryable


def test_an_event_of_several_lines_leaves_a_last_chunk_of_one() -> None:
    stream = b'data: {"id":"a","extra":{\ndata: "b":1},\ndata: "choices":[]}\n\n' + chunk(STOP)
    stream += b'data: {"id":"a","choices":[],"usage":{\ndata: "prompt_tokens":1,"completion_tokens":1}}\n\n'
    _, relay = heard(stream)
    assert relay.last(Charge()).count(b"\n") == 4


@given(st.binary(max_size=200), st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_no_bytes_do_anything_but_pass_or_fail_as_upstream(data: bytes, sizes: list[int]) -> None:
    for stream in (data, chunk('{"a":') + data, b'data: {"usage":{"' + data + b'":1}}\n\n', b'data: {"error":"' + data):
        with suppress(UpstreamFailed):
            heard(stream + b"\n\n", sizes)


@given(st.randoms(use_true_random=False))
def test_any_cut_is_the_same(chance: random.Random) -> None:
    stream = chunk(TEXT) * 3 + b"\xef\xbb\xbf".join([chunk(STOP), b""]) + usage_chunk(1, 2) + DONE
    sizes = [chance.randint(1, 60) for _ in range(20)]
    try:
        whole = heard(stream)
    except UpstreamFailed:
        with pytest.raises(UpstreamFailed):
            heard(stream, sizes)
        return
    again = heard(stream, sizes)
    assert (again[0], asdict(again[1].told)) == (whole[0], asdict(whole[1].told))


# ---------------------------------------------------------------- whole answers


def test_a_whole_answer_keeps_its_fields_and_gets_our_usage() -> None:
    relay = Relay(OPENAI)
    relay.read_answer(
        b'{"id":"a","usage":{"prompt_tokens":1,"completion_tokens":2},"model":"m-1","x":[1.0],'
        b'"choices":[{"message":{"content":"Hi \\u00fc"},"finish_reason":"stop"}],"service_tier":"flex"}'
    )
    told = relay.told
    assert (told.upstream_id, told.upstream_model, told.finish_reason, told.service_tier) == (
        "a",
        "m-1",
        "stop",
        "flex",
    )
    assert told.complete
    assert relay.answer(Charge(cost=Picodollars(3))) == (
        b'{"id":"a","usage":{"prompt_tokens":1,"completion_tokens":2,"cost":0.000000000003,"cost_details":'
        b'{"upstream_inference_cost":null,"prompt_cost":null,"completion_cost":null}},"model":"m-1","x":[1.0],'
        b'"choices":[{"message":{"content":"Hi \\u00fc"},"finish_reason":"stop"}],"service_tier":"flex"}'
    )


def test_white_space_is_kept_as_well() -> None:
    """And within one that is plain: OpenAI writes an answer in lines."""
    body = b'{\n "usage" : {\n  "prompt_tokens": 1,\n  "completion_tokens": 2\n },\n "usages": [ ], "choices": [ ]\n}\n'
    relay = Relay(OPENAI)
    relay.read_answer(body)
    answer = relay.answer(Charge())
    assert answer == body.replace(
        b"2\n }",
        b'2\n ,"cost":null,"cost_details":{"upstream_inference_cost":null,"prompt_cost":null,"completion_cost":null}}',
    )
    assert json.loads(answer)["usage"]["cost"] is None


@pytest.mark.parametrize("body", [b'{"choices":[{"usage":%b}],"usage" : %b}', b'{"usage":%b,"choices":[{"usage":%b}]}'])
def test_only_the_usage_of_the_answer_itself_gets_our_cost(body: bytes) -> None:
    """Also where another member of that name has the same bytes, and is written otherwise."""
    usage = b'{"prompt_tokens":1,"completion_tokens":2}'
    relay = Relay(OPENAI)
    relay.read_answer(body % (usage, usage))
    answer = json.loads(relay.answer(Charge(cost=Picodollars(3))))
    assert answer["choices"] == [{"usage": json.loads(usage)}]
    assert answer["usage"]["cost"] == 3e-12


def test_an_error_with_status_200_is_an_error() -> None:
    with pytest.raises(UpstreamFailed, match="busy") as failed:
        Relay(OPENAI).read_answer(b'{"error":{"message":"busy"}}')
    assert not failed.value.client_fault


@given(st.binary(max_size=100) | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(msgspec.json.encode))
def test_no_body_does_anything_but_be_an_answer_or_fail_as_upstream(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        Relay(OPENAI).read_answer(body)


# ---------------------------------------------------------------- errors

SHAPES: list[tuple[bytes, str | None, str | None, str | None]] = [
    (b'{"error":{"message":"m","type":"t","code":"c","param":"p"}}', "m", "c", "p"),
    (b'{"error":{"message":"m","type":"t","code":null,"param":null}}', "m", "t", None),
    (b'{"error":{"message":"m","code":400}}', "m", "400", None),
    (b'[{"error":{"message":"m","code":400,"status":"INVALID_ARGUMENT"}}]', "m", "400", None),
    (b' [{"error":{"message":"m"}}]', "m", None, None),
    (b'{"error":"m"}', "m", None, None),
    (b'{"message":"m","type":"t","param":null,"code":null}', "m", "t", None),
    (b'{"object":"error","message":{"detail":[]},"type":"t","code":"c"}', None, "c", None),
    (b'{"error":{"error":{"message":"m"}}}', "m", None, None),
    (b'{"error":{"message":"m","param":["a"],"code":1.5}}', "m", None, None),
    (b'{"error":{"message":""}}', None, None, None),
    (b"{}", None, None, None),
    (b"[]", None, None, None),
    (b"", None, None, None),
    (b"<html>busy</html>", None, None, None),
    (b'{"error":"\xff"}', None, None, None),
    (b'{"error":{"message":"\xff","code":"c"}}', None, "c", None),
    (b"[" * 100_000, None, None, None),
]


@pytest.mark.parametrize(("body", "message", "code", "param"), SHAPES)
def test_errors_of_any_shape_are_read(body: bytes, message: str | None, code: str | None, param: str | None) -> None:
    error = read_error("groq", 400, body)
    assert error.message == ("The provider groq answered with status 400." if message is None else message)
    assert error.code == ("upstream_error" if code is None else code)
    assert error.param == param
    assert error.metadata == {"provider": "groq", "upstream_status": 400, "upstream_code": code}


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 529])
def test_who_is_to_blame(status: int) -> None:
    error = read_error("openai", status, b'{"error":{"message":"m","code":"c"}}')
    blamed = status in {400, 404, 409, 413, 415, 422}
    assert (error.client_fault, error.retryable, error.upstream_status) == (blamed, not blamed, status)
    assert error.code == ("c" if blamed else "upstream_error")


def test_a_novel_is_cut() -> None:
    error = read_error("openai", 400, msgspec.json.encode({"error": {"message": "x" * 100_000}}))
    assert len(error.message) == 2000
    assert error.detail is not None
    assert len(error.detail) <= 2000


CAUSES = [
    ("Too busy", "Provider returned error: Too busy"),
    ('{"error":{"message":"Too busy"}}', "Provider returned error: Too busy"),
    ('{"type":"error","error":{"type":"overloaded","message":"Too busy"}}', "Provider returned error: Too busy"),
    ('[{"error":{"message":"Too busy"}}]', "Provider returned error: Too busy"),
    ({"error": {"message": "Too busy"}}, "Provider returned error: Too busy"),
    ('{"detail":"Too busy"}', 'Provider returned error: {"detail":"Too busy"}'),
    ("Too\r\n\x00\u2028 busy", "Provider returned error: Too busy"),
    ("Provider returned error", "Provider returned error"),
    ("", "Provider returned error"),
    (" \n", "Provider returned error"),
    (None, "Provider returned error"),
    (7, "Provider returned error: 7"),
    ("[" * 5000, "Provider returned error: " + "[" * 1975),
]


@pytest.mark.parametrize(("raw", "message"), CAUSES)
def test_the_words_of_the_provider_behind_a_gateway_follow_the_gateways(raw: object, message: str) -> None:
    told = {"code": 429, "message": "Provider returned error", "metadata": {"provider_name": "Google", "raw": raw}}
    assert read_error("openrouter", 429, msgspec.json.encode({"error": told})).message == message


@pytest.mark.parametrize("metadata", [None, 1, "raw", [], {}, {"reasons": ["violence"]}])
def test_an_error_whose_metadata_is_something_else_keeps_its_message(metadata: object) -> None:
    told = {"message": "No", "metadata": metadata}
    assert read_error("openrouter", 403, msgspec.json.encode({"error": told})).message == "No"


def test_a_cause_without_a_message_is_the_message() -> None:
    assert read_error("openrouter", 502, b'{"error":{"metadata":{"raw":"Too busy"}}}').message == "Too busy"


@given(st.binary(max_size=100))
def test_no_error_body_raises(body: bytes) -> None:
    assert read_error("openai", 500, body).message


def test_a_whole_answer_whose_names_are_not_unicode_is_not_a_completion() -> None:
    relay = Relay(BY_NAME["openai"])
    relay.read_answer(b'{"choices":[],"\xff":1}')
    with pytest.raises(UpstreamFailed, match="not a chat completion"):
        relay.answer(Charge())
