"""The content of a message or of a tool's output: a string or an array of parts.

Beside OpenAI's own parts a plain `text` is read, and `cache_control` on a part (Anthropic's mark). OpenAI's own mark of
the end of a prefix to cache, `prompt_cache_breakpoint`, means the same and becomes one.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from arouter.domain.chat import Audio, File, Image, Json, Part, Refusal, Text
from arouter.wire.data_urls import is_data_url, read_data_url
from arouter.wire.fields import Fields, as_fields, missing, wrong_type, wrong_value


def read_content(item: Fields, name: str) -> tuple[Part, ...]:
    """The parts of a field, which must be there. A string is one text."""
    value = item.get(name)
    param = item.param(name)
    match value:
        case None:
            raise missing(param)
        case str():
            return (Text(text=value),)
        case list():
            return tuple(_part(as_fields(part, f"{param}[{at}]")) for at, part in enumerate(value))
        case _:
            raise wrong_type(param, "a string or an array of content parts", value)


def _part(part: Fields) -> Part:
    reader = _READERS.get(part.required_text("type"))
    if reader is None:
        raise wrong_value(part.param("type"), f"one of {', '.join(_READERS)}")
    return reader(part)


def _mark(part: Fields) -> Json | None:
    mark = part.json("cache_control")
    if mark is None and part.json("prompt_cache_breakpoint") is not None:
        return {"type": "ephemeral"}
    return mark


def _text(part: Fields) -> Text:
    return Text(text=part.required_text("text"), cache_control=_mark(part))


def _refusal(part: Fields) -> Refusal:
    return Refusal(text=part.required_text("refusal"))


def _image(part: Fields) -> Image | File:
    url, file_id, mark = part.text("image_url"), part.text("file_id"), _mark(part)
    if url is None:
        if file_id is None:
            raise missing(part.param("image_url"))
        return File(file_id=file_id, cache_control=mark)
    detail = part.text("detail")
    if not is_data_url(url):
        return Image(url=url, detail=detail, cache_control=mark)
    media_type, data = read_data_url(url, part.param("image_url"))
    return Image(data=data, media_type=media_type, detail=detail, cache_control=mark)


def _file(part: Fields) -> File:
    name, mark = part.text("filename"), _mark(part)
    file_id, url, data = part.text("file_id"), part.text("file_url"), part.text("file_data")
    if file_id is not None:
        return File(file_id=file_id, name=name, cache_control=mark)
    if url is not None:
        return File(url=url, name=name, cache_control=mark)
    if data is None:
        raise missing(part.param("file_data"))
    if not is_data_url(data):
        return File(data=data, name=name, cache_control=mark)
    media_type, content = read_data_url(data, part.param("file_data"))
    return File(data=content, media_type=media_type, name=name, cache_control=mark)


def _audio(part: Fields) -> Audio:
    audio = part.required_child("input_audio")
    return Audio(data=audio.required_text("data"), format=audio.required_text("format"))


_READERS: Mapping[str, Callable[[Fields], Part]] = MappingProxyType(
    {
        "input_text": _text,
        "output_text": _text,
        "text": _text,
        "refusal": _refusal,
        "input_image": _image,
        "input_file": _file,
        "input_audio": _audio,
    }
)
