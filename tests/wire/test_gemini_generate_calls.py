"""What a path means, and `:countTokens`."""

import json
from typing import Any

import msgspec
import pytest
from google.genai import types

from arouter.domain.chat import Message, Text, Tool
from arouter.domain.errors import InvalidRequest, NotFound
from arouter.wire.gemini_generate.calls import Method, answers_in_events, read_call
from arouter.wire.gemini_generate.count_tokens import read_count_tokens, token_count_body
from tests.wire.generate_bodies import HELLO


@pytest.mark.parametrize(
    ("rest", "call"),
    [
        ("gemini-2.5-pro:generateContent", ("gemini-2.5-pro", Method.GENERATE)),
        ("google/gemini-2.5-pro:free:streamGenerateContent", ("google/gemini-2.5-pro:free", Method.STREAM)),
        ("m:countTokens", ("m", Method.COUNT_TOKENS)),
        ("m:embedContent", ("m", Method.EMBED)),
        ("m:batchEmbedContents", ("m", Method.EMBED_BATCH)),
        (" :generateContent", (" ", Method.GENERATE)),
    ],
)
def test_model_and_method(rest: str, call: tuple[str, Method]) -> None:
    assert read_call(rest) == call


@pytest.mark.parametrize("rest", ["", "m", "m:", "m:generatecontent", "m:generateContent/x", "generateContent"])
def test_what_is_no_call(rest: str) -> None:
    with pytest.raises(NotFound):
        read_call(rest)


def test_a_call_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read_call(":generateContent")
    assert refusal.value.param == "model"


def test_a_misspelt_method_is_told_the_right_one() -> None:
    with pytest.raises(NotFound, match="Did you mean `generateContent`"):
        read_call("m:generateContents")


@pytest.mark.parametrize(
    ("query", "events"),
    [([], False), ([("alt", "json")], False), ([("key", "k"), ("alt", "sse")], True), ([("$alt", "sse")], True)],
)
def test_the_form_of_a_stream(query: list[tuple[str, str]], events: bool) -> None:
    assert answers_in_events(query) is events


def test_a_form_that_we_cannot_read_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        answers_in_events([("alt", "proto")])
    assert refusal.value.param == "alt"


# ---------------------------------------------------------------- countTokens


def counted(body: dict[str, Any]) -> tuple[tuple[Message, ...], tuple[Tool, ...]]:
    fields = msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])
    request = read_count_tokens(fields, model="m")
    return request.messages, request.tools


HELLO_MESSAGE = Message(role="user", parts=(Text(text="Hello"),))


def test_the_contents_alone_or_a_whole_request() -> None:
    assert counted({"contents": HELLO}) == ((HELLO_MESSAGE,), ())
    whole = {
        "model": "models/m",
        "contents": HELLO,
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
    }
    system = Message(role="system", parts=(Text(text="Be brief."),))
    for name in ("generateContentRequest", "generate_content_request"):
        assert counted({name: whole}) == ((system, HELLO_MESSAGE), (Tool(name="f"),))


@pytest.mark.parametrize(
    ("body", "param"), [({}, "contents"), ({"generateContentRequest": 1}, "generateContentRequest")]
)
def test_nothing_to_count_is_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        counted(body)
    assert refusal.value.param == param


def test_the_answer_is_one_that_google_s_sdk_reads() -> None:
    answer = types.CountTokensResponse._from_response(response=json.loads(token_count_body(7)), kwargs={})
    assert answer.total_tokens == 7
