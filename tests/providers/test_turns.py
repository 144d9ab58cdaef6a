"""Conversations as turns of user and assistant."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given

from arouter.domain.chat import ChatRequest, Json, Message, Part, Text, ToolCall
from arouter.providers.turns import Turn, Words, in_turns
from tests.providers.chat_requests import assistant, call, requests, result, user


def system(text: str) -> Message:
    return Message(role="system", parts=(Text(text=text),))


def _parts(parts: Iterable[Part], where: str) -> list[Json]:
    return [{"said": part, "where": where} for part in parts]


def _calls(calls: Iterable[ToolCall], where: str) -> list[Json]:
    return [{"called": one.id, "where": where} for one in calls]


def _result(message: Message, where: str) -> list[Json]:
    return [{"result": message.tool_call_id, "where": where}]


WORDS = Words(parts=_parts, calls=_calls, result=_result)


def test_a_conversation() -> None:
    messages = (
        system("Be brief."),
        user("Hi"),
        user("You"),
        assistant("Well", calls=(call("a"), call("b"))),
        result("Warm", call_id="a"),
        user("And?"),
        result("Cold", call_id="b"),
        system("Be briefer."),
        assistant("Both"),
    )
    said, turns = in_turns(messages, WORDS)
    assert said == [
        {"said": Text(text="Be brief."), "where": "messages[0]"},
        {"said": Text(text="Be briefer."), "where": "messages[7]"},
    ]
    assert turns == [
        Turn(
            "user",
            blocks=[
                {"said": Text(text="Hi"), "where": "messages[1]"},
                {"said": Text(text="You"), "where": "messages[2]"},
            ],
        ),
        Turn(
            "assistant",
            blocks=[
                {"said": Text(text="Well"), "where": "messages[3]"},
                {"called": "a", "where": "messages[3]"},
                {"called": "b", "where": "messages[3]"},
            ],
        ),
        Turn(
            "user",
            results=[{"result": "a", "where": "messages[4]"}, {"result": "b", "where": "messages[6]"}],
            blocks=[{"said": Text(text="And?"), "where": "messages[5]"}],
        ),
        Turn("assistant", blocks=[{"said": Text(text="Both"), "where": "messages[8]"}]),
    ]


@given(requests(thoughts=True))
def test_turns_alternate_and_lose_nothing(asked: ChatRequest) -> None:
    said, turns = in_turns(asked.messages, WORDS)
    assert all(first.role != second.role for first, second in pairwise(turns))
    written = [*said, *(block for turn in turns for block in (*turn.results, *turn.blocks))]
    spoken = [message for message in asked.messages if message.role != "tool"]
    assert sum("said" in block for block in written) == sum(len(message.parts) for message in spoken)
    assert sum("called" in block for block in written) == sum(len(message.tool_calls) for message in spoken)
    assert sum("result" in block for block in written) == len(asked.messages) - len(spoken)
