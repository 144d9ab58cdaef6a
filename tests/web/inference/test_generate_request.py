"""A request to Gemini's API, read as far as the gateway needs it."""

import json
from typing import Any

import pytest

from arouter.domain.errors import ARouterError, InvalidRequest, NotFound
from arouter.web.inference.dialects import gemini_dialects, gemini_matcher
from arouter.web.inference.generate_request import EmbedBatchReader, EmbedReader, GenerateReader
from arouter.web.inference.head import read_head
from tests.engine.samples import key

PLAIN: dict[str, Any] = {"contents": []}
PATH = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"


def read(body: dict[str, Any], path: str = PATH, query: bytes = b"", user: str | None = None) -> GenerateReader:
    headers = {} if user is None else {b"x-arouter-user": user.encode()}
    reader = GenerateReader(key(), read_head(headers, query, path))
    reader.read(json.dumps(body).encode())
    return reader


@pytest.mark.parametrize(
    ("said", "user"),
    [
        ({}, None),
        ({"labels": {}}, None),
        ({"labels": {"user": "u", "team": "t"}}, "u"),
        ({"user": "first", "labels": {"user": "u"}}, "first"),
    ],
)
def test_who_it_is_for(said: dict[str, Any], user: str | None) -> None:
    assert read({**PLAIN, **said}).user == user


def test_the_header_names_the_user_where_the_body_does_not() -> None:
    assert read(PLAIN, user="h").user == "h"
    assert read({**PLAIN, "labels": {"user": "u"}}, user="h").user == "u"


@pytest.mark.parametrize(
    ("path", "asked", "stream"),
    [
        (PATH, "google/gemini-2.5-flash", False),
        (STREAM, "google/gemini-2.5-flash", True),
        ("/v1/models/openai/gpt-5.4:generateContent", "openai/gpt-5.4", False),
        ("/api/v1beta/models/openrouter/a/b:free:generateContent", "openrouter/a/b:free", False),
        ("/models/openai/gpt-5.4:generateContent", "openai/gpt-5.4", False),
        ("/api/models/gemini-2.5-flash:generateContent", "google/gemini-2.5-flash", False),
        ("/v1beta/google/gemini-2.5-flash:streamGenerateContent", "google/gemini-2.5-flash", True),
        ("/api/v1beta/fireworks/accounts/f/models/m:generateContent", "fireworks/accounts/f/models/m", False),
    ],
)
def test_the_path_names_model_and_method(path: str, asked: str, stream: bool) -> None:
    reader = read(PLAIN, path)
    assert (reader.models, reader.stream) == ((asked,), stream)


def test_only_paths_of_its_method_are_a_dialects() -> None:
    whole, stream = gemini_dialects()[:2]
    assert gemini_matcher(whole)(PATH)
    assert not gemini_matcher(stream)(PATH)
    assert gemini_matcher(stream)("/api" + STREAM)
    assert not gemini_matcher(whole)("/v1/models/gpt-5.4")
    assert not gemini_matcher(whole)("/elsewhere" + PATH)
    assert gemini_matcher(whole)("/v1beta/google/gemini-2.5-flash:generateContent")
    assert not gemini_matcher(whole)("/google/gemini-2.5-flash:generateContent")


@pytest.mark.parametrize(
    ("body", "path", "query", "kind"),
    [
        (PLAIN, "/v1beta/models/:generateContent", b"", InvalidRequest),
        (PLAIN, "/v1beta/models/x:tuneContent", b"", NotFound),
        (PLAIN, STREAM, b"alt=proto", InvalidRequest),
        ({"contents": 7}, PATH, b"", InvalidRequest),
        ({}, PATH, b"", InvalidRequest),
        ({**PLAIN, "labels": {"user": 7}}, PATH, b"", InvalidRequest),
        ({**PLAIN, "labels": 7}, PATH, b"", InvalidRequest),
    ],
)
def test_what_is_refused(body: dict[str, Any], path: str, query: bytes, kind: type[ARouterError]) -> None:
    with pytest.raises(kind):
        read(body, path, query)


@pytest.mark.parametrize(
    ("reader", "good", "bad", "param"),
    [
        (EmbedReader, {"content": {"parts": []}}, {"requests": []}, "content"),
        (EmbedBatchReader, {"requests": []}, {"requests": {}}, "requests"),
    ],
)
def test_embeddings_have_their_content(
    reader: type[GenerateReader], good: dict[str, Any], bad: dict[str, Any], param: str
) -> None:
    def read_by(body: dict[str, Any]) -> GenerateReader:
        made = reader(key(), read_head({}, b"", "/v1beta/models/gemini-embedding-001:embedContent"))
        made.read(json.dumps(body).encode())
        return made

    assert read_by({**good, "user": "u"}).user == "u"
    with pytest.raises(InvalidRequest) as refused:
        read_by(bad)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("path", "query", "in_events"),
    [(STREAM, b"", False), (STREAM, b"alt=json", False), (STREAM, b"alt=sse", True), (PATH, b"", True)],
)
def test_a_stream_is_one_array_unless_events_are_asked_for(path: str, query: bytes, in_events: bool) -> None:
    assert read(PLAIN, path, query).in_events is in_events
