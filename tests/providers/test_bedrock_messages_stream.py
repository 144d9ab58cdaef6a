"""Anthropic's streams in AWS's framing come out as Anthropic itself would have sent them."""

import re

import msgspec
import pytest

from arouter.domain.chat import Event, Failed
from arouter.domain.errors import UpstreamFailed
from arouter.providers.anthropic import AnthropicAdapter
from arouter.providers.bedrock import Bedrock
from arouter.providers.bedrock.messages_stream import MessagesUnwrapper
from tests.aws_event_stream import chunk, event, exception, message
from tests.recordings import Recording, need_recordings, recordings

STREAMED = [recording for recording in recordings("anthropic.messages") if recording.stream]
EVENT = re.compile(rb"event: ([^\n]*)\ndata: ([^\n]*)\n\n")

START = b'{"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":7}}}'
STOP = b'{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":7}}'


def unwrapped(stream: bytes, size: int | None = None) -> bytes:
    unwrapper = MessagesUnwrapper()
    step = size or len(stream) or 1
    return b"".join(unwrapper.feed(stream[at : at + step]) for at in range(0, len(stream), step))


def read(stream: bytes, size: int | None = None) -> list[Event]:
    return AnthropicAdapter().stream_reader().feed(unwrapped(stream, size))


def test_there_are_recordings() -> None:
    need_recordings()
    assert len(STREAMED) > 5


@pytest.mark.parametrize("size", [1, 7, 37, None])
@pytest.mark.parametrize("recording", STREAMED, ids=lambda recording: recording.id)
def test_a_recorded_stream_comes_out_as_it_was(recording: Recording, size: int | None) -> None:
    told = EVENT.findall(recording.response_text.encode())
    wrapped = b"".join(chunk(data) for _, data in told)
    assert unwrapped(wrapped, size) == b"".join(b"event: %b\ndata: %b\n\n" % one for one in told)


def test_only_the_dialect_of_anthropic_is_framed_otherwise_than_at_its_vendor() -> None:
    assert isinstance(Bedrock().unwrapper("anthropic"), MessagesUnwrapper)
    assert Bedrock().unwrapper("openai") is None
    assert Bedrock().unwrapper("converse") is None


def test_the_end_is_told() -> None:
    reader = AnthropicAdapter().stream_reader()
    reader.feed(unwrapped(chunk(START) + chunk(STOP)))
    assert reader.complete


def test_a_line_end_between_the_tokens_of_an_event_does_not_end_it() -> None:
    assert read(chunk(START.replace(b",", b",\r\n"))) == read(chunk(START))


def test_other_events_are_passed_over() -> None:
    assert unwrapped(event("initial-response", {}) + message() + chunk(START)) == unwrapped(chunk(START))


@pytest.mark.parametrize("size", [1, 7, 37, None])
def test_an_exception_in_the_middle_is_a_failure(size: int | None) -> None:
    stream = chunk(START) + exception("throttlingException", "Too many tokens, please wait.")
    *_, failed = read(stream, size)
    assert failed == Failed(message="Too many tokens, please wait.", code="throttlingException")


def test_an_error_without_a_modelled_exception_is_a_failure_too() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "It broke."}
    assert read(message(b"", headers)) == [Failed(message="It broke.", code="InternalError")]


def test_an_exception_that_says_nothing_has_a_message() -> None:
    headers = {":message-type": "exception", ":exception-type": "modelStreamErrorException"}
    (failed,) = read(message(b"\xff", headers))
    assert failed == Failed(message="The provider reported an error.", code="modelStreamErrorException")


GARBAGE = [
    b"<html>502 Bad Gateway</html>",
    event("chunk", {"bytes": "not base64!"}),
    event("chunk", [1]),
    message(b"\xff", {":message-type": "event", ":event-type": "chunk"}),
    chunk(b"\xff"),
    chunk(b"[]"),
    chunk('{"type":"é"}'.encode()),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_at_the_start_is_the_providers_failure_and_not_tried_again(garbage: bytes) -> None:
    with pytest.raises(UpstreamFailed) as failed:
        unwrapped(garbage)
    assert not failed.value.retryable


@pytest.mark.parametrize("size", [1, 7, 37, None])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_after_a_good_start_does_not_lose_what_came_before(garbage: bytes, size: int | None) -> None:
    stream = chunk(START) + garbage + chunk(STOP)
    *before, failed = read(stream, size)
    assert before == read(chunk(START))
    assert failed == Failed(message="The provider bedrock sent a stream that is not one.", code="malformed_stream")


def test_an_event_of_many_megabytes_is_told_whole() -> None:
    text = "x" * 3_000_000
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    assert text.encode() in unwrapped(chunk(msgspec.json.encode(delta)), 65_536)
