"""The official OpenAI SDK for Python against the real gateway: everything besides chat, and its record."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from arouter.sandbox.audio import sound_of
from arouter.sandbox.images import TOKENS_PER_IMAGE, TOKENS_PER_INPUT_IMAGE
from arouter.sandbox.plan import Received
from arouter.sandbox.server import Sandbox
from arouter.wire.multipart import boundary_of, read_form
from tests.acceptance.client import Client, fields
from tests.acceptance.gateway import Gateway
from tests.acceptance.stored import Stored, stored_in

SAYS = "Hello from the sandbox."
SOUND = ("speech.mp3", bytes(range(256)) * 10, "audio/mpeg")
"""Three seconds, as the sandbox counts."""
IMAGE = ("image.png", b"\x89PNG\r\n--", "image/png")

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def sdk(three_dialects: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{three_dialects.url}/v1", api_key=three_dialects.live, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def client(three_dialects: Gateway) -> Iterator[Client]:
    with three_dialects.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def stored(three_dialects: Gateway) -> Iterator[Stored]:
    with stored_in(three_dialects.database) as opened:
        yield opened


def only_record(client: Client, user: str) -> dict[str, bytes]:
    [record] = client.raw_records([("user", user)])
    return record


def told(client: Client, user: str, *names: str) -> tuple[Any, ...]:
    """Fields of the one record of a user, but numbers with a point as they are written."""
    record = only_record(client, user)
    return tuple(json.loads(record[name], parse_float=str) for name in names)


def sent(vendors: Sandbox) -> Received:
    return vendors.requests[-1]


# ---------------------------------------------------------------- completions


def test_a_completion(sdk: openai.OpenAI, client: Client, vendors: Sandbox, stored: Stored) -> None:
    answer = sdk.completions.create(model="openai/gpt-3.5-turbo-instruct", prompt="Once", user="completion")
    assert answer.choices[0].text.startswith(SAYS)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 16)
    # 1 × 1.5 + 16 × 2 millionths of a dollar
    assert (answer.usage.model_extra or {})["cost"] == 0.0000335
    assert told(client, "completion", "endpoint", "model", "status", "cost", "usage_source", "finish_reason") == (
        "/v1/completions",
        "openai/gpt-3.5-turbo-instruct",
        "success",
        "0.0000335",
        "provider",
        "stop",
    )
    body = json.loads(sent(vendors).body)
    assert body == {"model": "gpt-3.5-turbo-instruct", "prompt": "Once", "user": stored.pseudonym("completion")}


@pytest.mark.parametrize("include", [None, False])
@pytest.mark.parametrize("mode", ["normal", "every_chunk", "with_choices"])
def test_a_streamed_completion(sdk: openai.OpenAI, client: Client, mode: str, include: bool | None) -> None:
    user = f"completion {mode} {include}"
    extra: Any = {} if include is None else {"stream_options": {"include_usage": include}}
    model = f"openai/gpt-3.5-turbo-instruct;usage={mode}"
    chunks = list(sdk.completions.create(model=model, prompt="Once", user=user, stream=True, **extra))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices).startswith(SAYS)
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert [usage.completion_tokens for usage in usages] == ([16] if include is None else [])
    assert told(client, user, "streamed", "completion_tokens", "status") == (True, 16, "success")


def test_a_completion_without_usage_is_estimated(sdk: openai.OpenAI, client: Client) -> None:
    sdk.completions.create(model="openai/gpt-3.5-turbo-instruct;usage=none", prompt="Once", user="estimated")
    assert told(client, "estimated", "usage_source") == ("estimated",)
    assert told(client, "estimated", "completion_tokens")[0] > 10


def test_a_completion_that_breaks_off(sdk: openai.OpenAI, client: Client) -> None:
    with pytest.raises(openai.APIError) as broken:
        for _ in sdk.completions.create(model="openai/gpt;cut_after=5", prompt="Once", user="cut", stream=True):
            pass
    assert broken.value.code == "upstream_error"
    assert told(client, "cut", "status", "error_code") == ("upstream_error", "upstream_error")


# ---------------------------------------------------------------- embeddings, rankings, verdicts


def test_embeddings(sdk: openai.OpenAI, client: Client, vendors: Sandbox, stored: Stored) -> None:
    answer = sdk.embeddings.create(model="openai/text-embedding-3-small", input=["a" * 40, "b"], user="vectors")
    assert [len(one.embedding) for one in answer.data] == [1536, 1536]
    assert answer.usage.prompt_tokens == 11
    assert (answer.usage.model_extra or {})["cost"] == 0.00000022
    assert json.loads(sent(vendors).body)["user"] == stored.pseudonym("vectors")
    assert told(client, "vectors", "endpoint", "prompt_tokens", "completion_tokens", "cost") == (
        "/v1/embeddings",
        11,
        None,
        "0.00000022",
    )


@pytest.mark.parametrize("prefix", ["", "/v1", "/api/v1", "/api"])
def test_every_alias_is_served(three_dialects: Gateway, prefix: str) -> None:
    with openai.OpenAI(base_url=three_dialects.url + prefix, api_key=three_dialects.live, max_retries=0) as sdk:
        assert sdk.embeddings.create(model="sandbox/sandbox", input="x").usage.prompt_tokens == 1
        assert sdk.audio.transcriptions.create(model="sandbox/sandbox", file=SOUND).text.startswith(SAYS)


def test_a_ranking(client: Client) -> None:
    asked = {"model": "openai/rank", "query": "red", "documents": ["blue", "red"], "user": "ranking"}
    answer = client.post("/v1/rerank", asked)
    assert [one["index"] for one in answer.json["results"]] == [1, 0]
    assert fields(fields(answer.body)["usage"])["cost"] == b"null"
    assert told(client, "ranking", "endpoint", "prompt_tokens", "cost", "usage_source") == (
        "/v1/rerank",
        2,
        None,
        "provider",
    )


def test_a_verdict_has_no_usage_and_no_price(sdk: openai.OpenAI, client: Client, vendors: Sandbox) -> None:
    answer = sdk.moderations.create(input="Hello", extra_body={"user": "verdict"})
    assert not answer.results[0].flagged
    assert json.loads(sent(vendors).body) == {"input": "Hello", "model": "omni-moderation-latest"}
    assert told(client, "verdict", "endpoint", "model", "total_tokens", "cost", "usage_source") == (
        "/v1/moderations",
        "openai/omni-moderation-latest",
        None,
        None,
        "none",
    )


# ---------------------------------------------------------------- images


def test_images(sdk: openai.OpenAI, client: Client, vendors: Sandbox, stored: Stored) -> None:
    answer = sdk.images.generate(model="openai/gpt-image-1.5", prompt="a red dot", n=2, user="images")
    assert len(answer.data or []) == 2
    assert answer.usage is not None
    # 2 × 5 + 544 × 32: what is made are images, though nothing but their sum is told
    assert (answer.usage.model_extra or {})["cost"] == 0.017418
    assert json.loads(sent(vendors).body)["user"] == stored.pseudonym("images")
    assert told(client, "images", "endpoint", "image_tokens", "cost") == (
        "/v1/images/generations",
        2 * TOKENS_PER_IMAGE,
        "0.017418",
    )


def test_a_stream_of_images(sdk: openai.OpenAI, client: Client) -> None:
    stream = sdk.images.generate(
        model="openai/gpt-image-1", prompt="a red dot", user="partial", stream=True, partial_images=2
    )
    events = list(stream)
    assert [event.type for event in events] == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    last: Any = events[-1]
    assert last.usage.model_extra["cost"] == 0.01089
    assert told(client, "partial", "streamed", "image_tokens", "cost") == (True, TOKENS_PER_IMAGE, "0.01089")


def test_an_edited_image(sdk: openai.OpenAI, client: Client, vendors: Sandbox, stored: Stored) -> None:
    answer = sdk.images.edit(model="openai/gpt-image-1", image=IMAGE, prompt="a red dot", user="edit")
    assert answer.usage is not None
    assert told(client, "edit", "endpoint", "image_tokens", "status") == (
        "/v1/images/edits",
        TOKENS_PER_INPUT_IMAGE + TOKENS_PER_IMAGE,
        "success",
    )
    received = sent(vendors)
    form = read_form(received.body, boundary_of(received.headers["content-type"]))
    assert (form.text("model"), form.text("user")) == ("gpt-image-1", stored.pseudonym("edit"))
    [file] = [part for part in form.parts if part.is_file]
    assert received.body[file.content : file.end] == IMAGE[1]


def test_images_of_a_model_that_tells_no_usage(sdk: openai.OpenAI, client: Client) -> None:
    answer = sdk.images.generate(model="openai/dall-e-3;usage=none", prompt="a red dot", user="dall-e")
    assert answer.usage is None
    assert told(client, "dall-e", "cost", "usage_source", "status") == (None, "none", "success")


# ---------------------------------------------------------------- sound


def test_speech(sdk: openai.OpenAI, client: Client, vendors: Sandbox) -> None:
    with sdk.audio.speech.with_streaming_response.create(
        model="openai/tts-1", input="one two", voice="alloy", extra_body={"user": "speech"}
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.headers["x-generation-id"].startswith("gen-")
        assert answer.read() == sound_of("one") + sound_of(" two")
    assert "user" not in json.loads(sent(vendors).body)
    # 7 characters at 15 dollars a million
    assert told(client, "speech", "endpoint", "total_tokens", "cost", "usage_source", "status") == (
        "/v1/audio/speech",
        None,
        "0.000105",
        "estimated",
        "success",
    )


def test_speech_of_a_model_that_is_priced_by_tokens_which_nobody_tells(sdk: openai.OpenAI, client: Client) -> None:
    sdk.audio.speech.create(
        model="openai/gpt-4o-mini-tts", input="one two", voice="alloy", extra_body={"user": "silent tokens"}
    )
    assert told(client, "silent tokens", "total_tokens", "cost") == (None, None)


def test_speech_in_events(sdk: openai.OpenAI, client: Client) -> None:
    with sdk.audio.speech.with_streaming_response.create(
        model="openai/gpt-4o-mini-tts",
        input="one two",
        voice="alloy",
        stream_format="sse",
        extra_body={"user": "speech events"},
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(event.partition("\ndata: ")[2]) for event in answer.text().split("\n\n")[:-1]]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == sound_of("one") + sound_of(" two")
    # 1 × 0.6 + 20 × 12
    assert events[-1]["usage"]["cost"] == 0.0002406
    assert told(client, "speech events", "prompt_tokens", "completion_tokens", "cost") == (1, 20, "0.0002406")


def test_speech_that_breaks_off_is_cut(sdk: openai.OpenAI, client: Client) -> None:
    with (
        pytest.raises(httpx2.RemoteProtocolError),
        sdk.audio.speech.with_streaming_response.create(
            model="openai/tts-1;cut_after=2;token_ms=5",
            input="one two three four",
            voice="alloy",
            extra_body={"user": "cut speech"},
        ) as answer,
    ):
        answer.read()
    assert told(client, "cut speech", "status", "http_status") == ("upstream_error", 200)


def test_a_transcription_that_is_priced_by_the_hour(sdk: openai.OpenAI, client: Client, vendors: Sandbox) -> None:
    answer = sdk.audio.transcriptions.create(model="openai/whisper-1", file=SOUND, extra_body={"user": "whisper"})
    assert answer.text.startswith(SAYS)
    usage: Any = answer.usage
    assert (usage.seconds, usage.model_extra["cost"]) == (3, 0.0003)
    assert told(client, "whisper", "endpoint", "total_tokens", "cost", "usage_source") == (
        "/v1/audio/transcriptions",
        None,
        "0.0003",
        "provider",
    )
    received = sent(vendors)
    form = read_form(received.body, boundary_of(received.headers["content-type"]))
    assert (form.text("model"), form.text("user")) == ("whisper-1", None)
    [file] = [part for part in form.parts if part.is_file]
    assert received.body[file.content : file.end] == SOUND[1]


def test_a_transcription_that_is_priced_by_tokens(sdk: openai.OpenAI, client: Client) -> None:
    answer = sdk.audio.transcriptions.create(
        model="openai/gpt-4o-transcribe", file=SOUND, extra_headers={"X-ARouter-User": "by%20header"}
    )
    # 30 × 6 + 16 × 10
    assert (answer.usage.model_extra or {})["cost"] == 0.00034 if answer.usage else False
    assert told(client, "by header", "prompt_tokens", "audio_tokens", "cost") == (30, 30, "0.00034")


@pytest.mark.parametrize(("form", "kind"), [("text", "text/plain"), ("srt", "text/plain"), ("vtt", "text/vtt")])
def test_a_transcription_as_text(client: Client, sdk: openai.OpenAI, form: Any, kind: str) -> None:
    raw = sdk.audio.transcriptions.with_raw_response.create(
        model="openai/whisper-1", file=SOUND, response_format=form, extra_body={"user": form}
    )
    assert raw.headers["content-type"].startswith(kind)
    assert SAYS in raw.text
    assert told(client, form, "cost", "usage_source", "status") == (None, "none", "success")


def test_a_translation(sdk: openai.OpenAI, client: Client) -> None:
    answer = sdk.audio.translations.create(model="openai/whisper-1", file=SOUND, extra_body={"user": "translation"})
    assert answer.text.startswith(SAYS)
    assert told(client, "translation", "endpoint", "cost") == ("/v1/audio/translations", "0.0003")


def test_a_streamed_transcription(sdk: openai.OpenAI, client: Client) -> None:
    events = list(
        sdk.audio.transcriptions.create(
            model="openai/gpt-4o-transcribe", file=SOUND, stream=True, extra_body={"user": "streamed text"}
        )
    )
    assert [event.type for event in events] == ["transcript.text.delta"] * 16 + ["transcript.text.done"]
    last: Any = events[-1]
    assert last.usage.model_extra["cost"] == 0.00034
    assert told(client, "streamed text", "streamed", "cost") == (True, "0.00034")


def test_a_streamed_transcription_that_breaks_off(sdk: openai.OpenAI, client: Client) -> None:
    with pytest.raises(openai.APIError) as broken:
        for _ in sdk.audio.transcriptions.create(
            model="openai/gpt-4o-transcribe;cut_after=3", file=SOUND, stream=True, extra_body={"user": "broken text"}
        ):
            pass
    assert broken.value.code == "upstream_error"
    assert told(client, "broken text", "status", "cost") == ("upstream_error", None)


# ---------------------------------------------------------------- what goes wrong

JSON_PATHS: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": "x"},
    "/v1/embeddings": {"input": "x"},
    "/v1/rerank": {"query": "x", "documents": []},
    "/v1/images/generations": {"prompt": "x"},
    "/v1/audio/speech": {"input": "x", "voice": "alloy"},
}
FORM_PATHS = ("/v1/images/edits", "/v1/audio/transcriptions", "/v1/audio/translations")
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def part(name: str, text: str, rest: str = "") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{rest}\r\n\r\n{text}\r\n'


FILES = part("file", "x", "; filename=f") + part("image", "x", "; filename=f") + part("prompt", "x")


@pytest.mark.parametrize("path", JSON_PATHS)
@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({}, 400, "missing_required_parameter", "model"),
        ({"model": 7}, 400, "invalid_type", "model"),
        ({"model": "nobody/x"}, 404, "model_not_found", "model"),
        ({"model": "anthropic/claude-sonnet-4.6"}, 400, "endpoint_not_supported", "model"),
        ({"model": "openai/sandbox-error-404"}, 404, "not_found", None),
        ({"model": "openai/sandbox-error-500"}, 502, "upstream_error", None),
        ({"model": "openai/sandbox;wrong_output=html;cut_after=200"}, 502, "upstream_error", None),
    ],
)
def test_what_is_wrong_with_json(
    client: Client, path: str, changes: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    user = f"{path} {changes}"
    answer = client.post(path, {**JSON_PATHS[path], **changes, "user": user})
    if path == "/v1/audio/speech" and "wrong_output" in str(changes):
        assert answer.body.startswith(b"<!doctype html>")  # any bytes may be sound
        return
    assert (answer.status, answer.error["code"], answer.error["param"]) == (status, code, param)
    assert told(client, user, "endpoint", "http_status", "error_code", "cost") == (path, status, code, None)


@pytest.mark.parametrize("path", FORM_PATHS)
@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (FILES + "--b--", 400, "missing_required_parameter", "model"),
        (FILES + part("model", "openai/m") + part("model", "openai/m") + "--b--", 400, "invalid_value", "model"),
        (part("model", "openai/m") + part("prompt", "x") + "--b--", 400, "missing_required_parameter", "file"),
        (FILES + part("model", "nobody/m") + "--b--", 404, "model_not_found", "model"),
        (FILES + part("model", "google/m") + "--b--", 400, "endpoint_not_supported", "model"),
        (FILES + part("model", "openai/sandbox-error-429") + "--b--", 429, "rate_limit_exceeded", None),
        (FILES + part("model", "openai/m"), 400, "invalid_multipart", None),
        ('{"model": "openai/whisper-1"}', 400, "invalid_multipart", None),
    ],
)
def test_what_is_wrong_with_a_form(
    three_dialects: Gateway, path: str, body: str, status: int, code: str, param: str | None
) -> None:
    if param == "file" and "images" in path:
        param = "image"
    with three_dialects.client(three_dialects.new_key("forms")) as client:
        answer = client.ask("POST", path, body.encode(), FORM)
        assert (answer.status, answer.error["code"], answer.error["param"]) == (status, code, param)
        [record] = client.records([])
    assert (record["endpoint"], record["http_status"], record["error_code"]) == (path, status, code)


def test_a_form_that_is_too_large(three_dialects: Gateway) -> None:
    with three_dialects.client(three_dialects.new_key("large")) as client:
        body = (FILES + part("model", "openai/m")).encode() + bytes(21 * 1024 * 1024)
        answer = client.ask("POST", "/v1/audio/transcriptions", body, FORM)
        assert (answer.status, answer.error["code"]) == (413, "request_too_large")
    with three_dialects.manager() as manager:
        [record] = manager.records([("endpoint", "/v1/audio/transcriptions"), ("limit", "1")])
    assert (record["status"], record["error_code"]) == ("rejected", "request_too_large")
