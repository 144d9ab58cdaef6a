"""A request to a provider's own path: what of it goes on, what is read of it, and which paths are whose."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools import reference

from arouter.domain.errors import ARouterError, InvalidRequest, NotPermitted
from arouter.web.app import aliases
from arouter.web.inference.dialects import dialects
from arouter.web.inference.head import FORWARDED, read_head
from arouter.web.inference.passing import RESERVED, PassThrough
from arouter.web.inference.passing_request import ClosedReader, PassingReader, split_path, without_key
from tests.engine.samples import key

JSON = {b"content-type": b"application/json"}
PATH = "/openai/v1/chat/completions"


def read(
    body: bytes = b"",
    headers: dict[bytes, bytes] | None = None,
    *,
    path: str = PATH,
    query: bytes = b"",
    method: str = "POST",
    **rules: Any,
) -> PassingReader:
    reader = PassingReader(key(**rules), read_head({} if headers is None else headers, query, path, method))
    reader.read(body)
    return reader


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("path", "body", "headers", "models", "requested"),
    [
        (PATH, b'{"model":"gpt-5.4"}', JSON, ("openai/gpt-5.4",), "openai/gpt-5.4"),
        (PATH, b' {"model":"a/b"}', {}, ("openai/a/b",), "openai/a/b"),
        (PATH, b'{"model":7}', JSON, ("openai/*",), None),
        (PATH, b'{"model":null}', JSON, ("openai/*",), None),
        (PATH, b"{", JSON, ("openai/*",), None),
        (PATH, b"", {}, ("openai/*",), None),
        ("/google/v1beta/models/g%2F1:generateContent", b"{}", JSON, ("google/g/1",), "google/g/1"),
        (
            "/openai/v1/audio/transcriptions",
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--',
            {b"content-type": b"multipart/form-data; boundary=b"},
            ("openai/whisper-1",),
            "openai/whisper-1",
        ),
        ("/openai/v1/files", b"no form", {b"content-type": b"multipart/form-data"}, ("openai/*",), None),
    ],
)
def test_the_model_is_where_it_can_be_seen(
    path: str, body: bytes, headers: dict[bytes, bytes], models: tuple[str, ...], requested: str | None
) -> None:
    reader = read(body, headers, path=path)
    assert (reader.models, reader.requested_model) == (models, requested)
    assert reader.sent is not None
    assert reader.sent.body == body


def test_what_goes_on() -> None:
    headers = dict.fromkeys((*FORWARDED, b"cookie", b"authorization", b"x-forwarded-for", b"user-agent"), b"x")
    reader = read(b"{}", headers, path="/openai/v1/files%20", query=b"a=1&key=k&b", method="PUT")
    sent = reader.sent
    assert sent is not None
    assert (sent.method, sent.path, sent.query, sent.content_type) == ("PUT", "/v1/files%20", "a=1&b", "x")
    assert {name for name, _ in sent.headers} == {name.decode() for name in FORWARDED} - {"content-type"}
    assert read(headers=JSON).sent is not None
    assert getattr(read(headers=JSON).sent, "content_type", "") is None


def test_the_user_is_the_headers() -> None:
    assert read(b'{"user":"body"}', {b"x-arouter-user": b"j%C3%BC"}).user == "jü"
    assert read(b'{"user":"body"}').user is None


def test_whether_a_stream_is_asked_for() -> None:
    told = [read(body, JSON).stream for body in (b'{"stream":true}', b'{"stream":false}', b'{"stream":"x"}', b"{}")]
    assert told == [True, False, False, False]


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", ""),
        (b"key=k", ""),
        (b"key=k&alt=sse", "alt=sse"),
        (b"a=%20+&%6Bey=k&key&keys=1", "a=%20+&keys=1"),
        (b"k=key", "k=key"),
    ],
)
def test_our_key_is_taken_out_of_the_query(query: bytes, kept: str) -> None:
    assert without_key(query) == kept


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"path": "/openai/v1/../x"}, "invalid_value"),
        ({"path": "/openai/v1/%2e%2E/x"}, "invalid_value"),
        ({"path": "/openai/./x"}, "invalid_value"),
        ({"path": "/openai/v1/ü"}, "invalid_value"),
        ({"path": "/openai/v1/a b"}, "invalid_value"),
        ({"query": b"a=\xff"}, "invalid_value"),
        ({"headers": {b"accept": b"\xff"}}, "invalid_value"),
        ({"headers": {b"x-arouter-user": b"\xff"}}, "invalid_value"),
        ({"headers": {b"sec-websocket-key": b"x"}}, "websocket_not_supported"),
    ],
)
def test_what_cannot_go_on(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(**changes)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","x":{"model":"b"},"mod\\u0065l":"b"}',
        b'{"model":"a","models":["b"]}',
        b'{"model":"a","fallbacks":[]}',
    ],
)
def test_a_list_of_models_holds_for_one_model(body: bytes) -> None:
    with pytest.raises(NotPermitted) as refused:
        read(body, JSON, allowed_models=("openai/a",))
    assert refused.value.code == "model_not_allowed"
    assert read(body, JSON).models[0].startswith("openai/")


def test_a_model_further_down_is_no_second_one() -> None:
    body = b'{"a":{"model":"x","model":"y"},"model":"a","tools":[{"model":"z"}]}'
    assert read(body, JSON, allowed_models=("openai/a",)).models == ("openai/a",)


@given(st.binary(max_size=60), st.text(max_size=20), st.binary(max_size=20))
def test_nothing_does_anything_but_be_read_or_refused(body: bytes, path: str, text: bytes) -> None:
    for headers in ({}, JSON, {b"content-type": text}, {b"accept": text}):
        with suppress(ARouterError):
            read(body, headers, path=f"/openai/{path}", query=text, allowed_models=("m",))
        with suppress(ARouterError):
            read(b'{"model":' + body + b"}", headers)


# ---------------------------------------------------------------- whose path it is


def passing() -> PassThrough:
    providers: dict[str, Any] = {"openai": "openai", "google": "gemini", "gemini": "gemini", "models": "openai"}
    return PassThrough(inference=None, providers=providers)  # type: ignore[arg-type]  # nothing is answered


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("/openai/v1/files", True),
        ("/openai/files", True),
        ("/openai", False),
        ("/gemini/v1beta/models", True),
        ("/nobody/v1/chat/completions", True),
        ("/nobody/v1beta/models", True),
        ("/nobody/files", False),
        ("/models/gpt-5.4", False),
        ("/models/v1/x", False),
        ("/v1/keys", False),
        ("/api/v1/keys", False),
        ("/", False),
    ],
)
def test_a_path_begins_with_the_name_of_a_provider(path: str, matches: bool) -> None:
    assert passing().matches(path) is matches


def test_no_path_of_the_gateways_own_is_a_providers() -> None:
    paths = [alias for dialect in dialects() for alias in aliases(dialect.path)]
    for path in reference.openapi()["paths"]:
        paths += aliases(path) if path.startswith("/v1/") else [] if path.startswith("/{") else [path]
    assert len(paths) > 60
    assert [path for path in paths if split_path(path)[0] not in RESERVED | {""}] == []
    assert [path for path in paths if passing().matches(path)] == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (PATH, PATH),
        ("/openai/chat/completions", PATH),
        ("/openai/v1/files/file-1", "/openai/*"),
        ("/gemini/v1beta/models/g:generateContent", "/gemini/v1beta/models/{model}:generateContent"),
        ("/nobody/v1/files", "/{provider}/*"),
    ],
)
def test_records_know_few_names_of_endpoints(path: str, name: str) -> None:
    assert passing().name(*split_path(path)) == name


@pytest.mark.parametrize(
    ("method", "path", "known"),
    [
        ("POST", PATH, True),
        ("POST", "/openai/chat/completions", True),
        ("POST", "/gemini/v1beta/models/g:generateContent", True),
        ("GET", "/openai/v1/models", True),
        ("GET", "/openai/models/gpt-5.4", True),
        ("GET", "/gemini/v1beta/models/g", True),
        ("DELETE", "/openai/v1/models/mine", False),
        ("GET", "/openai/v1/files", False),
        ("POST", "/openai/v1/files", False),
        ("GET", "/openai/v1/responses/resp_1", False),
        ("POST", "/nobody/v1/chat/completions", False),
    ],
)
def test_what_a_provider_keeps_passes_only_where_the_operator_says_so(method: str, path: str, known: bool) -> None:
    assert passing().passes(method, *split_path(path)) is known
    assert replace(passing(), scope="all").passes(method, *split_path(path))


def test_what_does_not_pass_is_refused_with_what_was_understood() -> None:
    reader = ClosedReader(key(), read_head({b"x-arouter-user": b"u"}, b"", "/openai/v1/files", "GET"))
    with pytest.raises(NotPermitted, match="pass_through") as refused:
        reader.read(b"")
    assert (refused.value.code, reader.user) == ("path_not_allowed", "u")
