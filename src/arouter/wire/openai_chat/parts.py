"""The content of a message: a string, null or an array of parts.

Beside OpenAI's own parts these are read: `cache_control` on a part (Anthropic's mark, which OpenRouter's clients
send in this format too), an image as a bare string, `document_url` and `thinking` (Mistral), `video_url` (OpenRouter),
and a web address as `file_data` (OpenRouter).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from arouter.domain.chat import Audio, File, Image, Part, Reasoning, Refusal, Text
from arouter.wire.data_urls import is_data_url, read_data_url
from arouter.wire.fields import Fields, as_fields, missing, wrong_type, wrong_value

_WEB = ("https://", "http://")


def read_content(message: Fields) -> tuple[Part, ...]:
    """The parts of `content`. A string is one text; null and an absent field are none."""
    value = message.get("content")
    if value is None:
        return ()
    param = message.param("content")
    if isinstance(value, str):
        return (Text(text=value),)
    if isinstance(value, list):
        return tuple(_part(as_fields(part, f"{param}[{at}]")) for at, part in enumerate(value))
    raise wrong_type(param, "a string, an array of content parts or null", value)


def _part(part: Fields) -> Part:
    reader = _READERS.get(part.required_text("type"))
    if reader is None:
        raise wrong_value(part.param("type"), f"one of {', '.join(_READERS)}")
    return reader(part)


def _text(part: Fields) -> Text:
    return Text(text=part.required_text("text"), cache_control=part.json("cache_control"))


def _refusal(part: Fields) -> Refusal:
    return Refusal(text=part.required_text("refusal"))


def _thinking(part: Fields) -> Reasoning:
    return Reasoning(text="".join(thought.text("text") or "" for thought in part.children("thinking")))


def _image(part: Fields) -> Image:
    url, param = _address(part, "image_url")
    image = part.get("image_url")
    detail = Fields(image, part.param("image_url")).text("detail") if isinstance(image, dict) else None
    mark = part.json("cache_control")
    if not is_data_url(url):
        return Image(url=url, detail=detail, cache_control=mark)
    media_type, data = read_data_url(url, param)
    return Image(data=data, media_type=media_type, detail=detail, cache_control=mark)


def _audio(part: Fields) -> Audio:
    audio = part.required_child("input_audio")
    return Audio(data=audio.required_text("data"), format=audio.required_text("format"))


def _file(part: Fields) -> File:
    file = part.required_child("file")
    file_id, data, name = file.text("file_id"), file.text("file_data"), file.text("filename")
    mark = part.json("cache_control")
    if file_id is not None:
        return File(file_id=file_id, name=name, cache_control=mark)
    if data is None:
        raise missing(file.param("file_data"))
    if data.startswith(_WEB):
        return File(url=data, name=name, cache_control=mark)
    if not is_data_url(data):
        return File(data=data, name=name, cache_control=mark)
    media_type, content = read_data_url(data, file.param("file_data"))
    return File(data=content, media_type=media_type, name=name, cache_control=mark)


def _document(part: Fields) -> File:
    return _linked_file(part, "document_url")


def _video(part: Fields) -> File:
    return _linked_file(part, "video_url")


def _linked_file(part: Fields, field: str) -> File:
    url, param = _address(part, field)
    name, mark = part.text("document_name"), part.json("cache_control")
    if not is_data_url(url):
        return File(url=url, name=name, cache_control=mark)
    media_type, data = read_data_url(url, param)
    return File(data=data, media_type=media_type, name=name, cache_control=mark)


def _address(part: Fields, field: str) -> tuple[str, str]:
    """The address in `{"url": …}` or in a bare string, and its param."""
    value = part.get(field)
    param = part.param(field)
    match value:
        case None:
            raise missing(param)
        case str():
            return value, param
        case dict():
            inner = Fields(value, param)
            return inner.required_text("url"), inner.param("url")
        case _:
            raise wrong_type(param, "an object with a url", value)


_READERS: Mapping[str, Callable[[Fields], Part]] = MappingProxyType(
    {
        "text": _text,
        "image_url": _image,
        "input_audio": _audio,
        "file": _file,
        "refusal": _refusal,
        "document_url": _document,
        "video_url": _video,
        "thinking": _thinking,
    }
)
