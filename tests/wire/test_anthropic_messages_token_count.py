"""The estimate for a request that its provider cannot count."""

import msgspec
import pytest
from anthropic.types import MessageTokensCount
from hypothesis import given
from hypothesis import strategies as st

from arouter.wire.anthropic_messages.token_count import token_count_body
from arouter.wire.prompt_estimate import TOKENS_OF_AN_ATTACHMENT, estimated_prompt_tokens
from tests.wire.messages_bodies import HELLO, Object, read

LARGE = "A" * 1_000_000


def estimate(*blocks: Object, **said: object) -> int:
    return estimated_prompt_tokens(read({"messages": [{"role": "user", "content": list(blocks)}], **said}))


def test_text_counts_by_its_bytes() -> None:
    assert estimate({"type": "text", "text": "a" * 8}) == 2
    assert estimate({"type": "text", "text": "ß" * 8}) == 4


def test_all_that_the_model_reads_counts() -> None:
    less = {"messages": HELLO}
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    more: list[Object] = [
        {"system": "Be brief, please."},
        {"tools": [{"name": "weather", "input_schema": schema}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {
            "messages": [
                *HELLO,
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "i", "name": "weather", "input": {"city": "Zürich"}}],
                },
            ]
        },
    ]
    for addition in more:
        assert estimated_prompt_tokens(read({**less, **addition})) > estimated_prompt_tokens(read(less))


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": LARGE}},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": LARGE}},
    ],
)
def test_an_attachment_counts_the_same_whatever_its_bytes(block: Object) -> None:
    assert estimate(block) == TOKENS_OF_AN_ATTACHMENT


def test_a_document_of_text_counts_as_text() -> None:
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a" * 300}}
    assert estimate(text) == 75


def test_a_redacted_thought_has_no_text() -> None:
    thought = {"role": "assistant", "content": [{"type": "redacted_thinking", "data": LARGE}]}
    assert estimated_prompt_tokens(read({"messages": [thought]})) == 0


@given(st.integers(0, 10**9))
def test_the_answer_is_what_the_sdk_reads(tokens: int) -> None:
    body = token_count_body(tokens)
    assert msgspec.json.decode(body) == {"input_tokens": tokens}
    assert MessageTokensCount.model_validate_json(body).input_tokens == tokens
