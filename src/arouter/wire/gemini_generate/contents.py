"""The conversation: Gemini's turns as messages.

1. A turn of the user becomes the user's messages and the tools' results, in the order of its parts. Neighbouring turns
   of the model become one message: Google's SDK remembers each piece of a stream as a turn of its own, so that text
   and thought which go on from one turn to the next are one.
2. Calls without an id, which Gemini's own clients make, get one from their place in the conversation. A result without
   an id, or with one that no call has, answers the first call of its name that has no result yet.
3. Arguments and results keep every digit: they are taken as they are written and never read into numbers. A result
   `{"result": "text"}` is that text, and `{"error": …}` is a failure.
4. The proofs in `thoughtSignature` become the thoughts that they were, see `proofs`; a proof of Gemini's own stands
   behind the text or the picture that it came with.
5. Code that the model ran on Google's machines is told in words. What else Google's own tools did (`toolCall`,
   `toolResponse`) means something to Google only, and is left out.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from arouter.domain.chat import Message, Part, Reasoning, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from arouter.wire.fields import decoded, missing, wrong_type, wrong_value
from arouter.wire.gemini_generate.fields import ProtoFields, camel, too_deep
from arouter.wire.gemini_generate.media import inline_part, linked_part
from arouter.wire.gemini_generate.proofs import unseal, unseal_call
from arouter.wire.openai_chat.reasoning_details import GEMINI_FORMAT

_Shape = Mapping[str, "_Shape"] | None

_AS_WRITTEN: _Shape = MappingProxyType(
    {
        "parts": MappingProxyType(
            {
                "functionCall": MappingProxyType({"args": None}),
                "functionResponse": MappingProxyType({"response": None}),
            }
        )
    }
)
"""Where in `contents` the values are that stay as they are written (rule 3)."""

_NO_ARGUMENTS = msgspec.Raw(b"{}")


def read_system(instruction: ProtoFields | None) -> tuple[Message, ...]:
    """`systemInstruction` as one message; none if it says nothing."""
    if instruction is None:
        return ()
    parts = tuple(_plain(part) for part in instruction.objects("parts"))
    return (Message(role="system", parts=parts),) if parts else ()


def read_contents(name: str, raw: msgspec.Raw | None) -> tuple[Message, ...]:
    """`contents`, in which somebody must say something; `name` is the field's own, for the messages of errors."""
    if raw is None or raw == msgspec.Raw(b"null"):
        raise missing(name)
    turns = ProtoFields({"contents": _opened(name, raw, _AS_WRITTEN)}).objects("contents")
    conversation = _Conversation()
    for at, turn in enumerate(turns):
        conversation.add(turn, at)
    told = conversation.told()
    if not told:
        raise wrong_value(name, "an array of at least one turn that says something")
    return told


def _opened(name: str, raw: msgspec.Raw, shape: _Shape) -> object:
    """A value decoded, but for what `shape` leaves as it is written."""
    if shape is None:
        decoded(name, raw)  # It must be JSON throughout: nobody looks into it again.
        return raw
    try:
        match bytes(memoryview(raw)[:1]):
            case b"[":
                return [_opened(name, one, shape) for one in msgspec.json.decode(raw, type=list[msgspec.Raw])]
            case b"{":
                fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
                return {key: _member(name, key, value, shape) for key, value in fields.items()}
            case _:
                return decoded(name, raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"`{name}` is not valid JSON.", code="invalid_json", param=name) from exc
    except RecursionError as exc:
        raise too_deep(name) from exc


def _member(name: str, key: str, raw: msgspec.Raw, shape: Mapping[str, _Shape]) -> object:
    word = camel(key)
    return _opened(name, raw, shape[word]) if word in shape else decoded(name, raw)


class _Conversation:
    """The messages so far, and the calls that have no result yet."""

    __slots__ = ("_messages", "_open", "_said")

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._open: list[ToolCall] = []
        self._said: _Said | None = None
        """What the model said, until it is somebody else's turn."""

    def add(self, turn: ProtoFields, at: int) -> None:
        match turn.text("role"):
            case "model":
                self._said = _Said() if self._said is None else self._said
                self._said.add_turn(turn, at)
            case "user" | "function" | "" | None:
                self._end_of_model()
                self._add_user(turn)
            case _:
                raise wrong_value(turn.param("role"), "user or model")

    def told(self) -> tuple[Message, ...]:
        """All messages."""
        self._end_of_model()
        return tuple(self._messages)

    def _end_of_model(self) -> None:
        message = None if self._said is None else self._said.message()
        self._said = None
        if message is not None:
            self._open += message.tool_calls
            self._messages.append(message)

    def _add_user(self, turn: ProtoFields) -> None:
        said: list[Part] = []
        for part in turn.objects("parts"):
            response = part.child("functionResponse")
            if response is None:
                said += _spoken(part)
                continue
            self._say(said)
            said = []
            self._messages.append(self._result(response))
        self._say(said)

    def _say(self, parts: list[Part]) -> None:
        if parts:
            self._messages.append(Message(role="user", parts=tuple(parts)))

    def _result(self, response: ProtoFields) -> Message:
        name = response.required_text("name")
        call = self._answered(response.text("id"), name)
        if call is None:
            raise InvalidRequest(
                f"`{response.param('name')}` must be the name of a function that the model called before, and whose"
                " result was not told yet.",
                code="invalid_value",
                param=response.param("name"),
            )
        self._open.remove(call)
        text, is_error = _response(response)
        media = [_medium(part) for part in response.objects("parts")]
        parts = (Text(text=text), *(part for part in media if part is not None))
        return Message(role="tool", parts=parts, tool_call_id=call.id, name=name, is_error=is_error)

    def _answered(self, call_id: str | None, name: str) -> ToolCall | None:
        """Rule 2."""
        by_id = [call for call in self._open if call_id and call.id == call_id]
        return next(iter((*by_id, *(call for call in self._open if call.name == name))), None)


# ---------------------------------------------------------------- the user's and the tools' parts


def _plain(part: ProtoFields) -> Part:
    spoken = _spoken(part)
    if len(spoken) != 1:
        raise wrong_value(part.path, "a text")
    return spoken[0]


def _spoken(part: ProtoFields) -> list[Part]:
    """What one part says, whoever says it; empty for what only Google understands (rule 5)."""
    text = part.text("text")
    if text is not None:
        return [Text(text=text)]
    medium = _medium(part)
    if medium is not None:
        return [medium]
    code, ran = part.child("executableCode"), part.child("codeExecutionResult")
    if code is not None:
        language = code.text("language") or ""
        return [Text(text=f"```{language.lower()}\n{code.text('code') or ''}\n```")]
    if ran is not None:
        return [Text(text=f"```\n{ran.text('output') or ''}\n```")]
    if part.child("functionCall") is not None:
        raise wrong_value(part.param("functionCall"), "in a turn of the model")
    return []


def _medium(part: ProtoFields) -> Part | None:
    blob, file = part.child("inlineData"), part.child("fileData")
    if blob is not None:
        return inline_part(blob)
    return None if file is None else linked_part(file)


def _response(response: ProtoFields) -> tuple[str, bool]:
    """What the function gave, as text, and whether it failed (rule 3)."""
    raw = response.get("response")
    if raw is None or raw == msgspec.Raw(b"null"):
        return "{}", False
    if not isinstance(raw, msgspec.Raw) or memoryview(raw)[0] != ord("{"):
        raise _no_object(response.param("response"), raw)
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    if len(fields) == 1:
        ((word, told),) = fields.items()
        text = _text(told)
        if word in ("result", "error") and text is not None:
            return text, word == "error"
        if word == "error" and memoryview(told)[0] == ord("{"):
            return bytes(told).decode(), True
    return bytes(raw).decode(), False


def _text(raw: msgspec.Raw) -> str | None:
    """A string that is not itself the JSON of an object, which would be taken for the whole result; else None."""
    value = msgspec.json.decode(raw)
    return value if isinstance(value, str) and not value.lstrip().startswith("{") else None


# ---------------------------------------------------------------- the model's parts


class _Said:
    """What the model said, part by part."""

    __slots__ = ("_at_start", "_calls", "_parts", "_thoughts")

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._calls: list[ToolCall] = []
        self._thoughts: list[str] = []
        """Pieces of thought without a proof, behind all parts."""
        self._at_start = False
        """Nothing of this turn was read yet, but something of the one before it."""

    def add_turn(self, turn: ProtoFields, at: int) -> None:
        self._at_start = bool(self._parts or self._thoughts)
        for number, part in enumerate(turn.objects("parts")):
            self._add(part, call_id=f"call_{at}_{number}")
            self._at_start = False

    def message(self) -> Message | None:
        """All of it; None if it was nothing."""
        self._close_thoughts()
        if not self._parts and not self._calls:
            return None
        return Message(role="assistant", parts=tuple(self._parts), tool_calls=tuple(self._calls))

    def _add(self, part: ProtoFields, call_id: str) -> None:
        call = part.child("functionCall")
        signature = part.text("thoughtSignature") or None
        if call is not None:
            self._close_thoughts()
            self._calls.append(_call(call, signature, call_id))
        elif part.flag("thought"):
            self._think(part.text("text") or "")
            if signature is not None:
                self._prove(signature)
        else:
            self._close_thoughts()
            spoken = self._speak(part)
            # The proof of what Google's own tools did is Google's too.
            if signature is not None and (spoken or part.get("text") is not None) and not _is_googles(part):
                self._prove(signature)

    def _speak(self, part: ProtoFields) -> bool:
        """Whether the part says anything."""
        spoken = [one for one in _spoken(part) if one != Text(text="")]
        before = self._parts[-1] if self._parts else None
        if self._at_start and isinstance(before, Text) and spoken and part.text("text") is not None:
            self._parts[-1] = Text(text=before.text + (part.text("text") or ""))
        else:
            self._parts += spoken
        return bool(spoken)

    def _think(self, text: str) -> None:
        if self._at_start and self._thoughts:
            self._thoughts[-1] += text
        elif text:
            self._thoughts.append(text)

    def _close_thoughts(self) -> None:
        self._parts += [Reasoning(text=text) for text in self._thoughts]
        self._thoughts = []

    def _prove(self, signature: str) -> None:
        """Makes one thought of a proof and the text that it proves."""
        opened = unseal(signature)
        if opened is None:
            text = self._thoughts.pop() if self._thoughts else ""
            self._close_thoughts()
            self._parts.append(Reasoning(text=text, signature=signature, format=GEMINI_FORMAT))
            return
        proof, length = opened
        text = self._take(length)
        self._close_thoughts()
        self._parts.append(_with_text(proof, text))

    def _take(self, length: int) -> str:
        """The last so many characters of thought."""
        taken: list[str] = []
        while length > 0 and self._thoughts:
            piece = self._thoughts.pop()
            start = max(0, len(piece) - length)
            taken.append(piece[start:])
            length -= len(piece) - start
            if start:
                self._thoughts.append(piece[:start])
        return "".join(reversed(taken))


def _with_text(proof: Reasoning, text: str) -> Reasoning:
    return Reasoning(text=text, signature=proof.signature, data=proof.data, format=proof.format, id=proof.id)


def _is_googles(part: ProtoFields) -> bool:
    return any(part.get(name) is not None for name in ("executableCode", "codeExecutionResult"))


def _call(call: ProtoFields, signature: str | None, call_id: str) -> ToolCall:
    arguments = call.get("args")
    if arguments is None or arguments == msgspec.Raw(b"null"):
        arguments = _NO_ARGUMENTS
    if not isinstance(arguments, msgspec.Raw) or memoryview(arguments)[0] != ord("{"):
        raise _no_object(call.param("args"), arguments)
    return ToolCall(
        id=call.text("id") or call_id,
        name=call.required_text("name"),
        arguments=bytes(arguments).decode(),
        signature=None if signature is None else unseal_call(signature),
    )


def _no_object(param: str, value: object) -> InvalidRequest:
    return wrong_type(param, "an object", decoded(param, value) if isinstance(value, msgspec.Raw) else value)
