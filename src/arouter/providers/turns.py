"""A conversation as turns of user and assistant, for dialects that have no other roles.

1. System and developer messages, wherever they stand, are the system's, in their order.
2. Consecutive messages of one role are one turn. A tool's result belongs to the user's role; the results of a turn are
   kept apart, because they stand before whatever else the user says in it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from arouter.domain.chat import Json, Message, Part, ToolCall


@dataclass(slots=True)
class Turn:
    """A message being put together."""

    role: str
    results: list[Json] = field(default_factory=list)
    blocks: list[Json] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A dialect's blocks. Each is told the place of its message, such as `messages[0]`, to name it in an error."""

    parts: Callable[[Iterable[Part], str], list[Json]]
    calls: Callable[[Iterable[ToolCall], str], list[Json]]
    result: Callable[[Message, str], list[Json]]


def in_turns(messages: Sequence[Message], words: Words) -> tuple[list[Json], list[Turn]]:
    """The system's blocks, and the turns. InvalidRequest for what the dialect cannot say at all."""
    system: list[Json] = []
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if message.role in ("system", "developer"):
            system += words.parts(message.parts, where)
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if not turns or turns[-1].role != role:
            turns.append(Turn(role))
        if message.role == "tool":
            turns[-1].results += words.result(message, where)
        else:
            turns[-1].blocks += words.parts(message.parts, where)
            turns[-1].blocks += words.calls(message.tool_calls, where)
    return system, turns
