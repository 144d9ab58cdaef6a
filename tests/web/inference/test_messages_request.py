"""A request to Anthropic's Messages, read as far as the gateway needs it."""

import json
from typing import Any

import pytest

from arouter.domain.errors import InvalidRequest
from arouter.web.inference.head import read_head
from arouter.web.inference.messages_request import MessagesReader
from arouter.wire.anthropic_messages.identity import Extraction
from tests.engine.samples import key

PLAIN: dict[str, Any] = {"model": "claude-sonnet-4-5", "messages": []}
DEVICE = "ab" * 32
SESSION = "11111111-2222-3333-4444-555555555555"
CLAUDE_CODE = f"user_{DEVICE}_account__session_{SESSION}"


def read(body: dict[str, Any], extraction: Extraction = "claude-code", **headers: str) -> MessagesReader:
    head = read_head({name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}, b"")
    reader = MessagesReader(key(), head, extraction)
    reader.read(json.dumps(body).encode())
    return reader


@pytest.mark.parametrize(
    ("said", "user"),
    [
        ({}, None),
        ({"metadata": None}, None),
        ({"metadata": {}}, None),
        ({"metadata": {"user_id": None}}, None),
        ({"metadata": {"user_id": ""}}, ""),
        ({"metadata": {"user_id": "u", "other": [1]}}, "u"),
        ({"user": "first", "metadata": {"user_id": "u"}}, "first"),
        ({"user": None, "metadata": {"user_id": "u"}}, "u"),
        ({"metadata": {"user_id": CLAUDE_CODE}}, DEVICE),
    ],
)
def test_who_it_is_for(said: dict[str, Any], user: str | None) -> None:
    assert read({**PLAIN, **said}).user == user


def test_the_header_names_the_user_where_the_body_does_not() -> None:
    assert read(PLAIN, x_arouter_user="h").user == "h"
    assert read({**PLAIN, "metadata": {"user_id": "u"}}, x_arouter_user="h").user == "u"


def test_claude_codes_session_is_the_session() -> None:
    assert read({**PLAIN, "metadata": {"user_id": CLAUDE_CODE}}).session_id == SESSION
    assert read({**PLAIN, "session_id": "own", "metadata": {"user_id": CLAUDE_CODE}}).session_id == "own"
    assert read(PLAIN, x_claude_code_session_id=SESSION).session_id == SESSION
    assert read(PLAIN, x_session_id="header").session_id == "header"


def test_taken_raw_it_is_the_user_as_it_is() -> None:
    reader = read({**PLAIN, "metadata": {"user_id": CLAUDE_CODE}}, extraction="raw")
    assert (reader.user, reader.session_id) == (CLAUDE_CODE, None)


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("openai/gpt-5.4", "openai/gpt-5.4"),
    ],
)
def test_a_model_without_a_provider_is_anthropics(model: str, asked: str) -> None:
    reader = read({**PLAIN, "model": model})
    assert (reader.requested_model, reader.models) == (model, (asked,))


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"metadata": 7}, "metadata.user_id"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
        ({"messages": {}}, "messages"),
        ({"messages": None}, "messages"),
        ({"model": None}, "model"),
        ({"user": 1}, "user"),
    ],
)
def test_what_is_refused(said: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read({**PLAIN, **said})
    assert refused.value.param == param


def test_what_the_model_reads_is_counted() -> None:
    assert read({**PLAIN, "system": "1234"}).asked_bytes == len('"1234"') + len("[]")
