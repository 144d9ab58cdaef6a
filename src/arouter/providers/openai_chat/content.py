"""The parts of a message in this dialect's words.

1. A single text is a string, the form that every server knows; anything else is a list of parts.
2. A document that is text travels as text: the dialect's `file` is for PDFs.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence

from arouter.domain.chat import Audio, File, Image, Json, Part, Reasoning, Refusal, Text
from arouter.domain.errors import InvalidRequest
from arouter.providers.openai_chat.abilities import Abilities


def written_content(parts: Sequence[Part], able: Abilities, where: str) -> str | list[Json]:
    """`content` of a message that is not an assistant's. InvalidRequest if a part cannot be said at all."""
    written = content_parts(parts, able, where)
    if not written:
        return ""
    match written:
        case [{"type": "text", "text": str() as text, **rest}] if not rest:
            return text
    return written


def content_parts(parts: Iterable[Part], able: Abilities, where: str) -> list[Json]:
    """The parts one by one; thoughts are not among them."""
    written = []
    for part in parts:
        if isinstance(part, Reasoning):
            continue
        said = _part(part, able, where)
        if able.cache_marks and not isinstance(part, Audio | Refusal) and part.cache_control is not None:
            said["cache_control"] = part.cache_control
        written.append(said)
    return written


def _part(part: Text | Image | Audio | File | Refusal, able: Abilities, where: str) -> Json:
    match part:
        case Text(text=text) | Refusal(text=text):
            return {"type": "text", "text": text}
        case Image():
            image: Json = {"url": part.url if part.url is not None else _data_url(part.media_type, part.data)}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
    return _file(part, able, where)


def _file(file: File, able: Abilities, where: str) -> Json:
    media_type = file.media_type or ""
    if file.data is not None and media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": _data_url(media_type, file.data)}}
    if file.data is not None and media_type.startswith("text/"):
        return {"type": "text", "text": _text_of(file.data, where)}
    told: Json = {}
    if file.file_id is not None:
        told["file_id"] = file.file_id
    elif file.data is not None:
        told["file_data"] = file.data if file.media_type is None else _data_url(file.media_type, file.data)
    elif able.file_urls:
        told["file_data"] = file.url
    else:
        raise InvalidRequest("This provider takes no file by its address: send the file itself.", param=where)
    if file.name is not None:
        told["filename"] = file.name
    return {"type": "file", "file": told}


def _text_of(data: str, where: str) -> str:
    try:
        return b64decode(data, validate=True).decode()
    except (Base64Error, ValueError) as error:
        raise InvalidRequest("A text file must be UTF-8 in Base64.", param=where) from error


def _data_url(media_type: str | None, data: str | None) -> str:
    return f"data:{media_type or ''};base64,{data or ''}"
