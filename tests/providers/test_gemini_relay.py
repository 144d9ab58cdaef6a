"""Gemini on both sides: bytes pass unchanged, the ledger reads along, and the end waits."""

import base64
import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.charge import Charge
from arouter.domain.chat import Finished, ReasoningDelta, TextDelta, ToolCallArguments, UsageReported
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.providers.base import Prepared, Relay
from arouter.providers.gemini import GeminiAdapter
from arouter.providers.gemini.contents import PLACEHOLDER_SIGNATURE
from arouter.providers.gemini.relay import GenerateRelay, relay_count_tokens_request, relay_generate_request
from arouter.providers.vendors import BY_NAME
from arouter.wire.gemini_generate.proofs import seal
from arouter.wire.gemini_generate.request import GATEWAY_FIELDS
from tests.providers.gemini_answers import ERROR, answer, candidate, server_event
from tests.providers.test_gemini_recordings import STREAMED, WHOLE, events_of, name
from tests.recordings import Recording

Body = dict[str, Any]

GOOGLE = BY_NAME["google"]
CHARGE = Charge()


def relay(as_array: bool = False) -> Relay:
    return GenerateRelay(as_array=as_array)


# ---------------------------------------------------------------- requests


def prepare(body: Body, *, model: str = "gemini-2.5-flash", stream: bool = False, **rest: Any) -> Prepared:
    fields = msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])
    return relay_generate_request(fields, vendor=GOOGLE, model=model, stream=stream, identity="pseudonym", **rest)


def sent(body: Body) -> Body:
    told: Body = json.loads(prepare(body).body)
    return told


HELLO: Body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def test_the_bytes_of_each_field_stay_as_the_client_wrote_them() -> None:
    body = b'{"contents" : [ {"parts":[{"text":"\\u00e9"}]} ], "temperature_x": 1.50}'
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    told = relay_generate_request(fields, vendor=GOOGLE, model="m", stream=False, identity=None)
    assert told.body == b'{"contents":[ {"parts":[{"text":"\\u00e9"}]} ],"temperature_x":1.50}'


def test_what_is_the_gateway_s_own_does_not_leave() -> None:
    assert sent({**HELLO, **dict.fromkeys(GATEWAY_FIELDS, "x"), "store": True}) == {**HELLO, "store": True}


def test_the_end_user_is_taken_from_the_labels() -> None:
    assert sent({**HELLO, "labels": {"user": "me", "team": "a"}}) == {**HELLO, "labels": {"team": "a"}}
    assert sent({**HELLO, "labels": {"user": "me"}}) == HELLO
    with pytest.raises(InvalidRequest) as refused:
        sent({**HELLO, "labels": "me"})
    assert refused.value.param == "labels"


@pytest.mark.parametrize(
    ("stream", "query", "path", "form"),
    [
        (False, [("alt", "sse")], "/v1beta/models/m:generateContent", ""),
        (True, [("alt", "sse"), ("key", "secret")], "/v1beta/models/m:streamGenerateContent", "alt=sse"),
        (True, [("key", "secret"), ("fields", "candidates")], "/v1beta/models/m:streamGenerateContent", ""),
        (True, [], "/v1beta/models/m:streamGenerateContent", ""),
    ],
)
def test_of_the_query_only_the_form_of_a_stream_is_sent(
    stream: bool, query: list[tuple[str, str]], path: str, form: str
) -> None:
    told = prepare(HELLO, model="m", stream=stream, query=query)
    assert (told.path, told.query, told.headers) == (path, form, ())


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:generateContent"),
        ("tunedModels/mine", "/v1beta/tunedModels/mine:generateContent"),
        ("../../admin?key=x#y", "/v1beta/models/..%2F..%2Fadmin%3Fkey%3Dx%23y:generateContent"),
        ("a b\r\nHost: x", "/v1beta/models/a%20b%0D%0AHost%3A%20x:generateContent"),
    ],
)
def test_a_model_s_name_is_one_piece_of_the_path(model: str, path: str) -> None:
    assert prepare(HELLO, model=model).path == path
    fields = msgspec.json.decode(msgspec.json.encode(HELLO), type=dict[str, msgspec.Raw])
    assert relay_count_tokens_request(fields, model=model).path == path.replace("generateContent", "countTokens")


@given(st.text())
def test_no_name_of_a_model_gets_out_of_its_place(model: str) -> None:
    with suppress(InvalidRequest):  # It has no name.
        path = prepare(HELLO, model=model).path
        assert path.startswith(("/v1beta/models/", "/v1beta/tunedModels/"))
        assert path.isascii()
        assert path.count("/") == 3
        assert not any(sign in path for sign in "? #\r\n\0")


def thought(signature: str, name: str = "thoughtSignature") -> Body:
    part = {"text": "t", name: signature}
    return {"contents": [{"role": "model", "parts": [part]}]}


ANTHROPIC = ReasoningDelta(signature="sig", format="anthropic-claude-v1")
OWN_BY_ID = ReasoningDelta(data="Z2VtaW5p", format="google-gemini-v1", id="call_1")


@pytest.mark.parametrize("field", ["thoughtSignature", "thought_signature"])
@pytest.mark.parametrize(
    ("proof", "told"),
    [
        (seal(ANTHROPIC, 7), PLACEHOLDER_SIGNATURE),
        (seal(OWN_BY_ID, 0), "Z2VtaW5p"),
        ("c29tZXRoaW5n", "c29tZXRoaW5n"),
    ],
)
def test_a_proof_that_google_would_refuse_is_not_sent(field: str, proof: str, told: str) -> None:
    assert sent(thought(proof, field)) == thought(told, field)
    url_safe = base64.urlsafe_b64encode(base64.b64decode(proof)).decode()
    assert sent(thought(url_safe, field)) == thought(told, field)


def test_what_somebody_says_about_proofs_stays() -> None:
    text = json.dumps(thought(seal(ANTHROPIC, 7)))
    body = {"contents": [{"parts": [{"text": text}]}]}
    assert sent(body) == body


# ---------------------------------------------------------------- recorded answers


def expected(recording: Recording) -> Body:
    """What our translating reader says of the same answer."""
    if recording.stream:
        events = GeminiAdapter().stream_reader().feed(recording.response_text.encode())
    else:
        events = GeminiAdapter().read_answer(recording.response_text.encode())
    texts = [event.text for event in events if isinstance(event, TextDelta | ReasoningDelta)]
    texts += [event.fragment for event in events if isinstance(event, ToolCallArguments)]
    usage = [event for event in events if isinstance(event, UsageReported)]
    return {
        "finish": [event.reason for event in events if isinstance(event, Finished)][-1],
        "usage": usage[-1].usage,
        "raw": usage[-1].raw,
        "said": bool("".join(texts)),
    }


def check_told(one: Relay, recording: Recording, first: Body) -> None:
    told, wanted = one.told, expected(recording)
    assert told.complete
    assert told.failure is None
    assert (told.finish_reason, told.usage, told.raw_usage) == (wanted["finish"], wanted["usage"], wanted["raw"])
    assert (told.output_bytes > 0) is wanted["said"]
    assert told.upstream_id == first["responseId"]
    assert told.upstream_model == first["modelVersion"].removeprefix("models/")
    assert told.service_tier == json.loads(wanted["raw"]).get("serviceTier")


@pytest.mark.parametrize("recording", WHOLE, ids=name)
def test_a_whole_answer_passes(recording: Recording) -> None:
    body = recording.response_text.encode()
    one = relay()
    one.read_answer(body)
    assert one.answer(CHARGE) == body
    check_told(one, recording, recording.body)


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[start : start + size] for start in range(0, len(stream), size)]


@pytest.mark.parametrize("recording", STREAMED, ids=name)
@pytest.mark.parametrize("size", [1, 7, 37, 1_000_000])
def test_a_stream_passes_cut_anywhere(recording: Recording, size: int) -> None:
    stream = recording.response_text.encode()
    one = relay()
    forwarded = b"".join(one.feed(piece) for piece in cut(stream, size))
    one.end()
    assert b"finishReason" not in forwarded
    assert forwarded + one.last(CHARGE) == stream
    check_told(one, recording, events_of(recording)[0])


def as_array(recording: Recording) -> bytes:
    """The same answer as it comes without `alt=sse`."""
    return b"[" + b"\n,\r\n".join(json.dumps(event, indent=2).encode() for event in events_of(recording)) + b"\n]"


@pytest.mark.parametrize("recording", STREAMED, ids=name)
@pytest.mark.parametrize("size", [1, 7, 37, 1_000_000])
def test_an_array_passes_cut_anywhere(recording: Recording, size: int) -> None:
    stream = as_array(recording)
    one = relay(as_array=True)
    forwarded = b"".join(one.feed(piece) for piece in cut(stream, size))
    one.end()
    assert b"finishReason" not in forwarded
    assert forwarded + one.last(None) == stream
    assert one.told.usage == expected(recording)["usage"]
    assert one.told.complete


# ---------------------------------------------------------------- the end of a stream


def test_what_follows_the_end_waits_with_it() -> None:
    one = relay()
    text, end, usage = (
        server_event(answer({"text": "a"}, reason=None)),
        server_event(answer({"text": "b"})),
        server_event({"usageMetadata": {"promptTokenCount": 3}, "responseId": "r1"}),
    )
    assert one.feed(text) == text
    assert one.feed(end) == b""
    assert one.feed(usage + b": comment\r\n\r\n") == b""
    one.end()
    assert one.last(None) == end + usage + b": comment\r\n\r\n"
    assert one.told.usage is not None
    assert one.told.usage.prompt_tokens == 3


def test_an_end_before_the_last_one_leaves() -> None:
    one = relay()
    first, second = server_event(answer({"text": "a"})), server_event(answer({"text": "b"}))
    assert one.feed(first) == b""
    assert one.feed(second) == first
    assert one.last(None) == second


def test_a_candidate_that_goes_on_lets_go_what_was_kept_back() -> None:
    one = relay()
    first = server_event({"candidates": [candidate({"text": "a"}, index=0)]})
    other = server_event({"candidates": [candidate({"text": "b"}, reason=None, index=1)]})
    end = server_event({"candidates": [candidate({"text": "c"}, index=1)]})
    assert one.feed(first) == b""
    assert one.feed(other) == first + other
    one.end()
    assert not one.told.complete
    assert one.feed(end) == b""
    one.end()
    assert one.told.complete
    assert one.last(None) == end


def test_a_blocked_prompt_is_an_end() -> None:
    one = relay()
    blocked = server_event({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 1}})
    assert one.feed(blocked) == b""
    one.end()
    assert one.told.complete
    assert one.told.finish_reason == "content_filter"
    assert one.last(None) == blocked


def test_a_stream_without_a_reason_broke_off() -> None:
    one = relay()
    one.feed(server_event(answer({"text": "a"}, reason=None)))
    one.end()
    assert not one.told.complete


def test_calls_are_a_reason_of_their_own() -> None:
    one = relay()
    one.feed(server_event(answer({"functionCall": {"name": "f", "args": {"a": 1}}}, reason=None)))
    one.feed(server_event(answer({"text": ""})))
    assert one.told.finish_reason == "tool_calls"
    assert one.told.output_bytes == len(b'{"a": 1}')


# ---------------------------------------------------------------- what is not an answer


@pytest.mark.parametrize("as_array", [False, True])
def test_an_error_in_a_stream_is_told_and_kept(as_array: bool) -> None:
    one = relay(as_array)
    good, bad = json.dumps(answer({"text": "a"}, reason=None)).encode(), json.dumps(ERROR).encode()
    stream = b"[" + good + b"," + bad + b"]" if as_array else b"data: " + good + b"\n\ndata: " + bad + b"\n\n"
    assert one.feed(stream) == (b"[" + good if as_array else b"data: " + good + b"\n\n")
    assert one.told.failure == "The model is overloaded."
    assert one.told.failure_code == "UNAVAILABLE"
    assert isinstance(one, GenerateRelay)
    assert one.begun


def test_an_error_without_an_event_around_it_is_one() -> None:
    one = relay()
    assert one.feed(json.dumps([ERROR]).encode() + b"\n\n") == b""
    assert one.told.failure == "The model is overloaded."


def test_json_that_we_do_not_know_passes() -> None:
    one = relay()
    event = server_event({"candidates": "?"}) + server_event({"anything": 1})
    assert one.feed(event) == event


@pytest.mark.parametrize("stream", [b"data: no json\n\n", b"data: \xff\n\n", b"<html></html>\n\n", b"data: [1\n\n"])
def test_nonsense_is_the_provider_s_fault(stream: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        relay().feed(stream)
    assert not failed.value.retryable


@pytest.mark.parametrize("stream", [b'{"candidates": []}', b"no json", b"[1]", b"x[{}]", b'["a"]', b"[{]}]"])
def test_a_stream_that_is_no_array_is_the_provider_s_fault(stream: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        relay(as_array=True).feed(stream)
    assert not failed.value.retryable


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"candidates": 3}', b"\xff", b"[" * 5000])
def test_an_answer_that_is_none_is_the_provider_s_fault(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        relay().read_answer(body)
    assert not failed.value.retryable


def test_an_error_as_an_answer_is_one() -> None:
    with pytest.raises(UpstreamFailed, match="overloaded"):
        relay().read_answer(json.dumps(ERROR).encode())


def test_an_answer_without_candidates_broke_off() -> None:
    one = relay()
    one.read_answer(json.dumps({"usageMetadata": {"promptTokenCount": 1}}).encode())
    assert one.told.finish_reason == "error"


@given(
    st.binary(max_size=60).filter(lambda stream: not stream.startswith(b"\xef"))
    | st.text('[]{}",:\\\r\n data', max_size=40).map(str.encode),
    st.booleans(),
)
def test_no_bytes_do_anything_but_pass_or_fail(stream: bytes, as_array: bool) -> None:
    one = relay(as_array)
    with suppress(UpstreamFailed):
        forwarded = b"".join(one.feed(piece) for piece in cut(stream, 3))
        one.end()
        assert one.told.failure is not None or forwarded + one.last(None) == stream
