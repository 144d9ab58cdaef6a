"""The conversation as input items.

1. A message of the system or the developer keeps its place and its role.
2. A message of the assistant becomes its thoughts and its text in their order, then its calls.
3. A thought goes back as the item that it was, if this provider encrypted it: the ciphertext is the thought, the text
   beside it its summary. Without one it would be a reference to an item that the provider does not keep (it is told
   not to), which the API refuses.
4. What a tool gave is text where it is nothing else, and parts otherwise. That it failed has no field here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from arouter.domain.chat import Audio, File, Image, Json, Message, Part, Reasoning, Refusal, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from arouter.providers.call_ids import bounded_id

_MOST_ID_CHARACTERS = 64


@dataclass(slots=True)
class Input:
    items: list[Json] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """Names of what could not be said."""
    has_thoughts: bool = False
    """An item restores a thought."""


def write_input(messages: Sequence[Message], thought_format: str) -> Input:
    """The messages as `input`. InvalidRequest, naming the field, for what has no place in it at all."""
    written = Input()
    for index, message in enumerate(messages):
        if message.name is not None and message.role != "tool":
            written.dropped.append("messages.name")
        where = f"messages[{index}]"
        match message.role:
            case "assistant":
                _add_assistant(message, thought_format, written)
            case "tool":
                written.items.append(_tool_result(message, where))
                if message.is_error:
                    written.dropped.append("messages.is_error")
            case role:
                content = _content(message.parts)
                written.items.append({"type": "message", "role": role, "content": content})
    return written


def _content(parts: Sequence[Part]) -> list[Json]:
    return [_part(part) for part in parts if not isinstance(part, Reasoning)] or [_text("")]


def _text(text: str) -> Json:
    return {"type": "input_text", "text": text}


def _part(part: Text | Image | Audio | File | Refusal) -> Json:
    match part:
        case Text(text=text) | Refusal(text=text):
            return _text(text)
        case Image():
            url = part.url if part.url is not None else _data_url(part.media_type, part.data)
            return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
    return _file(part)


def _file(file: File) -> Json:
    if file.data is not None and (file.media_type or "").startswith("image/"):
        return {"type": "input_image", "image_url": _data_url(file.media_type, file.data), "detail": "auto"}
    told: Json = {"type": "input_file"}
    if file.file_id is not None:
        return told | {"file_id": file.file_id}
    if file.url is not None:
        told["file_url"] = file.url
    else:
        told["file_data"] = file.data if file.media_type is None else _data_url(file.media_type, file.data)
        # A file by value is known by its name's ending.
        told["filename"] = file.name or _name_of(file.media_type)
    return told


def _name_of(media_type: str | None) -> str:
    kind = (media_type or "application/pdf").partition(";")[0].rpartition("/")[2]
    return f"file.{'txt' if kind == 'plain' else kind}"


def _data_url(media_type: str | None, data: str | None) -> str:
    return f"data:{media_type or ''};base64,{data or ''}"


# ---------------------------------------------------------------- what the model said


def _add_assistant(message: Message, thought_format: str, written: Input) -> None:
    said: list[Json] = []
    thoughts = _Thoughts(thought_format)
    for part in message.parts:
        match part:
            case Text(text=text):
                if text:
                    said.append({"type": "output_text", "text": text, "annotations": []})
            case Refusal(text=text):
                said.append({"type": "refusal", "refusal": text})
            case Reasoning():
                item = thoughts.add(part)
                if item is not None:
                    _add_said(said, written)
                    written.items.append(item)
                    written.has_thoughts = True
            case _:
                written.dropped.append("messages.content")
    _add_said(said, written)
    written.items.extend(_call(call) for call in message.tool_calls)


def _add_said(said: list[Json], written: Input) -> None:
    if said:
        written.items.append({"type": "message", "role": "assistant", "content": list(said)})
        said.clear()


class _Thoughts:
    """Puts items together again: the summary and the ciphertext of one may have come as two parts."""

    def __init__(self, thought_format: str) -> None:
        self._format = thought_format
        self._texts: list[str] = []
        self._id: str | None = None

    def add(self, part: Reasoning) -> Json | None:
        """The item that a part completes, if it does."""
        if part.format not in (self._format, None) or part.signature is not None:
            return None
        if None not in (part.id, self._id) and part.id != self._id:
            self._texts = []
        self._id = self._id if part.id is None else part.id
        if part.text:
            self._texts.append(part.text)
        if part.data is None:
            return None
        summary = [{"type": "summary_text", "text": text} for text in self._texts]
        item: Json = {"type": "reasoning", "summary": summary, "encrypted_content": part.data}
        if self._id is not None:
            item["id"] = self._id
        self._texts, self._id = [], None
        return item


def _call(call: ToolCall) -> Json:
    return {
        "type": "function_call",
        "call_id": bounded_id(call.id, _MOST_ID_CHARACTERS),
        "name": call.name,
        "arguments": call.arguments or "{}",
    }


# ---------------------------------------------------------------- what tools gave


def _tool_result(message: Message, where: str) -> Json:
    if not message.tool_call_id:
        raise InvalidRequest("A tool message must name its call.", param=f"{where}.tool_call_id")
    return {
        "type": "function_call_output",
        "call_id": bounded_id(message.tool_call_id, _MOST_ID_CHARACTERS),
        "output": _output(message.parts),
    }


def _output(parts: Sequence[Part]) -> str | list[Json]:
    texts = list(_texts(parts))
    return "".join(texts) if len(texts) == len(parts) else _content(parts)


def _texts(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Text | Refusal):
            yield part.text
