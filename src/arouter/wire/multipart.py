"""`multipart/form-data`, read without a copy and changed without touching what is not to be changed.

The rules, from RFC 7578 and RFC 2046, section 5.1.1:

1. A delimiter is a line `--boundary`; the last one is `--boundary--`. Its line end before it belongs to it, not to the
   part that it ends.
2. A part has header lines, an empty line and a content of any bytes. `Content-Disposition: form-data; name="…"` names
   it; with a `filename` it is a file.
3. What stands before the first delimiter and behind the last one has no meaning.

A body that can be read in two ways is refused: one without its last delimiter, a part without a name, a field that is
asked for and there twice.
"""

import re
from collections.abc import Mapping

from arouter.domain.errors import InvalidRequest
from arouter.domain.value import value

MEDIA_TYPE = "multipart/form-data"
MOST_PARTS = 256
MOST_PART_HEAD_BYTES = 8 * 1024

_BOUNDARY = re.compile(r'boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))(?:\s*;|\s*$)', re.IGNORECASE)
_DISPOSITION = re.compile(rb"content-disposition[ \t]*:", re.IGNORECASE)
_PARAMETER = re.compile(rb';[ \t]*([a-z]+\*?)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^";\s]*))[ \t]*', re.IGNORECASE)
_FORM_DATA = re.compile(
    rb"content-disposition:[ \t]*form-data[ \t]*((?:%b)*)" % re.sub(rb"\((?!\?)", b"(?:", _PARAMETER.pattern),
    re.IGNORECASE,
)
_ESCAPED = re.compile(rb"\\(.)")
_END_OF_DELIMITER = re.compile(rb"[ \t]*\r\n|--")


@value(frozen=True, slots=True, kw_only=True)
class Part:
    """One part; the numbers are places in the body."""

    name: str
    is_file: bool
    start: int
    """Of its head, right behind the line of its delimiter."""
    content: int
    end: int


class Form:
    """The parts of a body, in order."""

    def __init__(self, body: bytes, boundary: bytes, parts: tuple[Part, ...]) -> None:
        self._body = body
        self._boundary = boundary
        self.parts = parts

    def text(self, name: str) -> str | None:
        """The value of a field; None where there is none.

        InvalidRequest, naming the field, if it is there twice, is a file, or is no UTF-8.
        """
        found = [part for part in self.parts if part.name == name]
        if not found:
            return None
        if len(found) > 1:
            raise InvalidRequest(f"'{name}' may be given once.", code="invalid_value", param=name)
        (part,) = found
        if part.is_file:
            raise InvalidRequest(f"Invalid type for '{name}': expected a string.", code="invalid_type", param=name)
        try:
            return self._body[part.content : part.end].decode()
        except UnicodeDecodeError as exc:
            raise InvalidRequest(f"'{name}' is not UTF-8.", code="invalid_value", param=name) from exc

    def has_file(self, *names: str) -> bool:
        return any(part.is_file and part.name in names for part in self.parts)

    def changed(self, fields: Mapping[str, str | None]) -> bytes:
        """The body with these fields set, or taken out where the value is None. Every other byte of a part stays."""
        line = b"--" + self._boundary
        kept = (self._body[part.start : part.end] for part in self.parts if part.name not in fields)
        set_ = (_field(name, text) for name, text in fields.items() if text is not None)
        return b"".join([*(b"%b\r\n%b\r\n" % (line, part) for part in (*set_, *kept)), line, b"--\r\n"])


def boundary_of(content_type: str) -> bytes:
    """The boundary that a `Content-Type` names. InvalidRequest if it is that of no form."""
    kind, _, parameters = content_type.partition(";")
    found = _BOUNDARY.search(parameters)
    if kind.strip().lower() != MEDIA_TYPE or found is None or not parameters.isascii():
        raise _no_form(f"The body must be {MEDIA_TYPE}, with its boundary in the Content-Type header")
    return (found[1] or found[2]).encode("ascii")


def read_form(body: bytes, boundary: bytes) -> Form:
    """The form. InvalidRequest if the body is none."""
    line = b"--" + boundary
    at = 0 if body.startswith(line) else body.find(b"\r\n" + line) + 2
    if at < 2 and not body.startswith(line):
        raise _no_form("The body does not begin with its boundary")
    parts: list[Part] = []
    while True:
        ending = _END_OF_DELIMITER.match(body, at + len(line))
        if ending is None:
            raise _no_form("The body has a broken delimiter")
        if ending[0] == b"--":
            return Form(body, boundary, tuple(parts))
        if len(parts) >= MOST_PARTS:
            raise _no_form(f"The body has more than {MOST_PARTS} parts")
        # A part without a content may have its delimiter's line end in common with the end of its head.
        end = body.find(b"\r\n" + line, ending.end() - 2)
        if end < 0:
            raise _no_form("The body breaks off before its last boundary")
        parts.append(_read_part(body, ending.end(), end))
        at = end + 2


def _read_part(body: bytes, start: int, end: int) -> Part:
    content = body.find(b"\r\n\r\n", start, min(end, start + MOST_PART_HEAD_BYTES))
    if content < 0:
        raise _no_form("A part of the body has no empty line behind its head")
    parameters = _parameters(body[start:content])
    name = parameters.get(b"name")
    if name is None:
        raise _no_form("A part of the body has no name")
    try:
        text = name.decode()
    except UnicodeDecodeError as exc:
        raise _no_form("The name of a part is not UTF-8") from exc
    is_file = b"filename" in parameters or b"filename*" in parameters
    return Part(name=text, is_file=is_file, start=start, content=content + 4, end=end)


def _parameters(head: bytes) -> dict[bytes, bytes]:
    """Those of its `Content-Disposition`; none if there is not exactly one, in the plain form, with each name once."""
    lines = [line for line in head.split(b"\r\n") if _DISPOSITION.match(line)]
    found = _FORM_DATA.fullmatch(lines[0]) if len(lines) == 1 else None
    if found is None:
        return {}
    pairs = _PARAMETER.findall(found[1])
    told = {name.lower(): _ESCAPED.sub(rb"\1", quoted) if quoted else plain for name, quoted, plain in pairs}
    return told if len(told) == len(pairs) and b"name*" not in told else {}


def _field(name: str, text: str) -> bytes:
    return b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (name.encode(), text.encode())


def _no_form(what: str) -> InvalidRequest:
    return InvalidRequest(f"{what}.", code="invalid_multipart")
