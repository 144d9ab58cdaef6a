"""The snippets of the two documents that the project was created from, found in their text.

The folder is `$AROUTER_SEEDS`, or `../shared/seeds` from the project's root. It is not a part of the project: where it
is missing, a test that needs it is skipped, and fails where `CI=true`.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ENGLISH, CHINESE = "000_750a8386dfc55d4e.txt", "001_ed82da598eb10970.txt"

BASE_URL = "https://api.arouter.ai"
KEY = "lr_live_xxxx"


@dataclass(frozen=True, kw_only=True)
class Snippet:
    """Where a snippet begins and ends in its document."""

    document: str
    after: str
    """How the heading begins that the snippet follows; empty for the top."""
    first: str
    """How its first line begins."""
    last: str
    """What its last line is, as a regular expression."""

    def __str__(self) -> str:
        return f"{'English' if self.document == ENGLISH else 'Chinese'}: {self.first}"

    def text(self) -> str:
        """As it is written. Skips the test where the documents are missing."""
        lines = iter(_lines(self.document))
        if self.after:
            next(line for line in lines if line.startswith(self.after))
        found = [next(line for line in lines if line.startswith(self.first))]
        for line in lines:
            found.append(line)
            if re.fullmatch(self.last, line):
                return "\n".join(found) + "\n"
        raise AssertionError(f"{self} has no end")


def pointed_at(text: str, url: str, key: str) -> str:
    """The snippet with another base URL and another key, and nothing else changed."""
    return text.replace(BASE_URL, url).replace(KEY, key)


def _lines(document: str) -> list[str]:
    configured = os.environ.get("AROUTER_SEEDS")
    folder = Path(configured) if configured else Path(__file__).resolve().parents[3] / "shared" / "seeds"
    if not folder.is_dir():
        require(False, f"no seed documents at {folder}; set AROUTER_SEEDS")
    return (folder / document).read_text(encoding="utf-8").split("\n")


def require(there: object, reason: str) -> None:
    """Skips the test unless what it needs is there, and fails it where `CI=true`."""
    if there:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
