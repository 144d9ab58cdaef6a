"""What is passed on is passed on byte for byte, and a tap reads usage, ids and models of whatever it can read."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.usage import Usage
from arouter.providers import openai
from arouter.providers.passing.paths import KNOWN, below_base, known_path, model_in_path
from arouter.providers.passing.relay import MOST_KEPT_BYTES, PassingRelay
from arouter.providers.passing.taps import ObjectTap, note_endpoint, note_generated, note_message, note_response
from arouter.providers.told import Told, ToldWithoutText
from arouter.providers.vendors import BY_NAME
from tests.recordings import Recording, recordings

OPENAI = BY_NAME["openai"]
CUTS = (1, 7, 37, 10**6)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def heard(note: Any, *pieces: bytes) -> Told:
    """What a tap notes of an answer."""
    relay = PassingRelay(ObjectTap(note, Told()))
    assert b"".join(map(relay.feed, pieces)) == b"".join(pieces)
    relay.end()
    assert relay.last(None) == b""
    return relay.told


def stream(*events: Any) -> bytes:
    return b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)


# ---------------------------------------------------------------- byte for byte


@given(st.lists(st.binary(min_size=1)))
def test_any_bytes_go_on(pieces: list[bytes]) -> None:
    for made in (None, openai.Relay(OPENAI), *(known.tap(OPENAI) for known in KNOWN)):
        relay = PassingRelay(made)
        for piece in pieces:
            assert relay.feed(piece) == piece
            assert (relay.told.complete, relay.told.failure) == (False, None)
        relay.end()
        assert relay.told.complete


@pytest.mark.parametrize("size", CUTS)
@pytest.mark.parametrize("recording", recordings("openai.chat")[:20], ids=lambda one: one.id)
def test_a_recorded_chat_is_read_on_the_way(recording: Recording, size: int) -> None:
    relay = PassingRelay(openai.Relay(OPENAI))
    body = recording.response_text.encode()
    assert b"".join(map(relay.feed, cut(body, size))) == body
    relay.end()
    if recording.status == 200 and not recording.stream:
        assert relay.told.usage is not None
        assert relay.told.usage.total_tokens == recording.body["usage"]["total_tokens"]
        assert relay.told.upstream_id == recording.body["id"]


def test_an_answer_that_is_too_long_to_be_read_goes_on() -> None:
    relay = PassingRelay(ObjectTap(note_response, Told()))
    piece = b"[" + b" " * (MOST_KEPT_BYTES // 2)
    assert [relay.feed(piece) == piece for _ in range(3)] == [True] * 3
    relay.end()
    assert (relay.told.complete, relay.told.usage) == (True, None)


def test_an_error_in_a_stream_is_told_at_its_end() -> None:
    relay = PassingRelay(openai.Relay(OPENAI))
    relay.feed(b'data: {"error":{"message":"No."}}\n\n')
    before = relay.told.failure
    relay.end()
    assert (before, relay.told.complete, relay.told.failure) == (None, True, "No.")


def test_what_the_tap_cannot_read_goes_on() -> None:
    relay = PassingRelay(openai.Relay(OPENAI))
    for piece in (b"data: <html>\n\n", b"data: [DONE]\n\n", b"more"):
        assert relay.feed(piece) == piece
    relay.end()
    assert (relay.told.complete, relay.told.usage) == (True, None)


# ---------------------------------------------------------------- taps


@pytest.mark.parametrize("size", CUTS)
@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_a_stream_of_responses(kind: str, size: int) -> None:
    response = {"id": "resp_1", "object": "response", "model": "gpt-5.4", "status": kind, "service_tier": "flex"}
    usage = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3}
    body = stream(
        {"type": "response.created", "response": {**response, "status": "in_progress", "usage": None}},
        {"type": "response.output_text.delta", "delta": "Hi", "usage": 7},
        {"type": f"response.{kind}", "response": {**response, "usage": usage}},
    )
    told = heard(note_response, *cut(body, size))
    assert told.usage == Usage(input_tokens=3, cache_read_tokens=2, output_tokens=3)
    assert (told.upstream_id, told.upstream_model, told.service_tier) == ("resp_1", "gpt-5.4", "flex")
    assert (told.finish_reason, told.output_bytes) == (kind, 2)


def test_a_stream_of_messages_is_cumulative() -> None:
    told = heard(
        note_message,
        stream(
            {
                "type": "message_start",
                "message": {
                    "id": "msg_1",
                    "model": "claude",
                    "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1},
                },
            },
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{}"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        ),
    )
    assert told.usage == Usage(input_tokens=5, cache_read_tokens=2, output_tokens=9)
    assert (told.upstream_id, told.upstream_model, told.finish_reason, told.output_bytes) == (
        "msg_1",
        "claude",
        "end_turn",
        4,
    )


def test_an_error_in_a_stream_of_messages() -> None:
    assert heard(note_message, stream({"type": "error", "error": {"message": "Overloaded"}})).failure == "Overloaded"


@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize("size", CUTS)
def test_a_stream_of_gemini(as_array: bool, size: int) -> None:
    pieces = [
        {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}], "usageMetadata": {"promptTokenCount": 5}},
        {
            "candidates": [{"finishReason": "STOP"}],
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r",
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3},
        },
    ]
    told = heard(note_generated, *cut(msgspec.json.encode(pieces) if as_array else stream(*pieces), size))
    assert told.usage == Usage(input_tokens=5, output_tokens=3)
    assert (told.upstream_id, told.upstream_model, told.finish_reason) == ("r", "gemini-2.5-flash", "STOP")
    assert told.output_bytes == 2


def test_several_images_are_added_up() -> None:
    usage = {"usage": {"input_tokens": 1, "output_tokens": 30}}
    told = heard(note_endpoint("openai", of_images=True), stream(usage, {"type": "x"}, usage))
    assert told.usage == Usage(input_tokens=2, output_image_tokens=60)


@given(st.binary(max_size=100))
def test_no_bytes_harm_a_tap(data: bytes) -> None:
    for note in (note_response, note_message, note_generated, note_endpoint("openai")):
        tap = ObjectTap(note, ToldWithoutText())
        for body in (data, b'{"usage":' + data + b"}", b'{"type":"message_start","message":{"usage":' + data + b"}}"):
            tap.read_answer(body)
            tap.feed(b"data: " + body + b"\n\n")


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("dialect", "path", "name"),
    [
        ("openai", "/chat/completions", "/v1/chat/completions"),
        ("openai", "/chat/completions/1", None),
        ("openai", "/v1/messages", None),
        ("anthropic", "/v1/messages", "/v1/messages"),
        ("anthropic", "/v1/messages/batches", None),
        ("gemini", "/v1beta/models/g-1:generateContent", "/v1beta/models/{model}:generateContent"),
        ("gemini", "/v1/models/g:streamGenerateContent", "/v1beta/models/{model}:streamGenerateContent"),
        ("gemini", "/v1beta/models/g:countTokens", None),
        ("gemini", "/v1beta/models/a/b:generateContent", None),
    ],
)
def test_which_paths_are_known(dialect: Any, path: str, name: str | None) -> None:
    known = known_path(dialect, path)
    assert (None if known is None else known.name) == name


def test_a_path_of_gemini_names_its_model() -> None:
    assert model_in_path("/v1beta/models/g%2F1:countTokens") == "g%2F1"
    assert [model_in_path(path) for path in ("/v1beta/models", "/v1beta/models/g", "/v1/chat/completions")] == [
        None
    ] * 3


@pytest.mark.parametrize(
    ("path", "base", "below"),
    [
        ("/v1/files", "/v1", "/files"),
        ("/v1/files", "", "/v1/files"),
        ("/openai/v1/files", "/openai/v1", "/files"),
        ("/v1/files", "/openai/v1", "/files"),
        ("/files", "/openai/v1", "/files"),
        ("/v1", "/v1", "/"),
        ("/v10/files", "/v1", "/v10/files"),
        ("/v1/v1/files", "/v1", "/v1/files"),
    ],
)
def test_the_end_of_the_base_is_said_once(path: str, base: str, below: str) -> None:
    assert below_base(path, base) == below


SEGMENTS = st.lists(st.sampled_from(["v1", "openai", "files", "a"]), min_size=1, max_size=4)


@given(SEGMENTS, st.lists(st.sampled_from(["v1", "openai"]), max_size=3))
def test_nothing_but_the_end_of_the_base_is_left_out(path: list[str], base: list[str]) -> None:
    asked, own = "/" + "/".join(path), "".join(f"/{one}" for one in base)
    below = below_base(asked, own)
    dropped = asked.removesuffix(below) if below != "/" else asked
    assert dropped == "" or own.endswith(dropped)
    assert below.startswith("/")
