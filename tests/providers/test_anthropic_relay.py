"""The Messages API on both sides: what of a request changes, and that an answer does not."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.chat import FinishReason
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.domain.usage import Usage
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.anthropic.relay import (
    MessagesRelay,
    read_token_count,
    relay_count_request,
    relay_messages_request,
    relayed_headers,
)
from arouter.providers.anthropic.unsealing import without_seals
from arouter.providers.base import Prepared, Relay
from arouter.providers.vendors import BY_NAME
from arouter.wire.seals import PREFIX, Seal, seal
from tests.providers.anthropic_streams import as_stream, fold, stream_of
from tests.recordings import Recording, need_recordings, recordings

RECORDED = recordings("anthropic.messages")
WHOLE = [recording for recording in RECORDED if not recording.stream]
STREAMED = [recording for recording in RECORDED if recording.stream]
ANTHROPIC = BY_NAME["anthropic"]
NOTHING = Charge()

USAGE = {"input_tokens": 7, "output_tokens": 5, "service_tier": "priority"}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "thinking", "thinking": "Hm", "signature": "Eq=="}, {"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}


def fields(body: object) -> dict[str, msgspec.Raw]:
    written = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return msgspec.json.decode(written, type=dict[str, msgspec.Raw])


def prepared(body: object, *, identity: str | None = None, stream: bool = False) -> Prepared:
    return relay_messages_request(fields(body), vendor=ANTHROPIC, model="claude-x", stream=stream, identity=identity)


def sent(body: object, **said: Any) -> dict[str, Any]:
    return msgspec.json.decode(prepared(body, **said).body, type=dict[str, Any])


def relayed(data: bytes, size: int) -> tuple[MessagesRelay, bytes]:
    relay = MessagesRelay()
    forwarded = b"".join(relay.feed(data[at : at + size]) for at in range(0, len(data), size))
    return relay, forwarded


# ---------------------------------------------------------------- requests


def test_a_request_keeps_its_bytes_but_for_the_model() -> None:
    messages = b'[ {"role":"user","content":"Zo\\u00eb 1.50"} ]'
    body = b'{"model":"anthropic/claude-x","max_tokens": 5,"messages":' + messages + b',"x":{"y" :1e2}}'
    assert prepared(body).body == (b'{"model":"claude-x","max_tokens":5,"messages":' + messages + b',"x":{"y" :1e2}}')
    assert prepared(body).path == "/v1/messages"


@pytest.mark.parametrize("recording", RECORDED, ids=lambda recording: recording.id)
def test_a_recorded_request_is_sent_as_it_was(recording: Recording) -> None:
    stream = recording.request.get("stream", False)
    assert sent(recording.request, stream=stream) == {**recording.request, "model": "claude-x"}


def test_only_the_pseudonym_of_the_user_is_sent() -> None:
    body = {"user": "zoe@example.com", "metadata": {"user_id": "zoe@example.com", "x": 1}, "safety_identifier": "zoe"}
    assert sent(body, identity="abc") == {"metadata": {"user_id": "abc"}, "model": "claude-x"}
    assert sent(body) == {"model": "claude-x"}


def test_a_vendor_without_a_field_for_it_gets_no_pseudonym() -> None:
    told = relay_messages_request(
        fields({"metadata": {"user_id": "zoe"}}), vendor=BY_NAME["sandbox"], model="m", stream=False, identity="abc"
    )
    assert told.body == b'{"model":"m"}'


def test_what_is_said_to_the_gateway_stays_here() -> None:
    names = ("models", "route", "provider", "session_id", "usage", "transforms", "plugins", "trace", "stream_options")
    assert sent(dict.fromkeys(names, "x")) == {"model": "claude-x"}


def test_a_stream_is_asked_for() -> None:
    assert sent({}, stream=True) == {"stream": True, "model": "claude-x"}
    assert sent({"stream": False}) == {"stream": False, "model": "claude-x"}


def test_the_headers_of_the_client_go_on() -> None:
    assert relayed_headers(None, ()) == (("anthropic-version", "2023-06-01"),)
    assert relayed_headers("2024-01-01", ("a-2025-01-01,b-2025-01-01", " ", "c.d_e")) == (
        ("anthropic-version", "2024-01-01"),
        ("anthropic-beta", "a-2025-01-01,b-2025-01-01,c.d_e"),
    )


@pytest.mark.parametrize(
    ("version", "betas", "param"),
    [
        ("latest", (), "anthropic-version"),
        ("2023-06-01\n", (), "anthropic-version"),
        (None, ("a b",), "anthropic-beta"),
        (None, ("a\r\nx: y",), "anthropic-beta"),
        (None, ("ä",), "anthropic-beta"),
    ],
)
def test_a_header_that_is_none_is_refused(version: str | None, betas: tuple[str, ...], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        relayed_headers(version, betas)
    assert refused.value.param == param


# ---------------------------------------------------------------- what other providers proved


def test_thoughts_and_citations_of_other_providers_are_left_out() -> None:
    own = {"type": "thinking", "thinking": "b", "signature": "Eq=="}
    cited = {"type": "web_search_result_location", "url": "u", "encrypted_index": "Em=="}
    ours = {**cited, "encrypted_index": PREFIX}
    foreign: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "a", "signature": seal(Seal(format="openai-responses-v1", data="g"))},
        {"type": "redacted_thinking", "data": seal(Seal(call_id="i", signature="C"))},
    ]
    call = {"type": "tool_use", "id": "i", "name": "n", "input": {}}
    messages = [
        {"role": "user", "content": f"What is {PREFIX}?"},
        {"role": "assistant", "content": foreign},
        {
            "role": "assistant",
            "content": [
                *foreign,
                own,
                {"type": "text", "text": "c", "citations": [ours, cited]},
                {"type": "text", "text": "d", "citations": [ours]},
                call,
            ],
        },
    ]
    assert sent({"messages": messages})["messages"] == [
        messages[0],
        {
            "role": "assistant",
            "content": [
                own,
                {"type": "text", "text": "c", "citations": [cited]},
                {"type": "text", "text": "d"},
                call,
            ],
        },
    ]


def test_the_other_blocks_keep_their_bytes() -> None:
    block = b'{ "type":"tool_use","id":"i","name":"n","input":{"a": 1.50} }'
    sealed = seal(Seal(format="google-gemini-v1")).encode()
    body = (
        b'[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"'
        + sealed
        + b'"},'
        + block
        + b"]}]"
    )
    assert bytes(without_seals(msgspec.Raw(body))) == b'[{"role":"assistant","content":[' + block + b"]}]"


@pytest.mark.parametrize(
    "body",
    [
        b'"%s"',
        b'{"a":"%s"}',
        b'[1,"%s"]',
        b'[{"role":"user","content":"%s"}]',
        b'[{"role":"user","content":["%s"]}]',
        b'[{"role":"user","content":[{"type":"text","text":"%s"}]}]',
        b'[{"role":"user","content":[{"type":1,"text":"%s"}]}]',
        b'[{"role":"user","content":[{"type":"thinking","signature":["%s"]}]}]',
        b'[{"role":"user","content":[{"type":"text","citations":["%s"]}]}]',
    ],
)
def test_what_is_no_thought_stays_whatever_it_says(body: bytes) -> None:
    written = body % PREFIX.encode()
    assert bytes(without_seals(msgspec.Raw(written))) == written


# ---------------------------------------------------------------- answers


def test_there_are_recordings() -> None:
    need_recordings()
    assert len(WHOLE) > 100
    assert len(STREAMED) > 5


@pytest.mark.parametrize("recording", WHOLE, ids=lambda recording: recording.id)
def test_a_recorded_answer_is_relayed_byte_for_byte_and_read(recording: Recording) -> None:
    body = recording.response_text.encode()
    relay = MessagesRelay()
    relay.read_answer(body)
    assert relay.answer(NOTHING) == body
    check_told(relay, AnthropicAdapter().read_answer(body))


@pytest.mark.parametrize("size", [1, 7, 37])
@pytest.mark.parametrize("recording", STREAMED, ids=lambda recording: recording.id)
def test_a_recorded_stream_is_relayed_byte_for_byte_at_every_cut(recording: Recording, size: int) -> None:
    data = recording.response_text.encode()
    relay, forwarded = relayed(data, size)
    relay.end()
    assert not forwarded.endswith(relay.last(NOTHING))
    assert forwarded + relay.last(NOTHING) == data
    reader = AnthropicAdapter().stream_reader()
    check_told(relay, reader.feed(data))


def check_told(relay: MessagesRelay, events: list[Any]) -> None:
    """The relay tells what the adapter reads."""
    answer = fold(events)
    told = relay.told
    assert told.complete
    assert (told.upstream_id, told.upstream_model, told.usage) == (answer.id, answer.model, answer.usage)
    assert told.finish_reason == answer.finished[-1][0]
    assert told.raw_usage is not None
    raw = json.loads(told.raw_usage)
    assert raw == answer.raw_usage
    assert (told.service_tier, told.speed) == (raw.get("service_tier"), raw.get("speed"))
    assert len(told.advice) == sum(one["type"] == "advisor_message" for one in raw.get("iterations") or ())


@pytest.mark.parametrize("recording", WHOLE, ids=lambda recording: recording.id)
def test_a_recorded_answer_tells_the_same_as_a_stream(recording: Recording) -> None:
    whole, (stream, _) = MessagesRelay(), relayed(as_stream(recording.body), 4096)
    whole.read_answer(recording.response_text.encode())
    assert (stream.told.usage, stream.told.finish_reason) == (whole.told.usage, whole.told.finish_reason)
    assert (stream.told.upstream_id, stream.told.advice) == (whole.told.upstream_id, whole.told.advice)


def test_usage_is_known_as_soon_as_the_message_starts() -> None:
    relay = MessagesRelay()
    relay.feed(stream_of({"type": "message_start", "message": MESSAGE}))
    assert relay.told.usage == Usage(input_tokens=7, output_tokens=5)
    assert relay.told.service_tier == "priority"
    relay.feed(stream_of({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9, "speed": "fast"}}))
    assert relay.told.usage == Usage(input_tokens=7, output_tokens=9)
    assert (relay.told.service_tier, relay.told.speed) == ("priority", "fast")
    assert not relay.told.complete


def test_what_was_generated_is_counted_where_no_usage_comes() -> None:
    relay, _ = relayed(as_stream({**MESSAGE, "usage": None}), 4096)
    assert relay.told.usage is None
    assert relay.told.output_bytes == len("HmHello")
    whole = MessagesRelay()
    whole.read_answer(msgspec.json.encode({**MESSAGE, "usage": None}))
    assert whole.told.output_bytes == len("HmHello")


def test_an_error_in_a_stream_is_told_and_not_forwarded() -> None:
    began = stream_of({"type": "message_start", "message": MESSAGE})
    failed = stream_of({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    relay, forwarded = relayed(began + failed + began, 4096)
    assert forwarded == began
    assert (relay.told.failure, relay.told.failure_code) == ("Overloaded", "overloaded_error")
    assert not relay.told.complete


@pytest.mark.parametrize("error", ["Overloaded", None, {"message": 1}])
def test_an_error_of_any_shape_is_an_error(error: object) -> None:
    relay, forwarded = relayed(stream_of({"type": "error", "error": error}), 4096)
    assert forwarded == b""
    assert relay.told.failure == "The provider reported an error."


def test_a_stream_that_told_why_it_stopped_is_whole_without_its_last_event() -> None:
    data = as_stream(MESSAGE)
    stop = stream_of({"type": "message_stop"})
    relay, forwarded = relayed(data.removesuffix(stop), 7)
    assert not relay.told.complete
    relay.end()
    assert relay.told.complete
    assert forwarded + relay.last(None) == data.removesuffix(stop) + (
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    relay, _ = relayed(stream_of({"type": "message_start", "message": {**MESSAGE, "stop_reason": None}}), 7)
    relay.end()
    assert not relay.told.complete


def test_nothing_counts_after_the_end() -> None:
    data = as_stream(MESSAGE)
    relay, forwarded = relayed(data + data, 4096)
    assert forwarded + relay.last(None) == data


def test_events_and_fields_not_known_here_go_on() -> None:
    data = stream_of({"type": "ping"}, {"type": "new", "delta": 5}, {"type": "content_block_delta", "delta": "x"})
    data += b": comment\n\n" + b'data: {"type":"message_delta","usage":[],"delta":{"stop_reason":"new_word"}}\n\n'
    relay, forwarded = relayed(data, 4096)
    assert forwarded == data
    assert (relay.told.finish_reason, relay.told.usage) == ("new_word", None)


def test_our_words_say_why_it_stopped() -> None:
    relay = MessagesRelay()
    relay.read_answer(msgspec.json.encode({**MESSAGE, "stop_reason": "max_tokens"}))
    assert relay.told.finish_reason == FinishReason.LENGTH


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"content":5}', b'{"content":null}', b"\xff", b'{"a":' * 9999]
)
def test_a_garbled_answer_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        MessagesRelay().read_answer(body)
    assert not failed.value.retryable


def test_an_error_with_status_200_is_an_error() -> None:
    with pytest.raises(UpstreamFailed) as failed:
        MessagesRelay().read_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
    assert (failed.value.message, failed.value.code) == ("Overloaded", "overloaded_error")


@pytest.mark.parametrize("data", [b"data: <html>\n\n", b"data: {\n\n", b'data: {"type":"\xff"}\n\n'])
def test_a_garbled_stream_is_the_providers_fault(data: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        MessagesRelay().feed(data)
    assert not failed.value.retryable


def outcome(data: bytes) -> UpstreamFailed | None:
    relay: Relay = MessagesRelay()
    try:
        relay.feed(data)
    except UpstreamFailed as failed:
        return failed
    return None


@given(st.binary(max_size=64), st.integers(0, len(as_stream(MESSAGE))))
def test_any_bytes_in_a_stream_are_forwarded_or_the_providers_fault(noise: bytes, at: int) -> None:
    data = as_stream(MESSAGE)
    failed = outcome(data[:at] + noise + data[at:])
    assert failed is None or not failed.retryable


# ---------------------------------------------------------------- counting beforehand


def test_a_count_is_asked_for_without_identity_and_stream() -> None:
    body = {"messages": [], "metadata": {"user_id": "zoe"}, "user": "zoe", "stream": True, "system": "s"}
    told = relay_count_request(fields(body), vendor=ANTHROPIC, model="claude-x", betas=("a",))
    assert told.path == "/v1/messages/count_tokens"
    assert told.headers == (("anthropic-version", "2023-06-01"), ("anthropic-beta", "a"))
    assert json.loads(told.body) == {"messages": [], "system": "s", "model": "claude-x"}


def test_a_count_is_read() -> None:
    assert read_token_count(b'{"input_tokens":12,"context_management":{}}') == 12


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input_tokens":"12"}', b"<html>"])
def test_what_is_no_count_is_the_providers_fault(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        read_token_count(body)
    assert not failed.value.retryable
