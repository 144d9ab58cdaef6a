"""The texts of a PDF that fpdf2 wrote, as a reader would copy them: by its own code maps."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_STREAM = re.compile(rb"(/Filter /FlateDecode\n)?/Length (\d+)\n>>\nstream\n")
_TOKEN = re.compile(rb"/F(\d+) [\d.]+ Tf|BT ([\d.]+) ([\d.]+) Td \(((?:[^\\)]|\\.)*)\) Tj ET", re.DOTALL)
_PAIR = re.compile(r"<([0-9A-F]{4})> <([0-9A-F]+)>")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_CONTROL = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


@dataclass(frozen=True)
class Piece:
    """`x` and `y` are in points from the bottom left corner of the page."""

    page: int
    x: float
    y: float
    text: str


def pieces(document: bytes) -> Iterator[Piece]:
    """Every text, page by page, in the order of drawing."""
    streams = list(_streams(document))
    maps = [_map(stream) for stream in streams if b"begincmap" in stream]
    contents = [stream for stream in streams if b" Tj ET" in stream]
    for page, stream in enumerate(contents, start=1):
        font = 0
        for match in _TOKEN.finditer(stream):
            if match[1] is not None:
                font = int(match[1]) - 1
                continue
            data = _ESCAPED.sub(lambda found: _CONTROL.get(found[1], found[1]), match[4])
            codes = [int.from_bytes(data[place : place + 2]) for place in range(0, len(data), 2)]
            yield Piece(page, float(match[2]), float(match[3]), "".join(maps[font][code] for code in codes))


def lines(document: bytes) -> list[str]:
    """What stands on one line of a page, from left to right, one after the other without blanks between."""
    rows: dict[tuple[int, float], list[Piece]] = {}
    for piece in pieces(document):
        rows.setdefault((piece.page, -piece.y), []).append(piece)
    return ["|".join(piece.text for piece in sorted(row, key=lambda one: one.x)) for _, row in sorted(rows.items())]


def _streams(document: bytes) -> Iterator[bytes]:
    for match in _STREAM.finditer(document):
        stream = document[match.end() : match.end() + int(match[2])]
        yield stream if match[1] is None else zlib.decompress(stream)


def _map(stream: bytes) -> dict[int, str]:
    return {
        int(code, 16): bytes.fromhex(text).decode("utf-16-be") for code, text in _PAIR.findall(stream.decode("ascii"))
    }
