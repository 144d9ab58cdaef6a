"""The relay of Responses: what is changed of a request, what is read of an answer, and that no byte of it changes."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.errors import UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.openai_responses import ResponsesRelay, relay_responses_request
from arouter.providers.routing_fields import FALL_BACK_FIELDS, IDENTITY_FIELDS, ROUTING_FIELDS
from arouter.providers.vendors import BY_NAME, VENDORS

OPENAI = BY_NAME["openai"]
RELAYED = [vendor.name for vendor in VENDORS if vendor.dialect == "openai"]
USAGE = '{"input_tokens": 5,"output_tokens":2}'

# ---------------------------------------------------------------- the request


def sent(text: str, vendor: str = "openai", identity: str | None = None) -> str:
    fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    prepared = relay_responses_request(fields, vendor=BY_NAME[vendor], model="m", stream=False, identity=identity)
    assert (prepared.path, prepared.query, prepared.headers, prepared.dropped) == ("/responses", "", (), ())
    return prepared.body.decode()


def test_what_is_not_ours_stays_byte_for_byte_in_its_place() -> None:
    odd = '{"input": [ {"a":1.50} ],"model":"o","store":true,"x":"\\u00fc","n":1e0,"metadata":{"k":"v"},"stream":true}'
    assert sent(odd) == (
        '{"input":[ {"a":1.50} ],"model":"m","store":true,"x":"\\u00fc","n":1e0,"metadata":{"k":"v"},"stream":true}'
    )


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=4), max_size=4))
def test_any_field_that_is_not_ours_passes(extra: dict[str, Any]) -> None:
    ours = {"model", *IDENTITY_FIELDS, *FALL_BACK_FIELDS, *ROUTING_FIELDS}
    others = {name: value for name, value in extra.items() if name not in ours}
    body = msgspec.json.encode({**others, "model": "openai/m"}).decode()
    assert msgspec.json.decode(sent(body)) == {**others, "model": "m"}


@pytest.mark.parametrize("vendor", RELAYED)
@pytest.mark.parametrize("identity", [None, "pseudonym"])
def test_who_the_user_is_never_leaves(vendor: str, identity: str | None) -> None:
    told = json.loads(sent('{"user":"raw","safety_identifier":"raw"}', vendor, identity))
    field = BY_NAME[vendor].identity_field
    assert told == {"model": "m"} | ({} if field is None or identity is None else {field: identity})


@pytest.mark.parametrize("vendor", RELAYED)
def test_instructions_to_a_gateway_reach_only_gateways_and_fall_backs_nobody(vendor: str) -> None:
    names = (*ROUTING_FIELDS, *FALL_BACK_FIELDS)
    told = json.loads(sent(json.dumps(dict.fromkeys(names, 1)), vendor))
    assert set(told) - {"model"} == (set(ROUTING_FIELDS) if vendor == "openrouter" else set())


# ---------------------------------------------------------------- a stream


def event(kind: str, rest: str = "") -> bytes:
    return f'event: {kind}\ndata: {{"type":"{kind}"{rest}}}\n\n'.encode()


def response(status: str, rest: str = "") -> str:
    return f',"response":{{"id":"r1","model":"m-2","status":"{status}","output":[]{rest}}}'


CREATED = event("response.created", response("in_progress", ',"service_tier":"auto"'))
HELLO = event("response.output_text.delta", ',"delta":"Hel\\u00fc"')
COMPLETED = event("response.completed", response("completed", f',"usage":{USAGE},"service_tier":"flex"'))


def heard(*events: bytes) -> tuple[bytes, ResponsesRelay]:
    relay = ResponsesRelay(OPENAI)
    forwarded = b"".join(relay.feed(one) for one in events)
    relay.end()
    return forwarded, relay


def test_the_event_that_ends_the_stream_is_kept_back() -> None:
    forwarded, relay = heard(CREATED, HELLO, COMPLETED)
    assert forwarded == CREATED + HELLO
    assert relay.last(Charge()) == relay.last(None) == COMPLETED
    told = relay.told
    assert (told.upstream_id, told.upstream_model, told.service_tier) == ("r1", "m-2", "flex")
    assert (told.usage, told.raw_usage) == (Usage(input_tokens=5, output_tokens=2), USAGE.encode())
    assert (told.finish_reason, told.complete, told.failure) == ("stop", True, None)
    assert told.output_bytes == len("Hel\\u00fc")


@pytest.mark.parametrize(
    ("status", "rest", "finish"),
    [
        ("incomplete", ',"incomplete_details":{"reason":"max_output_tokens"}', "length"),
        ("incomplete", ',"incomplete_details":{"reason":"content_filter"}', "content_filter"),
        ("completed", ',"output":[{"type":"reasoning"},{"type":"function_call"}]', "tool_calls"),
        ("completed", ',"output":[{"type":"custom_tool_call"}]', "tool_calls"),
        ("completed", ',"output":[{"type":"web_search_call"},7]', "stop"),
    ],
)
def test_why_it_ended(status: str, rest: str, finish: str) -> None:
    last = event(f"response.{status}", response(status, f',"usage":{USAGE}{rest}'))
    forwarded, relay = heard(CREATED, last)
    assert (forwarded, relay.last(None)) == (CREATED, last)
    assert relay.told.finish_reason == finish
    assert relay.told.usage is not None
    assert relay.told.complete


def test_a_call_that_only_the_stream_told_of_counts() -> None:
    added = event("response.output_item.added", ',"item":{"type":"function_call"}')
    _, relay = heard(CREATED, added, COMPLETED)
    assert relay.told.finish_reason == "tool_calls"


def test_a_failure_keeps_its_usage_and_its_event() -> None:
    failed = event(
        "response.failed", response("failed", f',"usage":{USAGE},"error":{{"code":"server_error","message":"Broken"}}')
    )
    forwarded, relay = heard(CREATED, failed, HELLO)
    assert (forwarded, relay.last(None)) == (CREATED, failed)
    told = relay.told
    assert (told.failure, told.failure_code, told.finish_reason) == ("Broken", "server_error", "error")
    assert told.usage is not None
    assert not told.complete


def test_a_failure_without_a_word_is_one() -> None:
    _, relay = heard(CREATED, event("response.failed", response("failed", ',"error":null')))
    assert relay.told.failure == "The provider reported an error."


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (',"code":"rate_limit_exceeded","message":"Slow"', ("Slow", "rate_limit_exceeded")),
        (',"error":{"type":"server_error","message":"Nested"}', ("Nested", "server_error")),
        ("", ("The provider reported an error.", None)),
    ],
)
def test_an_error_event(rest: str, expected: tuple[str, str | None]) -> None:
    error = event("error", rest)
    forwarded, relay = heard(CREATED, HELLO, error)
    assert (forwarded, relay.last(None)) == (CREATED + HELLO, error)
    assert (relay.told.failure, relay.told.failure_code) == expected
    assert not relay.told.complete


def test_a_stream_that_is_closed_before_its_end_is_not_complete() -> None:
    forwarded, relay = heard(CREATED, HELLO, COMPLETED[:-1])
    assert forwarded == CREATED + HELLO
    assert relay.last(None) == b""
    assert not relay.told.complete


def test_nothing_counts_after_the_end() -> None:
    forwarded, relay = heard(CREATED, COMPLETED, HELLO, b"data: [DONE]\n\n")
    assert (forwarded, relay.last(None)) == (CREATED, COMPLETED)
    assert relay.told.output_bytes == 0


def test_the_end_mark_of_a_vendor_that_has_one_leaves_with_the_end() -> None:
    mark = b"data: [DONE]\n\n"
    for pieces in ((CREATED, COMPLETED + mark), (CREATED, COMPLETED, mark)):
        relay = ResponsesRelay(BY_NAME["openrouter"])
        forwarded = b"".join(relay.feed(piece) for piece in (*pieces, HELLO))
        assert (forwarded, relay.last(None), relay.told.complete) == (CREATED, COMPLETED + mark, True)


def test_an_end_mark_may_be_missing_but_not_the_end() -> None:
    relay = ResponsesRelay(BY_NAME["openrouter"])
    assert relay.feed(CREATED + COMPLETED) == CREATED
    assert not relay.told.complete
    relay.end()
    assert (relay.last(None), relay.told.complete) == (COMPLETED, True)
    cut = ResponsesRelay(BY_NAME["openrouter"])
    cut.feed(CREATED)
    cut.end()
    assert not cut.told.complete


def test_what_we_do_not_know_passes() -> None:
    strange = [
        b": comment\r\n\r\n",
        event("response.of_tomorrow", ',"item":7,"delta":{"x":1}'),
        event("response.completed", ',"response":7'),
        b"data: [DONE]\n\n",
        b"event: alone\n\n",
    ]
    forwarded, relay = heard(CREATED, *strange, COMPLETED)
    assert forwarded == CREATED + b"".join(strange)
    assert relay.told.complete


def test_what_is_no_json_is_refused() -> None:
    relay = ResponsesRelay(OPENAI)
    with pytest.raises(UpstreamFailed) as failed:
        relay.feed(b"data: <html>\n\n")
    assert not failed.value.retryable


# ---------------------------------------------------------------- a whole answer


def whole(text: str) -> ResponsesRelay:
    relay = ResponsesRelay(OPENAI)
    relay.read_answer(text.encode())
    assert relay.answer(Charge()) == text.encode()
    return relay


def test_a_whole_answer() -> None:
    told = whole(
        f'{{"id":"r1", "model":"m","status":"completed","output":[ ],"usage":{USAGE},"service_tier":"x"}}'
    ).told
    assert (told.upstream_id, told.upstream_model, told.finish_reason) == ("r1", "m", "stop")
    assert (told.usage, told.raw_usage) == (Usage(input_tokens=5, output_tokens=2), USAGE.encode())
    assert (told.service_tier, told.complete, told.output_bytes) == ("x", True, 0)


def test_an_answer_without_usage_is_measured() -> None:
    assert whole('{"status":"completed","output":[{"type":"message"}]}').told.output_bytes > 10


def test_a_response_in_the_background_is_not_at_its_end() -> None:
    told = whole('{"id":"r1","status":"queued","output":[],"usage":null}').told
    assert (told.finish_reason, told.usage, told.complete) == (None, None, True)


def test_a_whole_failure() -> None:
    text = f'{{"status":"failed","output":[],"error":{{"code":"c","message":"Broken"}},"usage":{USAGE}}}'
    assert whole(text).told.failure == "Broken"
    with pytest.raises(UpstreamFailed) as failed:
        whole(text.replace(USAGE, "null"))
    assert failed.value.message == "Broken"


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"output":7}', b"\xff"])
def test_a_whole_answer_that_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        ResponsesRelay(OPENAI).read_answer(body)
    assert not failed.value.retryable
