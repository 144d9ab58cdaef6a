"""What is said, and how it is counted."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.sandbox.answers import Ask, Offer, count_prompt_tokens, reply_to, words
from arouter.sandbox.behaviour import Behaviour

WEATHER = Offer(name="weather", parameters={"properties": {"city": {"type": "string"}}, "required": ["city"]})


def asked(**rest: Any) -> Ask:
    return Ask(**{"model": "sandbox", "stream": False, "characters": 5, **rest})


@given(st.text())
def test_the_words_of_a_text_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


@pytest.mark.parametrize(("characters", "tokens"), [(0, 1), (3, 1), (7, 1), (8, 2), (400, 100)])
def test_four_characters_are_a_token(characters: int, tokens: int) -> None:
    assert count_prompt_tokens(characters) == tokens


@pytest.mark.parametrize("tokens", [0, 1, 16, 1000])
def test_the_text_has_as_many_words_as_tokens(tokens: int) -> None:
    reply = reply_to(asked(), Behaviour(tokens=tokens))
    assert len(reply.text.split()) == tokens
    assert reply.counts is not None
    assert (reply.counts.prompt, reply.counts.completion, reply.finish_reason) == (1, tokens, "stop")


@given(st.text(), st.none() | st.integers(1, 20))
def test_an_echo_is_the_last_user_message_up_to_the_limit(text: str, limit: int | None) -> None:
    reply = reply_to(asked(last_user_text=text, limit=limit), Behaviour(says="echo"))
    assert text.startswith(reply.text)
    assert (reply.finish_reason == "stop") == (reply.text == text) == reply.complete
    assert reply.counts is not None
    assert reply.counts.completion == len(reply.pieces) <= (len(text) if limit is None else limit)


def test_thoughts_count_as_completion_and_first_against_the_limit() -> None:
    behaviour = Behaviour(tokens=5, reasoning_tokens=3)
    whole = reply_to(asked(), behaviour)
    assert whole.counts is not None
    assert (whole.counts.completion, whole.counts.reasoning) == (8, 3)
    for limit in range(1, 8):
        reply = reply_to(asked(limit=limit), behaviour)
        assert (len(reply.thoughts), len(reply.pieces)) == (min(limit, 3), max(0, limit - 3))
        assert reply.finish_reason == "length"
    assert reply_to(asked(limit=8), behaviour) == whole


def test_the_first_tool_is_called_until_its_result_is_there() -> None:
    behaviour = Behaviour(tool_call=True)
    reply = reply_to(asked(offers=(WEATHER, Offer(name="other"))), behaviour)
    assert (reply.kind, reply.tool, reply.finish_reason) == ("tool_call", "weather", "tool_calls")
    assert msgspec.json.decode(reply.text) == {"city": "sample"}
    assert reply_to(asked(offers=(WEATHER,), answers_tool=True), behaviour).kind == "text"
    assert reply_to(asked(), behaviour).kind == "text"
    assert reply_to(asked(offers=(WEATHER,)), Behaviour()).kind == "text"
    assert reply_to(asked(offers=(WEATHER,), must_call=True), Behaviour()).kind == "tool_call"


def test_json_is_said_where_it_is_asked_for() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    for behaviour in (Behaviour(), Behaviour(says="json")):
        assert msgspec.json.decode(reply_to(asked(wants_json=True, schema=schema), behaviour).text) == {"n": 0}
    assert msgspec.json.decode(reply_to(asked(), Behaviour(says="json")).text) == {"sandbox": True}


def test_usage_is_what_was_asked_for() -> None:
    told = reply_to(asked(), Behaviour(prompt_tokens=100, cached_tokens=60, cache_write_tokens=10)).counts
    assert told is not None
    assert (told.prompt, told.cached, told.cache_written) == (100, 60, 10)
    zero = reply_to(asked(), Behaviour(prompt_tokens=100, cached_tokens=60, usage="zero")).counts
    assert zero is not None
    assert set(msgspec.structs.astuple(zero)) == {0}
    assert reply_to(asked(), Behaviour(usage="none")).counts is None


def test_a_prompt_holds_at_least_what_the_cache_gave() -> None:
    told = reply_to(asked(), Behaviour(cached_tokens=60, cache_write_tokens=10)).counts
    assert told is not None
    assert told.prompt == 70


def test_a_refusal_and_a_finish_reason_of_ones_own() -> None:
    assert reply_to(asked(), Behaviour(says="refusal")).kind == "refusal"
    assert reply_to(asked(), Behaviour(finish_reason="content_filter")).finish_reason == "content_filter"
