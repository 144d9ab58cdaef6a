"""`system` and `messages` of a request as canonical messages.

1. `system` is a system message before all others; a message of the role system stays where it is.
2. A user's message may hold results of tools and what the user says beside them. Each result is a message of its own,
   and what stands together between two results is one more: the order of the blocks is that of the messages.
3. An assistant's message is one message: its thoughts and words in their order, and its calls in theirs.
4. A proof that stands before a call, sealed (`arouter.wire.anthropic_messages.thoughts`), belongs to the call.
5. A message of which nothing is left, because all that it held has no counterpart, is none.
6. The input of a call is the JSON text that the client wrote.
"""

from collections.abc import Sequence

import msgspec

from arouter.domain.chat import Message, Part, Role, ToolCall
from arouter.wire.anthropic_messages.parts import Lost, content_blocks, marked, read_parts
from arouter.wire.anthropic_messages.thoughts import read_redacted, read_thinking
from arouter.wire.fields import Fields, missing, wrong_type, wrong_value

_NOTHING = msgspec.Raw(b"")


class _Block(msgspec.Struct):
    """The one field of a block whose bytes matter."""

    input: msgspec.Raw = _NOTHING


class _Message(msgspec.Struct):
    content: str | list[_Block] | None = None


_MESSAGES = msgspec.json.Decoder(list[_Message])


def read_system(request: Fields, lost: Lost) -> tuple[Message, ...]:
    """The system prompt, if there is one that says something."""
    parts = _all_parts(content_blocks(request, "system"), lost)
    return (Message(role="system", parts=tuple(parts)),) if parts else ()


def read_messages(request: Fields, raw: msgspec.Raw | None, lost: Lost) -> tuple[Message, ...]:
    """`messages`, which must hold at least one; `raw` is the field's JSON, already known to be valid."""
    if request.array("messages") is None or raw is None:
        raise missing("messages")
    messages = request.children("messages")
    if not messages:
        raise wrong_value("messages", "an array of at least one message")
    reads = _Inputs(raw)
    return tuple(read for at, message in enumerate(messages) for read in _message(message, at, reads, lost))


class _Inputs:
    """The inputs of the calls as text. They are found when the first is asked for: most requests have none."""

    __slots__ = ("_messages", "_raw")

    def __init__(self, raw: msgspec.Raw) -> None:
        self._raw = raw
        self._messages: list[_Message] | None = None

    def text(self, message: int, block: int) -> str:
        """The JSON text of the input of a block that was found to be a call with an object as its input."""
        if self._messages is None:
            try:
                self._messages = _MESSAGES.decode(self._raw)
            except msgspec.ValidationError:
                # Some message after this one has another shape, which its own reading refuses by name.
                self._messages = []
        if message >= len(self._messages):
            return "{}"
        content = self._messages[message].content
        return bytes(content[block].input).decode() if isinstance(content, list) else "{}"


def _message(message: Fields, at: int, inputs: _Inputs, lost: Lost) -> list[Message]:
    role = message.required_text("role")
    if role not in ("user", "assistant", "system"):
        raise wrong_value(message.param("role"), "user, assistant or system")
    if message.get("content") is None:
        if "content" not in message.values:
            raise missing(message.param("content"))
        raise wrong_type(message.param("content"), "a string or an array of content blocks", None)
    blocks = content_blocks(message)
    match role:
        case "assistant":
            told = _assistant(blocks, at, inputs, lost)
            return [told] if told.parts or told.tool_calls else []
        case "system":
            return _spoken("system", _all_parts(blocks, lost))
        case _:
            return _user(blocks, lost)


def _spoken(role: Role, parts: Sequence[Part]) -> list[Message]:
    """A message, unless all that it held was left out."""
    return [Message(role=role, parts=tuple(parts))] if parts else []


def _all_parts(blocks: Sequence[Fields], lost: Lost) -> list[Part]:
    return [part for block in blocks for part in read_parts(block, lost)]


# ---------------------------------------------------------------- the user's side


def _user(blocks: Sequence[Fields], lost: Lost) -> list[Message]:
    messages: list[Message] = []
    said: list[Part] = []
    for block in blocks:
        if block.text("type") != "tool_result":
            said += read_parts(block, lost)
            continue
        messages += _spoken("user", said)
        said = []
        messages.append(_tool_result(block, lost))
    messages += _spoken("user", said)
    return messages


def _tool_result(block: Fields, lost: Lost) -> Message:
    """A result. Its cache mark is on the last of its parts, where it has any."""
    parts = _all_parts(content_blocks(block), lost)
    mark = block.json("cache_control")
    if mark is not None and parts:
        parts[-1] = marked(parts[-1], mark)
    return Message(
        role="tool",
        parts=tuple(parts),
        tool_call_id=block.required_text("tool_use_id"),
        is_error=block.flag("is_error") is True,
    )


# ---------------------------------------------------------------- the assistant's side


def _assistant(blocks: Sequence[Fields], at: int, inputs: _Inputs, lost: Lost) -> Message:
    parts: list[Part] = []
    calls: list[ToolCall] = []
    proofs: dict[str, str] = {}
    for index, block in enumerate(blocks):
        match block.text("type"):
            case "thinking":
                parts.append(read_thinking(block))
            case "redacted_thinking":
                thought = read_redacted(block)
                if isinstance(thought, tuple):
                    proofs[thought[0]] = thought[1]
                else:
                    parts.append(thought)
            case "tool_use":
                calls.append(_tool_call(block, proofs, inputs.text(at, index) if _has_input(block) else "{}"))
            case _:
                parts += read_parts(block, lost)
    return Message(role="assistant", parts=tuple(parts), tool_calls=tuple(calls))


def _has_input(block: Fields) -> bool:
    return block.json("input") is not None


def _tool_call(block: Fields, proofs: dict[str, str], arguments: str) -> ToolCall:
    call_id = block.required_text("id")
    return ToolCall(id=call_id, name=block.required_text("name"), arguments=arguments, signature=proofs.get(call_id))
