"""`instructions` and `input`: a text, or items of many kinds, as the messages that they make.

1. What the model gave between two things that it was told (thoughts, texts, calls, images) is one assistant's message,
   since that is what other dialects ask for. Its thoughts and texts keep their order, and so do its calls.
2. A reasoning item is OpenAI's, or carries another provider's proof (`arouter.wire.seals`). One that carries a call's
   proof is no thought of its own.
3. A custom tool takes plain text; as a function it takes an object that holds the text.
4. Tools that came up in the middle of a conversation are tools like the others.
5. What OpenAI's own tools did has no counterpart: such items are gathered by their type.
6. An item that only points at something kept at OpenAI (`item_reference`) cannot be read at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec

from arouter.domain.chat import Image, Message, Part, Reasoning, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from arouter.wire.fields import Fields, missing, wrong_type, wrong_value
from arouter.wire.openai_responses.formats import GEMINI_FORMAT, OPENAI_FORMAT
from arouter.wire.openai_responses.parts import read_content
from arouter.wire.seals import Seal, is_sealed, unsealed

_ROLES = ("user", "assistant", "system", "developer")

_OF_OPENAI = frozenset(
    {
        "apply_patch_call",
        "apply_patch_call_output",
        "code_interpreter_call",
        "compaction",
        "compaction_trigger",
        "computer_call",
        "computer_call_output",
        "configuration_update",
        "file_search_call",
        "local_shell_call",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "shell_call",
        "shell_call_output",
        "tool_search_call",
        "web_search_call",
    }
)
"""Rule 5."""


@dataclass(slots=True)
class Conversation:
    """What `instructions` and `input` say."""

    messages: list[Message] = field(default_factory=list)
    tools: list[Fields] = field(default_factory=list)
    """Rule 4; not read yet."""
    others: dict[str, list[object]] = field(default_factory=dict)
    """Items without a counterpart, as they came, by their type."""


def read_conversation(request: Fields) -> Conversation:
    """InvalidRequest, naming the field, if an item is malformed, or if there is nothing to answer."""
    conversation = Conversation()
    instructions = request.text("instructions")
    if instructions:
        conversation.messages.append(Message(role="system", parts=(Text(text=instructions),)))
    told = request.get("input")
    match told:
        case None:
            raise missing("input")
        case str():
            conversation.messages.append(Message(role="user", parts=(Text(text=told),)))
        case list():
            reader = _Reader(conversation)
            for item in request.children("input"):
                reader.read(item)
            reader.end_turn()
        case _:
            raise wrong_type("input", "a string or an array of items", told)
    if not conversation.messages:
        raise wrong_value("input", "an array of at least one message")
    return conversation


@dataclass(slots=True)
class _Turn:
    """An assistant's message being put together."""

    parts: list[Part] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    proofs: dict[str, str] = field(default_factory=dict)
    """A call's id → the provider's proof that belongs to it."""

    def message(self) -> Message:
        unmatched = self.proofs.keys() - {call.id for call in self.calls}
        lost = [Reasoning(signature=self.proofs[at], format=GEMINI_FORMAT, id=at) for at in sorted(unmatched)]
        return Message(
            role="assistant", parts=(*self.parts, *lost), tool_calls=tuple(self._signed(call) for call in self.calls)
        )

    def _signed(self, call: ToolCall) -> ToolCall:
        return ToolCall(id=call.id, name=call.name, arguments=call.arguments, signature=self.proofs.get(call.id))


class _Reader:
    """Reads one item after the other."""

    __slots__ = ("_conversation", "_turn")

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._turn: _Turn | None = None

    def read(self, item: Fields) -> None:
        kind = _kind(item)
        reader = _READERS.get(kind)
        if reader is not None:
            reader(self, item)
        elif kind in _OF_OPENAI:
            self._conversation.others.setdefault(kind, []).append(item.values)
        else:
            raise wrong_value(item.param("type"), f"one of {', '.join(_READERS)}")

    def end_turn(self) -> None:
        """The model gave no more."""
        if self._turn is not None:
            self._conversation.messages.append(self._turn.message())
            self._turn = None

    def _of_model(self) -> _Turn:
        if self._turn is None:
            self._turn = _Turn()
        return self._turn

    def _told(self, message: Message) -> None:
        self.end_turn()
        self._conversation.messages.append(message)

    def message(self, item: Fields) -> None:
        parts = read_content(item, "content")
        match item.required_text("role"):
            case "assistant":
                self._of_model().parts.extend(parts)
            case "user" | "system" | "developer" as role:
                self._told(Message(role=role, parts=parts))
            case _:
                raise wrong_value(item.param("role"), f"one of {', '.join(_ROLES)}")

    def reasoning(self, item: Fields) -> None:
        encrypted = item.text("encrypted_content")
        text = _thought(item)
        if encrypted is None or not is_sealed(encrypted):
            thought = Reasoning(text=text, data=encrypted, format=OPENAI_FORMAT, id=item.text("id"))
            self._of_model().parts.append(thought)
            return
        sealed = unsealed(encrypted)
        if sealed is None:
            raise wrong_value(item.param("encrypted_content"), "exactly what the answer had")
        self._sealed(sealed, text)

    def _sealed(self, sealed: Seal, text: str) -> None:
        if sealed.call_id is not None and sealed.signature is not None:
            self._of_model().proofs[sealed.call_id] = sealed.signature
            return
        self._of_model().parts.append(
            Reasoning(text=text, signature=sealed.signature, data=sealed.data, format=sealed.format, id=sealed.id)
        )

    def function_call(self, item: Fields) -> None:
        self._call(item, item.required_text("arguments"))

    def custom_tool_call(self, item: Fields) -> None:
        self._call(item, msgspec.json.encode({"input": item.required_text("input")}).decode())

    def _call(self, item: Fields, arguments: str) -> None:
        call = ToolCall(id=item.required_text("call_id"), name=item.required_text("name"), arguments=arguments)
        self._of_model().calls.append(call)

    def output(self, item: Fields) -> None:
        call_id = item.required_text("call_id")
        self._told(Message(role="tool", parts=read_content(item, "output"), tool_call_id=call_id))

    def image(self, item: Fields) -> None:
        """An image that the model made. Without its result there is nothing to see yet."""
        result = item.text("result")
        if result is not None:
            media_type = f"image/{item.text('output_format') or 'png'}"
            self._of_model().parts.append(Image(data=result, media_type=media_type))

    def tools(self, item: Fields) -> None:
        self._conversation.tools.extend(item.children("tools"))

    def found_tools(self, item: Fields) -> None:
        """The find is also an answer to a search that nobody else knows of."""
        self.tools(item)
        self._conversation.others.setdefault("tool_search_output", []).append(item.values)

    def reference(self, item: Fields) -> None:
        raise InvalidRequest(
            f"`{item.path}` points at an item that is kept at OpenAI, which another provider cannot see. "
            "Send the item itself.",
            code="unsupported_parameter",
            param=item.path,
        )


def _kind(item: Fields) -> str:
    """An item's type. A message may leave it out, and so may a reference, which has nothing but an id."""
    kind = item.text("type")
    if kind is not None:
        return kind
    return "message" if "role" in item.values or "id" not in item.values else "item_reference"


def _thought(item: Fields) -> str:
    """The thought itself where it is told, else its summary. Its parts are paragraphs."""
    told = [part.required_text("text") for part in item.children("content")]
    return "\n\n".join(told or [part.required_text("text") for part in item.children("summary")])


_READERS: Mapping[str, Callable[[_Reader, Fields], None]] = MappingProxyType(
    {
        "message": _Reader.message,
        "reasoning": _Reader.reasoning,
        "function_call": _Reader.function_call,
        "function_call_output": _Reader.output,
        "custom_tool_call": _Reader.custom_tool_call,
        "custom_tool_call_output": _Reader.output,
        "image_generation_call": _Reader.image,
        "additional_tools": _Reader.tools,
        "tool_search_output": _Reader.found_tools,
        "item_reference": _Reader.reference,
    }
)
