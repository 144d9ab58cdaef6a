"""Requests to OpenAI's other endpoints, read as far as the gateway needs it; forms, however they are cut."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.domain.keys import Key, UserPolicy
from arouter.web.inference import endpoint_requests as requests
from arouter.web.inference.dialects import ENDPOINTS
from arouter.web.inference.head import Head, read_head
from arouter.web.inference.request import RequestReader
from tests.engine.samples import key
from tests.engine.scripted_client import Says
from tests.web.inference.test_endpoint import BEARER, Exchange

FORM = {"content-type": "multipart/form-data; boundary=b"}
FILE = b"\r\n--\r\n--B\r\n\0\xff--b-not"
TRANSCRIPTION = next(one for one in ENDPOINTS if one.path == "/v1/audio/transcriptions")


def part(name: str, content: bytes, rest: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{rest}\r\n\r\n'.encode() + content + b"\r\n"


UPLOAD = (
    part("model", b"openai/whisper-1")
    + part("user", "jürgen".encode())
    + part("file", FILE, '; filename="a.mp3"\r\nContent-Type: audio/mpeg')
    + part("language", b"de")
    + b"--b--\r\n"
)


def read(
    reader: Callable[[Key, Head], RequestReader], body: bytes | dict[str, Any], header: str | None = None, **rules: Any
) -> Any:
    told = {b"content-type": FORM["content-type"].encode()} if isinstance(body, bytes) else {}
    if header is not None:
        told[b"x-arouter-user"] = header.encode()
    one = reader(key(**rules), read_head(told, b""))
    one.read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return one


@pytest.mark.parametrize(
    ("reader", "body", "code", "param"),
    [
        (requests.CompletionReader, {"model": "m"}, "missing_required_parameter", "prompt"),
        (requests.EmbeddingReader, {"model": "m"}, "missing_required_parameter", "input"),
        (requests.EmbeddingReader, {"input": "x"}, "missing_required_parameter", "model"),
        (requests.RerankReader, {"model": "m", "query": "x"}, "missing_required_parameter", "documents"),
        (requests.ModerationReader, {"model": "m"}, "missing_required_parameter", "input"),
        (requests.ImageReader, {"model": "m"}, "missing_required_parameter", "prompt"),
        (requests.ImageReader, {"model": "m", "prompt": 7}, "invalid_type", "prompt"),
        (requests.ImageReader, {"model": "m", "prompt": "x", "stream": "yes"}, "invalid_type", "stream"),
        (requests.SpeechReader, {"model": "m", "input": []}, "invalid_type", "input"),
        (requests.SpeechReader, {"model": "m", "input": "x", "stream_format": 1}, "invalid_type", "stream_format"),
        (requests.FormReader, {"model": "m"}, "invalid_multipart", None),
        (requests.FormReader, b"--b--", "missing_required_parameter", "model"),
        (requests.FormReader, part("model", b"m") + b"--b--", "missing_required_parameter", "file"),
        (
            requests.FormReader,
            part("model", b"m") + part("file", b"x") + b"--b--",
            "missing_required_parameter",
            "file",
        ),
        (requests.FormReader, part("user", b"x" * 1025) + UPLOAD[UPLOAD.index(b"--b", 9) :], "invalid_value", "user"),
        (requests.FormReader, part("stream", b"maybe") + UPLOAD, "invalid_type", "stream"),
        (requests.ImageEditReader, UPLOAD, "missing_required_parameter", "prompt"),
        (requests.ImageEditReader, part("prompt", b"x") + UPLOAD, "missing_required_parameter", "image"),
    ],
)
def test_what_is_wrong_is_named(
    reader: type[RequestReader], body: bytes | dict[str, Any], code: str, param: str | None
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(reader, body)
    assert (refused.value.code, refused.value.param) == (code, param)


def test_what_a_form_says_is_read_like_json() -> None:
    reader = read(requests.FormReader, UPLOAD, "header")
    assert (reader.user, reader.models, reader.stream, reader.asked_bytes) == (
        "jürgen",
        ("openai/whisper-1",),
        False,
        None,
    )
    assert reader.sent.form.text("language") == "de"
    assert read(requests.FormReader, UPLOAD.replace(b'"user"', b'"other"'), "header").user == "header"
    fixed = read(requests.FormReader, UPLOAD, user_policy=UserPolicy.FIXED, fixed_user="f")
    assert (fixed.user, fixed.overruled) == ("f", True)


@pytest.mark.parametrize(("text", "streamed"), [(b"true", True), (b"TRUE", True), (b"false", False)])
def test_a_form_may_ask_for_a_stream(text: bytes, streamed: bool) -> None:
    assert read(requests.FormReader, part("stream", text) + UPLOAD).stream is streamed
    assert read(requests.TranslationReader, part("stream", text) + UPLOAD).stream is False


def test_a_verdict_may_name_no_model() -> None:
    assert read(requests.ModerationReader, {"input": "x"}).models == ("omni-moderation-latest",)


def test_speech_comes_in_pieces_and_is_a_stream_where_it_comes_in_events() -> None:
    plain = read(requests.SpeechReader, {"model": "m", "input": "Hello"})
    assert (plain.in_pieces, plain.stream, plain.asked_bytes) == (True, False, 7)
    assert read(requests.SpeechReader, {"model": "m", "input": "x", "stream_format": "sse"}).stream


def test_images_may_be_edited_with_json() -> None:
    one = requests.ImageEditReader(key(), read_head({b"content-type": b"application/json; charset=utf-8"}, b""))
    one.read(b'{"model":"m","prompt":"x","images":[{"image_url":"https://example.com/a.png"}],"stream":true}')
    assert (one.sent, one.stream, one.models) == (None, True, ("m",))


def test_a_form_arrives_the_same_however_it_is_cut() -> None:
    """At every boundary between two chunks. What goes upstream is the same, the file byte for byte."""
    sent = set()
    for at in range(len(UPLOAD)):
        exchange = Exchange(Says(steps=[b'{"text":"Hi","usage":{"type":"duration","seconds":3}}']))
        exchange.dialect = TRANSCRIPTION
        status, _, body = exchange.ask(headers={**BEARER, **FORM}, chunks=[UPLOAD[:at], UPLOAD[at:]])
        assert (status, msgspec.json.decode(body)["text"]) == (200, "Hi")
        [asked] = exchange.pipeline.client.asked
        assert b"\r\nContent-Type: multipart/form-data; boundary=b\r\n" in asked.head
        sent.add(asked.body)
        [record] = exchange.records
        assert (record.opening.user, record.opening.endpoint) == ("jürgen", TRANSCRIPTION.path)
    [one] = sent
    assert FILE in one
    assert (b"whisper-1" in one, b"openai/" in one, "jürgen".encode() in one) == (True, False, False)


@given(st.binary(max_size=100))
def test_no_bytes_do_anything_but_be_refused(data: bytes) -> None:
    for dialect in ENDPOINTS:
        for body in (data, b'{"model":"m","input":' + data + b"}", part("model", data) + UPLOAD):
            with suppress(InvalidRequest):
                read(dialect.reader, body)
