"""OpenAI's own SDK against the sandbox's other endpoints, and OpenAI's own schema on what it says."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from arouter.sandbox.audio import sound_of
from arouter.sandbox.images import TOKENS_PER_IMAGE, TOKENS_PER_INPUT_IMAGE
from arouter.sandbox.server import Sandbox
from tests.sandbox.published_schema import validator
from tests.sandbox.raw_client import ask, post

SOUND = ("speech.mp3", bytes(2500), "audio/mpeg")
IMAGE = ("image.png", b"\x89PNG", "image/png")
SAYS = "Hello from the sandbox."


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sandbox.url + "/v1", api_key="any", max_retries=0) as made:
        yield made


# ---------------------------------------------------------------- completions


def test_a_completion(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="sandbox", prompt="Once upon a time", max_tokens=3)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("Hello from the", "length")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 3)


def test_a_completion_is_valid(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post("/v1/completions", {"model": "sandbox", "prompt": "Hi"}))
    validator("CreateCompletionResponse").validate(json.loads(answer.body))


def test_a_streamed_completion_says_the_same(client: openai.OpenAI) -> None:
    whole = client.completions.create(model="sandbox", prompt=["a", "b"])
    chunks = list(
        client.completions.create(
            model="sandbox", prompt=["a", "b"], stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


@pytest.mark.parametrize(("mode", "told"), [("every_chunk", 17), ("with_choices", 1), ("none", 0)])
def test_where_the_usage_of_a_stream_is(client: openai.OpenAI, mode: str, told: int) -> None:
    chunks = list(client.completions.create(model=f"sandbox?usage={mode}", prompt="Hi", stream=True))
    assert sum(chunk.usage is not None for chunk in chunks) == told


# ---------------------------------------------------------------- images


def test_images(client: openai.OpenAI) -> None:
    answer = client.images.generate(model="gpt-image-1", prompt="a red dot", n=2)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 2 * TOKENS_PER_IMAGE)
    assert [base64.b64decode(one.b64_json or "")[:4] for one in answer.data or []] == [b"\x89PNG"] * 2


def test_an_image_is_valid(sandbox: Sandbox) -> None:
    answer = ask(sandbox, post("/v1/images/generations", {"model": "gpt-image-1", "prompt": "a red dot"}))
    validator("ImagesResponse").validate(json.loads(answer.body))


def test_an_edited_image(client: openai.OpenAI) -> None:
    answer = client.images.edit(model="gpt-image-1", image=IMAGE, prompt="a red dot")
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == TOKENS_PER_INPUT_IMAGE


def test_a_stream_of_images(client: openai.OpenAI, sandbox: Sandbox) -> None:
    stream = client.images.generate(model="gpt-image-1", prompt="a red dot", stream=True, partial_images=2)
    assert [event.type for event in stream] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    asked = {"model": "gpt-image-1", "prompt": "a red dot", "stream": True, "partial_images": 1}
    body = ask(sandbox, post("/v1/images/generations", asked)).body
    for event in body.split(b"\n\n")[:-1]:
        validator("ImageGenStreamEvent").validate(json.loads(event.partition(b"\ndata: ")[2]))


# ---------------------------------------------------------------- sound


def test_speech_depends_on_its_words(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(model="tts-1", input="one two", voice="alloy") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.read() == sound_of("one") + sound_of(" two")


def test_speech_in_events(client: openai.OpenAI) -> None:
    asked: Any = {"model": "gpt-4o-mini-tts", "input": "one two", "voice": "alloy", "stream_format": "sse"}
    with client.audio.speech.with_streaming_response.create(**asked) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(event.partition("\ndata: ")[2]) for event in answer.text().split("\n\n")[:-1]]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == sound_of("one") + sound_of(" two")
    assert events[-1]["usage"] == {"input_tokens": 1, "output_tokens": 20, "total_tokens": 21}
    for event in events:
        validator("CreateSpeechResponseStreamEvent").validate(event)


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("whisper-1", {"type": "duration", "seconds": 3}),
        (
            "gpt-4o-transcribe",
            {
                "type": "tokens",
                "input_tokens": 30,
                "input_token_details": {"audio_tokens": 30, "text_tokens": 0},
                "output_tokens": 16,
                "total_tokens": 46,
            },
        ),
    ],
)
def test_a_transcription(client: openai.OpenAI, model: str, usage: dict[str, Any]) -> None:
    answer = client.audio.transcriptions.create(model=model, file=SOUND)
    assert answer.text.startswith(SAYS)
    assert answer.usage is not None
    assert answer.usage.model_dump(exclude_none=True) == usage
    validator("CreateTranscriptionResponseJson").validate(answer.model_dump(exclude_none=True))


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize("form", ["text", "srt", "vtt"])
def test_a_transcription_as_text(client: openai.OpenAI, form: Any) -> None:
    answer: Any = client.audio.transcriptions.create(model="whisper-1", file=SOUND, response_format=form)
    assert SAYS in answer
    assert SAYS in client.audio.translations.create(model="whisper-1", file=SOUND, response_format=form)


def test_a_transcription_with_its_length(client: openai.OpenAI) -> None:
    answer = client.audio.transcriptions.create(model="whisper-1", file=SOUND, response_format="verbose_json")
    assert answer.duration == 3


def test_a_streamed_transcription(client: openai.OpenAI) -> None:
    events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, stream=True))
    assert events[-1].type == "transcript.text.done"
    said = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert "".join(said) == events[-1].text
    for event in events:
        validator("CreateTranscriptionResponseStreamEvent").validate(event.model_dump(exclude_none=True))


# ---------------------------------------------------------------- verdicts and rankings


def test_nothing_is_found_wrong(client: openai.OpenAI) -> None:
    answer = client.moderations.create(model="omni-moderation-latest", input=["one", "two"])
    assert [one.flagged for one in answer.results] == [False, False]


def test_documents_are_ranked_by_the_words_they_share(sandbox: Sandbox) -> None:
    asked = {
        "model": "rank",
        "query": "red dot",
        "documents": ["blue", {"text": "a red dot"}, "a red line"],
        "top_n": 2,
    }
    answer = json.loads(ask(sandbox, post("/v1/rerank", asked)).body)
    assert [(one["index"], one["relevance_score"]) for one in answer["results"]] == [(1, 1.0), (2, 0.5)]
    assert answer["usage"] == {"total_tokens": 10}


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("completions", {"model": "m"}, "prompt"),
        ("completions", {"model": "m", "prompt": "x", "max_tokens": 0}, "max_tokens"),
        ("images/generations", {"model": "m"}, "prompt"),
        ("images/generations", {"model": "m", "prompt": "x", "n": 0}, "n"),
        ("images/generations", {"model": "m", "prompt": "x", "partial_images": 4}, "partial_images"),
        ("audio/speech", {"model": "m", "input": "x"}, "voice"),
        ("audio/speech", {"model": "m", "input": "x", "voice": "v", "response_format": "mid"}, "response_format"),
        ("moderations", {"model": "m"}, "input"),
        ("rerank", {"model": "m", "query": "x"}, "documents"),
        ("audio/transcriptions", {"model": "m"}, None),
    ],
)
def test_what_is_obviously_wrong_is_a_400(sandbox: Sandbox, path: str, body: object, param: str | None) -> None:
    answer = ask(sandbox, post(f"/v1/{path}", body))
    assert (answer.status, json.loads(answer.body)["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("data", "files", "param"),
    [
        ({"model": "m"}, {"other": SOUND}, "file"),
        ({}, {"file": SOUND}, "model"),
        ({"model": "m", "response_format": "x"}, {"file": SOUND}, "response_format"),
    ],
)
def test_a_form_that_lacks_something(client: openai.OpenAI, data: Any, files: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.post(
            "/audio/transcriptions",
            body=data,
            files=[(name, file) for name, file in files.items()],
            cast_to=object,
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
    assert refused.value.param == param


def test_they_fail_as_chats_do(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.images.generate(model="sandbox-error-429", prompt="x")
