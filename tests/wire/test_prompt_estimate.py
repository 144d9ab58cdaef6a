"""The estimate of what a model reads."""

from hypothesis import given

from arouter.domain.chat import Audio, ChatRequest, File, Image, Message, Reasoning, Text, Tool, ToolCall
from arouter.wire.prompt_estimate import TOKENS_OF_AN_ATTACHMENT, estimated_prompt_tokens
from tests.wire.strategies import TEXT


def said(*messages: Message, **rest: object) -> int:
    return estimated_prompt_tokens(ChatRequest(model="m", messages=messages, **rest))  # type: ignore[arg-type]


def test_everything_that_is_read_counts() -> None:
    text = Message(role="user", parts=(Text(text="x" * 8),))
    thought = Message(role="assistant", parts=(Reasoning(text="x" * 4),))
    called = Message(role="assistant", tool_calls=(ToolCall(id="not read", name="abcd", arguments="{} {}{}"),))
    assert said(text) == 2
    assert said(text, thought) == 3
    assert said(text, thought, called) == 6
    assert said(text, tools=(Tool(name="f", parameters={"type": "object"}),)) > 2
    assert said(text, rest={"tools": [{"googleSearch": {}}]}) > 2


def test_an_attachment_counts_as_one_however_large_it_is() -> None:
    parts = (Image(data="A" * 10_000), Audio(data="A" * 10_000, format="mp3"), File(url="https://a.example"))
    assert said(Message(role="user", parts=parts)) == 3 * TOKENS_OF_AN_ATTACHMENT


@given(TEXT, TEXT)
def test_more_text_is_never_less(first: str, second: str) -> None:
    assert said(Message(role="user", parts=(Text(text=first),))) <= said(
        Message(role="user", parts=(Text(text=first + second),))
    )
    assert (said(Message(role="user", parts=(Text(text=first),))) > 0) is bool(first)
