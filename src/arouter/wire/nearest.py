"""Saying what a misspelt name was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_QUOTED = 64
_MOST_LISTED = 30


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """One sentence or two: ``Unknown parameter `usr`. Did you mean `user`?``"""
    names = list(known)
    sentence = f"Unknown {kind} `{quoted(name)}`."
    nearest = get_close_matches(name[:_LONGEST_QUOTED], names, n=1, cutoff=0.5)
    if nearest:
        return f"{sentence} Did you mean `{nearest[0]}`?"
    return f"{sentence} Known: {', '.join(names)}." if 0 < len(names) <= _MOST_LISTED else sentence


def quoted(text: str) -> str:
    """`text` as far as it fits into a message."""
    return text if len(text) <= _LONGEST_QUOTED else text[:_LONGEST_QUOTED] + "…"
