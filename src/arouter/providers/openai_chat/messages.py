"""The conversation in this dialect's words.

1. The developer is the system to a vendor that does not know the role.
2. A tool's result can only be text here. What else a tool gave follows its turn's results as a message of the user,
   because nothing may stand between a call and the results.
3. That a tool failed has no field here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from arouter.domain.chat import Audio, File, Image, Json, Message, Part, Reasoning, Refusal, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from arouter.providers.call_ids import bounded_id, nine_characters
from arouter.providers.openai_chat.abilities import Abilities
from arouter.providers.openai_chat.content import content_parts, written_content
from arouter.providers.openai_chat.thoughts import plain_text, thoughts_of

_MOST_ID_CHARACTERS = 40


@dataclass(slots=True)
class Conversation:
    messages: list[Json] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """Names of what could not be said."""


def write_messages(messages: Sequence[Message], able: Abilities) -> Conversation:
    """The messages in this dialect. InvalidRequest, naming the field, for what has no place in it at all."""
    written = Conversation()
    given: list[Json] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}].content"
        if message.role == "tool":
            written.messages.append(_tool_result(message, able, where))
            if message.is_error:
                written.dropped.append("messages.is_error")
            given += content_parts(_media(message.parts), able, where)
            continue
        _hand_over(given, written)
        if message.role == "assistant":
            written.messages.append(_assistant(message, able, written.dropped))
        else:
            written.messages.append(_spoken(message, able, where, written.dropped))
    _hand_over(given, written)
    return written


def _hand_over(given: list[Json], written: Conversation) -> None:
    """Rule 2."""
    if given:
        written.messages.append({"role": "user", "content": list(given)})
        given.clear()


def _spoken(message: Message, able: Abilities, where: str, dropped: list[str]) -> Json:
    role = "system" if message.role == "developer" and not able.developer else message.role
    said: Json = {"role": role, "content": written_content(message.parts, able, where)}
    return said | _name(message, able, dropped)


def _tool_result(message: Message, able: Abilities, where: str) -> Json:
    if not message.tool_call_id:
        raise InvalidRequest("A tool message must name its call.", param=where.removesuffix("content") + "tool_call_id")
    texts = [part for part in message.parts if isinstance(part, Text | Refusal)]
    call_id = _call_id(message.tool_call_id, able)
    return {"role": "tool", "tool_call_id": call_id, "content": written_content(texts, able, where)}


def _call_id(call_id: str, able: Abilities) -> str:
    return nine_characters(call_id) if able.short_ids else bounded_id(call_id, _MOST_ID_CHARACTERS)


def _media(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if isinstance(part, Image | File | Audio)]


def _assistant(message: Message, able: Abilities, dropped: list[str]) -> Json:
    texts = [part for part in message.parts if isinstance(part, Text)]
    refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
    if _media(message.parts):
        dropped.append("messages.content")
    said: Json = {"role": "assistant", "content": _said(message, texts, able)}
    if not said["content"] and (message.tool_calls or refusals) and not texts:
        said["content"] = None
    if refusals:
        said["refusal"] = "".join(refusals)
    said |= thoughts_of(message, able)
    if message.tool_calls:
        said["tool_calls"] = [_tool_call(call, able) for call in message.tool_calls]
    return said | _name(message, able, dropped)


def _said(message: Message, texts: Sequence[Text], able: Abilities) -> str | list[Json]:
    if able.thoughts == "content_parts":
        thought = plain_text(part for part in message.parts if isinstance(part, Reasoning))
        if thought:
            thinking: Json = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
            return [thinking, *content_parts(texts, able, "")]
    return written_content(texts, able, "")


def _tool_call(call: ToolCall, able: Abilities) -> Json:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": _call_id(call.id, able), "type": "function", "function": function}


def _name(message: Message, able: Abilities, dropped: list[str]) -> Json:
    if message.name is None:
        return {}
    if able.names:
        return {"name": message.name}
    dropped.append("messages.name")
    return {}
