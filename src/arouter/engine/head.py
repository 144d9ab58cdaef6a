"""The head of a request, written; and the header fields of an answer, read."""

import re
from collections.abc import Iterable, Iterator, Mapping

from arouter.engine.origin import Origin

LINE_END = b"\r\n"
HEAD_END = LINE_END + LINE_END

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!-~]*")
_NOT_IN_A_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BLANKS = b" \t"
_OWN_FIELDS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "trailer"})
_BEFORE_STATUS = len("HTTP/1.1 ")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


def request_head(origin: Origin, method: str, path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The request line and header fields, `Host` included, without `Content-Length` and the empty line.

    `path` begins with a slash and follows the origin's own path; it may carry a query. The result can be kept and
    sent often. ValueError if a method, path, name or value could be read as something else than one line of a
    request, or if a field is the client's own to write (`Host`, `Content-Length`, `Connection`, …). The text names
    the field and never its value, which may be a key.
    """
    if method not in _METHODS:
        raise ValueError(f"not a method that is sent upstream: {method!r}")
    if not path.startswith("/") or not _TARGET.fullmatch(origin.path + path):
        raise ValueError("a path begins with a slash and is made of visible ASCII characters")
    lines = [f"{method} {origin.path}{path} HTTP/1.1\r\nHost: {origin.authority}\r\n"]
    return "".join(lines).encode("latin-1") + header_lines(headers)


def header_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Header fields, to stand behind what `request_head` wrote. ValueError as there."""
    return "".join(_field(name, value) for name, value in headers).encode("latin-1")


def _field(name: str, value: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"not the name of a header field: {name!r}")
    if name.lower() in _OWN_FIELDS:
        raise ValueError(f"the header field {name} is written by the client itself")
    if _NOT_IN_A_VALUE.search(value) or not value.isascii():
        raise ValueError(f"the value of the header field {name} holds a character that may not be sent")
    return f"{name}: {value}\r\n"


def final_head(said: bytes) -> bytes:
    """The status line and the header fields of an answer, from bytes that a strict parser took.

    Interim answers and empty lines may stand before them, and the body behind.
    """
    begins = final_head_begins(said)
    return said[begins : said.index(HEAD_END, begins) + len(LINE_END)]


def final_head_begins(said: bytes) -> int:
    """Where it begins in them."""
    begins = 0
    while (empty := said[begins] in LINE_END) or said.startswith(b"1", begins + _BEFORE_STATUS):
        begins = begins + 1 if empty else said.index(HEAD_END, begins) + len(HEAD_END)
    return begins


class Headers(Mapping[str, str]):
    """The header fields of an answer by lower-case name; of a repeated field the last one. Read when asked for."""

    __slots__ = ("_by_name", "_head")

    def __init__(self, head: bytes) -> None:
        """`head` is what a strict parser took: a status line and a line for each field, without folded ones, each with
        CR LF at its end."""
        self._head = head
        self._by_name: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._index()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index())

    def __len__(self) -> int:
        return len(self._index())

    def _index(self) -> dict[str, str]:
        if self._by_name is None:
            self._by_name = dict(self._fields())
        return self._by_name

    def _fields(self) -> Iterator[tuple[str, str]]:
        for line in self._head.lstrip(LINE_END).split(LINE_END)[1:-1]:
            name, _, value = line.partition(b":")
            yield name.lower().decode("latin-1"), value.lstrip(_BLANKS).decode("latin-1")
