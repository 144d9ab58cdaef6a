"""What a page is made of: texts, rectangles and lines at places in millimetres, from the top left corner."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

Align = Literal["left", "right", "middle"]

POINT_MM = 25.4 / 72

INK, QUIET, FAINT, LINE, CARD, PAPER = "#1d2329", "#626b75", "#9aa1a8", "#dedbd5", "#f4f6f5", "#ffffff"
"""Text, what matters less, what matters least, rules, the ground of cards, the page."""
MAIN, MIDDLE, LIGHT = "#0b6e6e", "#5fa8a3", "#bcdcd8"
"""One hue in three degrees of light, which everybody tells apart."""
BEFORE, WRONG = "#c47f17", "#c8501e"
"""The range before; errors. Apart from the main hue for the colour-blind as well."""


class Face(Enum):
    """A cut of the font."""

    PLAIN = ""
    BOLD = "B"
    ITALIC = "I"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """`y` is that of the baseline; `size` is in points."""

    x: float
    y: float
    text: str
    size: float
    colour: str = INK
    face: Face = Face.PLAIN
    align: Align = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    points: tuple[tuple[float, float], ...]
    colour: str
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """A place that the reader can go to by its name."""

    y: float
    title: str


Mark = Text | Rectangle | Line | Bookmark
Page = Sequence[Mark]


class Font(Protocol):
    """What the layout must know of a font."""

    def width(self, text: str, size: float, face: Face = Face.PLAIN) -> float:
        """Of a text in millimetres."""

    def covers(self, character: str) -> bool:
        """Whether it has a glyph, in the faces that names are written in: plain and bold."""


def visible(text: str, font: Font) -> str:
    """A text that somebody else chose, so that all of it is seen.

    What the font has no glyph for, and what has none at all, is there by its code point (`\\u7528`); blanks at either
    end and beside each other are shown as `␣`.
    """
    shown = "".join(one if one.isprintable() and font.covers(one) else _code_point(one) for one in text)
    body = shown.strip(" ")
    before = len(shown) - len(shown.lstrip(" "))
    after = len(shown) - before - len(body) if body else 0
    return "␣" * before + body.replace("  ", "␣␣") + "␣" * after


def fitted(text: str, width: float, size: float, font: Font, face: Face = Face.PLAIN) -> str:
    """`text`, or its beginning and its end around an ellipsis, so that it is no wider than `width`."""
    if len(text) <= _LONGEST and font.width(text, size, face) <= width:
        return text
    fits, most = 0, min(len(text) - 1, _LONGEST)
    while fits < most:
        kept = (fits + most + 1) // 2
        if font.width(_cut(text, kept), size, face) <= width:
            fits = kept
        else:
            most = kept - 1
    return _cut(text, fits)


_LONGEST = 300
"""Characters: more have no room on any page."""


def _cut(text: str, kept: int) -> str:
    tail = kept // 3
    return text[: kept - tail] + "…" + text[len(text) - tail :]


def _code_point(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()
