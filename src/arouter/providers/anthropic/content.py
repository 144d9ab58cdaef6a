"""The conversation in Anthropic's words: `system`, and messages of the roles user and assistant.

1. System and developer messages, wherever they stand, become blocks of `system`, in their order.
2. Consecutive messages of one role become one message. A tool's result belongs to the user's role, and the results
   of a turn stand before whatever else the user says in it: the API refuses them elsewhere.
3. A block without content is left out, which the API would refuse; so is a message that has no blocks then.
4. Thoughts go back only to the provider that signed them: with our format's name, or, where the client sent no
   name, with a signature.
5. Sound, by value or by address, is left out; a film cannot be said at all, and is refused by either.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence

from arouter.domain.chat import (
    Audio,
    File,
    Image,
    Json,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from arouter.domain.errors import InvalidRequest
from arouter.domain.value import value
from arouter.providers.anthropic.blocks import THINKING_FORMAT
from arouter.providers.arguments import as_object
from arouter.providers.call_ids import plain
from arouter.providers.turns import Words, in_turns

_PDF_IN_BASE64 = "JVBERi"
"""`%PDF-`, which every PDF begins with."""


@value(frozen=True, slots=True, kw_only=True)
class Conversation:
    system: list[Json]
    messages: list[Json]
    dropped: list[str]
    """Names of what could not be said."""


def write_conversation(messages: Sequence[Message]) -> Conversation:
    """The messages in this dialect. InvalidRequest, naming the field, for what has no place in it at all."""
    system, turns = in_turns(messages, _WORDS)
    dropped: list[str] = []
    for message in messages:
        _add_without_counterpart(message, dropped)
    written: list[Json] = [
        {"role": turn.role, "content": content} for turn in turns if (content := turn.results + turn.blocks)
    ]
    return Conversation(system=system, messages=written, dropped=dropped)


def _add_without_counterpart(message: Message, dropped: list[str]) -> None:
    if message.name is not None and message.role != "tool":
        dropped.append("messages.name")
    for part in message.parts:
        if isinstance(part, Text):
            continue
        if _is_sound(part):
            dropped.append("messages.input_audio")
        elif isinstance(part, Image) and part.detail not in (None, "auto"):
            dropped.append("messages.image_url.detail")


def _is_sound(part: Part) -> bool:
    return isinstance(part, Audio) or (isinstance(part, File) and (part.media_type or "").startswith("audio/"))


def _blocks(parts: Iterable[Part], where: str) -> list[Json]:
    return [block for part in parts if (block := _block(part, where)) is not None]


def _block(part: Part, where: str) -> Json | None:
    if isinstance(part, Text) and part.cache_control is None:
        return {"type": "text", "text": part.text} if part.text else None
    if _is_sound(part):
        return None
    block: Json | None
    match part:
        case Text() | Refusal():
            block = {"type": "text", "text": part.text} if part.text else None
        case Image():
            block = {"type": "image", "source": _image_source(part, where)}
        case File():
            block = _document(part, where)
        case Reasoning():
            block = _thought(part)
        case Audio():
            block = None
    if block is not None and isinstance(part, Text | Image | File) and part.cache_control is not None:
        block["cache_control"] = part.cache_control
    return block


def _image_source(image: Image, where: str) -> Json:
    if image.url is not None:
        return {"type": "url", "url": image.url}
    if image.media_type is None:
        raise InvalidRequest(
            "An image sent by value needs its media type: use a URL like data:image/png;base64,…",
            param=f"{where}.content",
        )
    return {"type": "base64", "media_type": image.media_type, "data": image.data}


def _document(file: File, where: str) -> Json:
    media_type = file.media_type or ""
    if media_type.startswith("image/") and file.file_id is None:
        image = Image(url=file.url, data=file.data, media_type=file.media_type)
        return {"type": "image", "source": _image_source(image, where)}
    if media_type.startswith("video/"):
        raise InvalidRequest("This provider takes no video.", code="invalid_value", param=f"{where}.content")
    block: Json = {"type": "document", "source": _document_source(file, where)}
    if file.name is not None:
        block["title"] = file.name
    return block


def _document_source(file: File, where: str) -> Json:
    if file.file_id is not None:
        return {"type": "file", "file_id": file.file_id}
    if file.url is not None:
        return {"type": "url", "url": file.url}
    data = file.data or ""
    if file.media_type == "application/pdf" or (file.media_type is None and data.startswith(_PDF_IN_BASE64)):
        return {"type": "base64", "media_type": "application/pdf", "data": data}
    try:
        text = b64decode(data, validate=True).decode()
    except (Base64Error, ValueError) as error:
        raise InvalidRequest(
            "A file for this provider is a PDF or text in UTF-8, in Base64.", param=f"{where}.content"
        ) from error
    return {"type": "text", "media_type": "text/plain", "data": text}


def _thought(part: Reasoning) -> Json | None:
    if part.format == THINKING_FORMAT and part.data is not None:
        return {"type": "redacted_thinking", "data": part.data}
    if part.signature is not None and part.format in (THINKING_FORMAT, None):
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    return None


def _tool_uses(calls: Iterable[ToolCall], where: str) -> list[Json]:
    return [
        {
            "type": "tool_use",
            "id": plain(call.id),
            "name": call.name,
            "input": as_object(call.arguments, f"{where}.tool_calls[{index}].function.arguments"),
        }
        for index, call in enumerate(calls)
    ]


def _tool_result(message: Message, where: str) -> list[Json]:
    """A cache mark within the result moves to the result: only whole blocks of a message can be cached."""
    if not message.tool_call_id:
        raise InvalidRequest("A tool message must name its call.", param=f"{where}.tool_call_id")
    block: Json = {"type": "tool_result", "tool_use_id": plain(message.tool_call_id)}
    content = _blocks(message.parts, where)
    marks = [mark for part in content if (mark := part.pop("cache_control", None)) is not None]
    if content:
        block["content"] = content
    if message.is_error:
        block["is_error"] = True
    if marks:
        block["cache_control"] = marks[-1]
    return [block]


_WORDS = Words(parts=_blocks, calls=_tool_uses, result=_tool_result)
