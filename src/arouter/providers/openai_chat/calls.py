"""The tool calls of one choice, put together from whatever pieces a vendor sends.

1. OpenAI begins a call with its index, id and name and goes on by the index. Others send a call whole in one piece;
   without an index; with the same index for every call, told apart by their ids; without an id, for which one is made
   from the answer's id and the place, the same on every reading; or with id and name in every piece.
2. A call is told when its name is known. Its arguments are the text as it came; an object is its JSON.
3. A call that ends without arguments has `{}`, which is what every client can read.
4. A custom tool takes plain text: as a function, which is what the canonical form has, it takes an object that holds
   the text.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from arouter.domain.chat import Event, ToolCallArguments, ToolCallStarted
from arouter.providers.openai_chat.schema import CallPiece, Function


@dataclass(slots=True)
class _Call:
    place: int
    key: int | None
    """The provider's index."""
    id: str | None
    name: str = ""
    signature: str | None = None
    custom: bool = False
    waiting: str = ""
    """Arguments that came before the name."""
    begun: bool = False
    has_arguments: bool = False


class Calls:
    """The calls of the choice with this index, of the answer with this id."""

    __slots__ = ("_calls", "_choice")

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        """Whether any call was told."""
        return any(call.begun for call in self._calls)

    def add(self, piece: CallPiece, proofs: dict[str, str], answer_id: str | None) -> Iterable[Event]:
        """What a piece tells. `proofs` are those that came with it, by the id of their call."""
        call = self._of(piece)
        function = piece.function
        if piece.type == "custom" or (function is None and piece.custom is not None):
            call.custom = True
        name, arguments = _told(piece, custom=call.custom)
        call.name = call.name or name
        if not call.begun:
            call.signature = _google_signature(piece.extra_content) or proofs.get(piece.id or "") or call.signature
            if not call.name:
                call.waiting += arguments
                return
            yield self._begin(call, answer_id)
            arguments = call.waiting + arguments
            if call.custom:
                yield self._arguments(call, '{"input":"')
        if arguments:
            yield self._arguments(call, arguments)

    def add_legacy(self, function: Function, answer_id: str | None) -> Iterable[Event]:
        """`function_call`, the form before `tool_calls`: there is one, without index and id."""
        if function.name or function.arguments:
            yield from self.add(CallPiece(index=0, function=function), {}, answer_id)

    def close(self) -> Iterable[Event]:
        """No call goes on."""
        for call in self._calls:
            if not call.begun:
                continue
            if call.custom:
                yield self._arguments(call, '"}')
                call.custom = False
            elif not call.has_arguments:
                yield self._arguments(call, "{}")

    def _of(self, piece: CallPiece) -> _Call:
        """The call that a piece belongs to; a new one where it begins one (rule 1)."""
        anonymous = piece.index is None and not piece.id and piece.function is not None and piece.function.name
        for call in reversed(self._calls):
            if anonymous and call.begun:
                break
            if piece.index is not None and call.key != piece.index:
                continue
            if not piece.id or call.id is None or call.id == piece.id:
                if piece.id and call.id is None:
                    call.id = piece.id
                return call
            if piece.index is None:
                break
        call = _Call(place=len(self._calls), key=piece.index, id=piece.id or None)
        self._calls.append(call)
        return call

    def _begin(self, call: _Call, answer_id: str | None) -> Event:
        call.begun = True
        if call.id is None:
            call.id = f"call_{answer_id or 'answer'}_{self._choice}_{call.place}"
        return ToolCallStarted(
            index=call.place, id=call.id, name=call.name, signature=call.signature, choice=self._choice
        )

    def _arguments(self, call: _Call, fragment: str) -> Event:
        call.has_arguments = True
        return ToolCallArguments(index=call.place, fragment=fragment, choice=self._choice)


def _told(piece: CallPiece, *, custom: bool) -> tuple[str, str]:
    """The name and the piece of the arguments."""
    if custom:
        told = piece.custom
        if told is None:
            return "", ""
        # The text goes on within one JSON string.
        return told.name or "", msgspec.json.encode(told.input or "").decode()[1:-1]
    function = piece.function
    if function is None:
        return "", ""
    match function.arguments:
        case str() as text:
            return function.name or "", text
        case dict() as arguments:
            return function.name or "", msgspec.json.encode(arguments).decode()
    return function.name or "", ""


def _google_signature(extra_content: object) -> str | None:
    """`extra_content.google.thought_signature`, where Google's OpenAI-compatible API has the proof of a call."""
    match extra_content:
        case {"google": {"thought_signature": str() as signature}}:
            return signature
    return None
