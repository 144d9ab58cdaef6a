"""Writes the generated parts of the docs; with `--check`, says which of them are out of step.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; `PARTS` knows who writes it.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tools import commands, error_codes, reference

ROOT = Path(__file__).resolve().parent.parent

PARTS: Mapping[str, Callable[[], str]] = {
    "activity parameters": reference.activity_parameters,
    "audit parameters": reference.audit_parameters,
    "commands": commands.commands,
    "error codes": error_codes.error_codes,
    "high usage parameters": reference.high_usage_parameters,
    "key list parameters": reference.key_list_parameters,
    "organization cost parameters": reference.organization_cost_parameters,
    "organization usage parameters": reference.organization_usage_parameters,
    "report parameters": reference.report_parameters,
    "roles": reference.roles,
    "routes": reference.routes,
    "settings": reference.settings,
    "summary parameters": reference.summary_parameters,
    "transaction parameters": reference.transaction_parameters,
    "usage series parameters": reference.usage_series_parameters,
    "user list parameters": reference.user_list_parameters,
    "user parameters": reference.user_parameters,
    "vendors": reference.vendors,
}

_PART = re.compile(r"(<!-- generated: (?P<name>[a-z ]+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)


def pages(root: Path = ROOT) -> Iterator[Path]:
    """Every page that people read."""
    yield from sorted(root.glob("*.md"))
    yield from sorted((root / "docs").rglob("*.md"))


def rendered(text: str, parts: Mapping[str, Callable[[], str]] = PARTS) -> str:
    """`text` with its generated parts written anew. KeyError for a part that nobody writes."""
    return _PART.sub(lambda match: f"{match[1]}\n{parts[match['name']]()}\n{match[3]}", text)


def out_of_step(root: Path = ROOT, parts: Mapping[str, Callable[[], str]] = PARTS) -> dict[Path, str]:
    """The pages that are not as they would be written, and how they would be."""
    found = {}
    for path in pages(root):
        text = path.read_text(encoding="utf-8")
        if (wanted := rendered(text, parts)) != text:
            found[path] = wanted
    return found


def main(arguments: list[str]) -> int:
    """0 if all is well; with `--check`, 1 if a page is out of step."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m tools.docs [--check]", file=sys.stderr)
        return 2
    found = out_of_step()
    for path, text in found.items():
        if arguments:
            print(f"{path.relative_to(ROOT)} is out of step with the code; run: make docs", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} is written anew")
    return 1 if found and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
