"""Content blocks of a request as canonical parts.

What has no counterpart is left out, and its name is told, so that the client can learn of it: what Anthropic's own
tools did (`server_tool_use` and its results), files in Anthropic's containers, a document's `context`. A summary by
which Anthropic compacted a conversation is text, since it stands for all that was before it; so is a tool that a
client's own search found, by its name.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType

from arouter.domain.chat import File, Image, Json, Part, Text
from arouter.wire.fields import Fields, as_fields, missing, wrong_type, wrong_value

_BLOCK_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Lost:
    """The names of what was left out, in their order."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[str, bool] = {}

    def add(self, name: str) -> None:
        self._names[name] = True

    def as_rest(self) -> Mapping[str, bool]:
        """Each name with true: in `ChatRequest.rest` an adapter drops by name what it does not know."""
        return self._names


def content_blocks(holder: Fields, name: str = "content") -> list[Fields]:
    """The blocks of a field that may be a string, which is one block of text; none where it is absent or null."""
    value = holder.get(name)
    if value is None:
        return []
    param = holder.param(name)
    if isinstance(value, str):
        return [Fields({"type": "text", "text": value}, param)]
    if isinstance(value, list):
        return [as_fields(block, f"{param}[{at}]") for at, block in enumerate(value)]
    raise wrong_type(param, "a string or an array of content blocks", value)


def read_parts(block: Fields, lost: Lost) -> list[Part]:
    """The parts that a block amounts to, in order; none if it has no counterpart."""
    kind = block.required_text("type")
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(block, lost)
    if _BLOCK_TYPE.fullmatch(kind) is None:
        raise wrong_value(block.param("type"), "the name of a content block")
    lost.add(f"messages.{kind}")
    return []


def _text(block: Fields, lost: Lost) -> list[Part]:
    return [Text(text=block.required_text("text"), cache_control=block.json("cache_control"))]


def _image(block: Fields, lost: Lost) -> list[Part]:
    if block.json("transformations"):
        lost.add("messages.image.transformations")
    source = block.required_child("source")
    mark = block.json("cache_control")
    match source.required_text("type"):
        case "base64":
            data, media_type = source.required_text("data"), source.required_text("media_type")
            return [Image(data=data, media_type=media_type, cache_control=mark)]
        case "url":
            return [Image(url=source.required_text("url"), cache_control=mark)]
        case "file":
            return [File(file_id=source.required_text("file_id"), cache_control=mark)]
        case _:
            raise wrong_value(source.param("type"), "base64, url or file")


def _document(block: Fields, lost: Lost) -> list[Part]:
    for name in ("context", "citations"):
        if _asks(block, name):
            lost.add(f"messages.document.{name}")
    source = block.required_child("source")
    title, mark = block.text("title"), block.json("cache_control")
    match source.required_text("type"):
        case "base64":
            data, media_type = source.required_text("data"), source.required_text("media_type")
            return [File(data=data, media_type=media_type, name=title, cache_control=mark)]
        case "text":
            text = b64encode(source.required_text("data").encode()).decode()
            return [File(data=text, media_type="text/plain", name=title, cache_control=mark)]
        case "url":
            return [File(url=source.required_text("url"), name=title, cache_control=mark)]
        case "file":
            return [File(file_id=source.required_text("file_id"), name=title, cache_control=mark)]
        case "content":
            return _written_out(title, content_blocks(source), mark, lost)
        case _:
            raise wrong_value(source.param("type"), "base64, text, url, file or content")


def _search_result(block: Fields, lost: Lost) -> list[Part]:
    """A result that the client found itself: what it is called, where it is from, and what it says."""
    if _asks(block, "citations"):
        lost.add("messages.search_result.citations")
    title, source = block.required_text("title"), block.required_text("source")
    if block.array("content") is None:
        raise missing(block.param("content"))
    return _written_out(f"{title}\n{source}", content_blocks(block), block.json("cache_control"), lost)


def _written_out(heading: str | None, blocks: list[Fields], mark: Json | None, lost: Lost) -> list[Part]:
    """Blocks within a block, under a heading; the cache mark of the whole belongs to its last part."""
    parts: list[Part] = [] if heading is None else [Text(text=f"{heading}\n\n")]
    for block in blocks:
        parts += read_parts(block, lost)
    if mark is not None and parts:
        parts[-1] = marked(parts[-1], mark)
    return parts


def marked(part: Part, mark: Json) -> Part:
    """`part` with a cache mark; as it is if it cannot have one or has one already."""
    match part:
        case Text(cache_control=None, text=text):
            return Text(text=text, cache_control=mark)
        case Image(cache_control=None, url=url, data=data, media_type=kind, detail=detail):
            return Image(url=url, data=data, media_type=kind, detail=detail, cache_control=mark)
        case File(cache_control=None, url=url, data=data, file_id=file_id, media_type=kind, name=name):
            return File(url=url, data=data, file_id=file_id, media_type=kind, name=name, cache_control=mark)
        case _:
            return part


def _compaction(block: Fields, lost: Lost) -> list[Part]:
    summary = block.text("content")
    return [] if summary is None else [Text(text=summary, cache_control=block.json("cache_control"))]


def _tool_reference(block: Fields, lost: Lost) -> list[Part]:
    return [Text(text=block.required_text("tool_name"), cache_control=block.json("cache_control"))]


def _asks(block: Fields, name: str) -> bool:
    """Whether a field of a document asks for something: `{"enabled": false}` does not."""
    value = block.get(name)
    return value not in (None, "", {}) and not (isinstance(value, dict) and value.get("enabled") is False)


_READERS: Mapping[str, Callable[[Fields, Lost], list[Part]]] = MappingProxyType(
    {
        "text": _text,
        "image": _image,
        "document": _document,
        "search_result": _search_result,
        "compaction": _compaction,
        "tool_reference": _tool_reference,
    }
)
