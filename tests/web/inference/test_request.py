"""A chat request, read as far as the gateway needs it; whatever cannot be read is refused by the name of the field."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.domain.keys import UserPolicy
from arouter.web.inference.chat_request import ChatReader
from arouter.web.inference.head import read_head
from tests.engine.samples import key

NO_HEAD = read_head({}, b"")
PLAIN: dict[str, Any] = {"model": "openai/gpt-5.4", "messages": []}


def read(body: bytes | dict[str, Any], header_user: str | None = None, **rules: Any) -> ChatReader:
    told = {} if header_user is None else {b"x-arouter-user": header_user.encode()}
    reader = ChatReader(key(**rules), read_head(told, b""))
    reader.read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return reader


def refusal(body: bytes | dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as refused:
        read(body)
    return refused.value.code, refused.value.param


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b"null", "invalid_json", None),
        (b'{"\xff":1}', "invalid_json", None),
        (b'{"a":' + b"[" * 100_000, "invalid_json", None),
        ({"messages": []}, "missing_required_parameter", "model"),
        ({"messages": [], "model": None}, "missing_required_parameter", "model"),
        ({"messages": [], "models": []}, "missing_required_parameter", "model"),
        ({**PLAIN, "model": 7}, "invalid_type", "model"),
        ({**PLAIN, "models": "a"}, "invalid_type", "models"),
        ({**PLAIN, "models": ["a", 1]}, "invalid_type", "models"),
        ({**PLAIN, "models": ["a"] * 9}, "invalid_value", "models"),
        ({**PLAIN, "models": ["a"], "route": "random"}, "invalid_value", "route"),
        ({**PLAIN, "models": ["a"], "route": 1}, "invalid_type", "route"),
        ({**PLAIN, "stream": "yes"}, "invalid_type", "stream"),
        ({**PLAIN, "stream_options": 1}, "invalid_type", "stream_options"),
        ({**PLAIN, "stream_options": {"include_usage": 1}}, "invalid_type", "stream_options.include_usage"),
        ({**PLAIN, "user": 7}, "invalid_type", "user"),
        ({**PLAIN, "user": "x" * 1025}, "string_above_max_length", "user"),
        ({**PLAIN, "user": "ü" * 513}, "string_above_max_length", "user"),
        ({**PLAIN, "safety_identifier": {}}, "invalid_type", "safety_identifier"),
        ({**PLAIN, "session_id": 1}, "invalid_type", "session_id"),
        ({"model": "m"}, "missing_required_parameter", "messages"),
        ({"model": "m", "messages": None}, "invalid_type", "messages"),
        ({"model": "m", "messages": "Hi"}, "invalid_type", "messages"),
        (b'{"model":"m","messages":[],"user":"\xff"}', "invalid_type", "user"),
        (b'{"model":"m","messages":[],"user":"\\ud800"}', "invalid_json", None),
    ],
)
def test_what_is_wrong_is_named(body: bytes | dict[str, Any], code: str, param: str | None) -> None:
    assert refusal(body) == (code, param)


@pytest.mark.parametrize(
    "user", ["", " ", "ü", "u\u0308", "a/b?c=d&e=f#g", "'; DROP TABLE x", "=cmd()", "😀" * 256, "\0"]
)
def test_a_user_is_kept_as_it_is(user: str) -> None:
    assert read({**PLAIN, "user": user}, "header").user == user


@pytest.mark.parametrize(
    ("body", "header", "user"),
    [
        ({"user": "a", "safety_identifier": "b"}, "c", "a"),
        ({"user": None, "safety_identifier": "b"}, "c", "b"),
        ({"safety_identifier": ""}, "c", ""),
        ({"user": None}, "c", "c"),
        ({}, "", ""),
        ({}, None, None),
    ],
)
def test_the_body_names_the_user_before_the_header(body: dict[str, Any], header: str | None, user: str | None) -> None:
    reader = read({**PLAIN, **body}, header)
    assert (reader.user, reader.overruled) == (user, False)


def test_a_key_with_a_fixed_user_overrules() -> None:
    rules = {"user_policy": UserPolicy.FIXED, "fixed_user": "f"}
    assert (read({**PLAIN, "user": "a"}, **rules).user, read(PLAIN, **rules).overruled) == ("f", True)
    assert not read({**PLAIN, "user": "f"}, **rules).overruled


def test_models_to_fall_back_to_follow_the_one_that_is_asked_for_once_each() -> None:
    assert read({**PLAIN, "model": "a", "models": ["b", "a", "b", "c"]}).models == ("a", "b", "c")
    assert read({"messages": [], "models": ["b", "c"]}).models == ("b", "c")
    assert read({**PLAIN, "models": None}).models == ("openai/gpt-5.4",)
    assert read({**PLAIN, "model": "a", "models": [], "route": "fallback"}).models == ("a",)
    assert read({**PLAIN, "model": "a", "models": ["b"], "route": None}).models == ("a", "b")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({}, True), ({"stream_options": None}, True), ({"stream_options": {}}, True)]
    + [({"stream_options": {"include_usage": said}}, said is not False) for said in (True, False, None)],
)
def test_only_an_explicit_no_is_a_no(options: dict[str, Any], wanted: bool) -> None:
    assert read({**PLAIN, "stream": True, **options}).include_usage is wanted


def test_what_was_understood_of_a_refused_request_is_kept() -> None:
    reader = ChatReader(key(), read_head({b"x-session-id": b"from the header"}, b""))
    with pytest.raises(InvalidRequest):
        reader.read(b'{"user":"u","model":"m","stream":true,"messages":7}')
    assert (reader.user, reader.requested_model, reader.stream) == ("u", "m", True)
    assert reader.session_id == "from the header"


def test_it_is_the_call_that_it_becomes_and_the_same_with_other_fields_too() -> None:
    call = read({**PLAIN, "provider": {"only": ["openai"]}}, user_policy=UserPolicy.OPTIONAL)
    assert bytes(call.fields["provider"]) == b'{"only": ["openai"]}'
    assert call.preferences is call.fields["provider"]
    other = call.with_fields({})
    assert (other.fields, other.models, other.key, other.preferences) == ({}, call.models, call.key, call.preferences)
    assert set(call.fields) == {"model", "messages", "provider"}


def test_what_the_model_is_to_read_is_measured_of_a_request_that_is_not_refused() -> None:
    plain = b'{"model":"m","messages": [ 1 ] ,"temperature":0.5'
    assert read(plain + b"}").asked_bytes == len("[ 1 ]")
    assert read(plain + b',"tools":[{}]}').asked_bytes == len("[ 1 ]") + len("[{}]")
    refused = ChatReader(key(), NO_HEAD)
    with pytest.raises(InvalidRequest):
        refused.read(plain + b',"session_id":7}')
    assert refused.asked_bytes is None


def test_a_session_is_cut_between_characters() -> None:
    assert read({**PLAIN, "session_id": "é" * 200}).session_id == "é" * 128
    assert read({**PLAIN, "session_id": ""}).session_id == ""


NAMES = ("model", "models", "route", "messages", "stream", "stream_options", "user", "safety_identifier", "session_id")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_no_json_does_anything_but_be_read_or_refused(body: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        read(body)


@given(st.binary())
def test_no_bytes_do_anything_but_be_refused(body: bytes) -> None:
    for data in (body, b'{"model":"m","messages":[],"user":"' + body + b'"}', b'{"stream_options":{' + body + b"}}"):
        with suppress(InvalidRequest):
            read(data)
