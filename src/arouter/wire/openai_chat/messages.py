"""The messages of a chat, of every role, today's and the one before it (`function`).

What has no canonical form is left out: an assistant's `audio` by id, and fields that a vendor adds to a message.
"""

from collections.abc import Mapping, Sequence

import msgspec

from arouter.domain.chat import Json, Message, Part, Refusal, Role, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from arouter.domain.value import constructor
from arouter.wire.fields import Fields, missing, wrong_type, wrong_value
from arouter.wire.openai_chat.parts import read_content
from arouter.wire.openai_chat.reasoning_details import read_thoughts

_WITH_A_TEXT_ALONE: Mapping[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}
_new_message = constructor(Message)
_new_text = constructor(Text)
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def read_messages(request: Fields) -> tuple[Message, ...]:
    """`messages`, which must hold at least one."""
    messages = request.array("messages")
    if messages is None:
        raise missing("messages")
    if not messages:
        raise wrong_value("messages", "an array of at least one message")
    objects = [message for message in messages if isinstance(message, dict)]
    if len(objects) < len(messages):
        request.children("messages")  # It says which of them is no object.
    read: list[Message] = []
    for at, told in enumerate(objects):
        read.append(_text_alone(told) or _message(Fields(told, f"messages[{at}]"), read))
    return tuple(read)


def _text_alone(message: Json) -> Message | None:
    """Of a message that has a role and a text and no other field, as most have; None of any other."""
    content, said = message.get("content"), message.get("role")
    if len(message) == 2 and isinstance(content, str) and isinstance(said, str):
        role = _WITH_A_TEXT_ALONE.get(said)
        if role is not None:
            return _new_message(role=role, parts=(_new_text(text=content),))
    return None


def _message(message: Fields, before: Sequence[Message]) -> Message:
    match message.required_text("role"):
        case "system" | "developer" | "user" as role:
            return _spoken(role, message)
        case "assistant":
            return _assistant(message, call_id=f"call_function_{len(before)}")
        case "tool":
            return Message(
                role="tool",
                parts=read_content(message),
                tool_call_id=message.required_text("tool_call_id"),
                name=message.text("name"),
            )
        case "function":
            return _function_result(message, before)
        case _:
            raise wrong_value(message.param("role"), f"one of {', '.join(_ROLES)}")


def _spoken(role: Role, message: Fields) -> Message:
    """Of those who must say something: content may be empty, and not absent or null."""
    if message.get("content") is None:
        if "content" not in message.values:
            raise missing(message.param("content"))
        raise wrong_type(message.param("content"), "a string or an array of content parts", None)
    return Message(role=role, parts=read_content(message), name=message.text("name"))


def _assistant(message: Fields, call_id: str) -> Message:
    calls = [_tool_call(call) for call in message.children("tool_calls")]
    legacy = message.child("function_call")
    if legacy is not None:
        calls.append(
            ToolCall(id=call_id, name=legacy.required_text("name"), arguments=legacy.required_text("arguments"))
        )
    thoughts = read_thoughts(message, [call.id for call in calls])
    parts: list[Part] = [*thoughts.parts, *read_content(message)]
    refusal = message.text("refusal")
    if refusal is not None:
        parts.append(Refusal(text=refusal))
    return Message(
        role="assistant",
        parts=tuple(parts),
        tool_calls=tuple(_signed(call, thoughts.proofs) for call in calls),
        name=message.text("name"),
    )


def _tool_call(call: Fields) -> ToolCall:
    call_id = call.required_text("id")
    match call.text("type"):
        case "function" | None:
            function = call.required_child("function")
            name, arguments = function.required_text("name"), function.required_text("arguments")
        case "custom":
            # A custom tool takes plain text; as a function it takes an object that holds the text.
            custom = call.required_child("custom")
            name = custom.required_text("name")
            arguments = msgspec.json.encode({"input": custom.required_text("input")}).decode()
        case _:
            raise wrong_value(call.param("type"), "function or custom")
    return ToolCall(id=call_id, name=name, arguments=arguments, signature=_google_signature(call))


def _google_signature(call: Fields) -> str | None:
    """`extra_content.google.thought_signature`, where Google's own OpenAI-compatible API puts it."""
    extra = call.child("extra_content")
    google = None if extra is None else extra.child("google")
    return None if google is None else google.text("thought_signature")


def _signed(call: ToolCall, proofs: dict[str, str]) -> ToolCall:
    if call.signature is not None or call.id not in proofs:
        return call
    return ToolCall(id=call.id, name=call.name, arguments=call.arguments, signature=proofs[call.id])


def _function_result(message: Fields, before: Sequence[Message]) -> Message:
    """The result of a legacy function call, which has no id: it answers the last call of its name."""
    name = message.required_text("name")
    for earlier in reversed(before):
        for call in earlier.tool_calls:
            if call.name == name:
                return Message(role="tool", parts=read_content(message), tool_call_id=call.id, name=name)
    raise InvalidRequest(
        f"`{message.param('name')}` must be the name of a function that an assistant's message before it called.",
        code="invalid_value",
        param=message.param("name"),
    )
