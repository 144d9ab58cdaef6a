"""Pictures, sound and documents: `inlineData` by value, `fileData` by address."""

from collections.abc import Mapping
from types import MappingProxyType

from arouter.domain.chat import Audio, File, Image
from arouter.wire.fields import missing
from arouter.wire.gemini_generate.fields import ProtoFields, strict_base64

_FORMATS: Mapping[str, str] = MappingProxyType(
    {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-m4a": "m4a", "x-aiff": "aiff"}
)
"""OpenAI's words for kinds of sound, where the media type has another one."""

_DATA = "data:"


def inline_part(blob: ProtoFields) -> Image | Audio | File:
    """A part by value."""
    data = blob.base64("data")
    if data is None:
        raise missing(blob.param("data"))
    media_type = _media_type(blob)
    kind, _, name = (media_type or "").partition("/")
    if kind == "image":
        return Image(data=data, media_type=media_type)
    if kind == "audio" and name:
        return Audio(data=data, format=_FORMATS.get(name, name))
    return File(data=data, media_type=media_type, name=blob.text("displayName"))


def linked_part(file: ProtoFields) -> Image | File:
    """A part by address."""
    address, media_type = file.required_text("fileUri"), _media_type(file)
    if media_type is not None and media_type.startswith("image/"):
        return Image(url=address, media_type=media_type)
    return File(url=address, media_type=media_type, name=file.text("displayName"))


def _media_type(fields: ProtoFields) -> str | None:
    media_type = fields.text("mimeType")
    return media_type.strip().lower() or None if media_type is not None else None


def read_data_url(url: str) -> tuple[str, str] | None:
    """The media type and the base64 of a `data:` URL; None of any other, and of one that holds something else."""
    head, comma, data = url[len(_DATA) :].partition(",")
    if not comma or url[: len(_DATA)].lower() != _DATA:
        return None
    media_type, *options = head.split(";")
    plain = strict_base64(data) if "base64" in options else None
    return None if plain is None else (media_type, plain)
