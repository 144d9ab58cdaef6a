"""The conversation in Converse's words: `system`, and messages of the roles user and assistant.

1. System and developer messages, wherever they stand, become blocks of `system`, in their order.
2. Consecutive messages of one role become one message. A tool's result belongs to the user's role, and the results of
   a turn stand before whatever else the user says in it.
3. A block without content is left out; so is a message that has no blocks then.
4. A cache mark is a block of its own, behind the one that it marks. Of those within what tools gave the last one
   counts, and stands behind all results of the turn, which hold none themselves.
5. Images, sound and documents travel by value, or from `s3://`; nothing else is fetched.
6. Thoughts go back only if they are this dialect's own and carry a proof.
"""

import re
from collections.abc import Iterable, Sequence

from arouter.domain.chat import Audio, File, Image, Json, Message, Part, Reasoning, Refusal, Text, ToolCall
from arouter.domain.errors import InvalidRequest
from arouter.providers.arguments import as_object
from arouter.providers.call_ids import bounded_id, plain
from arouter.providers.turns import Turn, Words, in_turns

REASONING_FORMAT = "bedrock-converse-v1"
"""The name of this dialect's thoughts in `reasoning_details`."""

_MOST_ID_CHARACTERS = 64
_FOREIGN_NAME_CHARACTERS = re.compile(r"[^a-zA-Z0-9()\[\] -]+| {2,}")
"""What the name of a document may not hold."""
_MOST_NAME_CHARACTERS = 200
_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_PDF_IN_BASE64 = "JVBERi"
"""`%PDF-`, which every PDF begins with."""
_S3 = "s3://"


def write_conversation(messages: Sequence[Message]) -> tuple[list[Json], list[Json]]:
    """`system` and `messages`. InvalidRequest, naming the field, for what has no place in them at all."""
    system, turns = in_turns(messages, Words(parts=_blocks, calls=_tool_uses, result=_tool_result))
    written: list[Json] = [
        {"role": turn.role, "content": content} for turn in turns if (content := _results(turn) + turn.blocks)
    ]
    return system, written


def _results(turn: Turn) -> list[Json]:
    """What tools gave, and the last of the cache marks within it (rule 4)."""
    points = [block for block in turn.results if _is_point(block)]
    return [block for block in turn.results if not _is_point(block)] + points[-1:]


def _is_point(block: Json) -> bool:
    return "cachePoint" in block


def cache_point(mark: Json) -> Json:
    """A cache mark of Anthropic's form as a block."""
    point: Json = {"type": "default"}
    if mark.get("ttl") in ("5m", "1h"):
        point["ttl"] = mark["ttl"]
    return {"cachePoint": point}


def _blocks(parts: Iterable[Part], where: str) -> list[Json]:
    blocks = []
    for part in parts:
        block = _block(part, where)
        if block is None:
            continue
        blocks.append(block)
        if isinstance(part, Text | Image | File) and part.cache_control is not None:
            blocks.append(cache_point(part.cache_control))
    return blocks


def _block(part: Part, where: str) -> Json | None:
    match part:
        case Text() | Refusal():
            return {"text": part.text} if part.text else None
        case Image():
            return _image(part, where)
        case File():
            return _document(part, where)
        case Audio():
            return {"audio": {"format": part.format, "source": {"bytes": part.data}}}
        case Reasoning():
            return _thought(part)


def _image(image: Image, where: str) -> Json:
    media_type = image.media_type or _media_type_of_name(image.url)
    if media_type not in _IMAGES:
        raise _refused("an image is PNG, JPEG, GIF or WebP, as a URL like data:image/png;base64,…", where)
    return {"image": {"format": _IMAGES[media_type], "source": _source(image.data, image.url, where)}}


def _media_type_of_name(url: str | None) -> str:
    return f"image/{(url or '').rpartition('.')[2].lower()}"


def _document(file: File, where: str) -> Json:
    if file.media_type in _IMAGES:
        return _image(Image(url=file.url, data=file.data, media_type=file.media_type), where)
    kind = _DOCUMENTS.get(file.media_type or "")
    if kind is None and (file.data or "").startswith(_PDF_IN_BASE64):
        kind = "pdf"
    if kind is None:
        raise _refused("a file is a PDF, text, HTML, CSV, or a document of Word or Excel, with its media type", where)
    name = _FOREIGN_NAME_CHARACTERS.sub(" ", file.name or "document").strip()[:_MOST_NAME_CHARACTERS] or "document"
    return {"document": {"format": kind, "name": name, "source": _source(file.data, file.url, where)}}


def _source(data: str | None, url: str | None, where: str) -> Json:
    if data is not None:
        return {"bytes": data}
    if url is not None and url.startswith(_S3):
        return {"s3Location": {"uri": url}}
    raise _refused("images and files are sent by value, in Base64, or from s3://", where)


def _refused(rule: str, where: str) -> InvalidRequest:
    return InvalidRequest(f"For this provider {rule}.", code="invalid_value", param=f"{where}.content")


def _thought(part: Reasoning) -> Json | None:
    if part.format != REASONING_FORMAT:
        return None
    if part.data is not None:
        return {"reasoningContent": {"redactedContent": part.data}}
    if part.signature is not None:
        return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}
    return None


def _tool_uses(calls: Iterable[ToolCall], where: str) -> list[Json]:
    return [
        {
            "toolUse": {
                "toolUseId": _tool_use_id(call.id),
                "name": call.name,
                "input": as_object(call.arguments, f"{where}.tool_calls[{index}].function.arguments"),
            }
        }
        for index, call in enumerate(calls)
    ]


def _tool_result(message: Message, where: str) -> list[Json]:
    """The result, and the cache marks that stood within it."""
    if not message.tool_call_id:
        raise InvalidRequest("A tool message must name its call.", param=f"{where}.tool_call_id")
    blocks = _blocks(message.parts, where)
    content = [block for block in blocks if not _is_point(block)]
    result: Json = {"toolUseId": _tool_use_id(message.tool_call_id), "content": content}
    if message.is_error:
        result["status"] = "error"
    return [{"toolResult": result}, *(block for block in blocks if _is_point(block))]


def _tool_use_id(call_id: str) -> str:
    return bounded_id(plain(call_id), _MOST_ID_CHARACTERS)
