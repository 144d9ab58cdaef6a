"""Resolve pyproject.toml, and what tests install, into hash-pinned requirement files that name no package index."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "pyproject.toml"
TARGETS = {
    "installer.txt": ["--group", "installer"],
    "run.txt": [PROJECT],
    "image.txt": [PROJECT, "--extra", "postgres"],
    "all.txt": [PROJECT, "--all-extras", "--group", "build"],
    "dev.txt": [PROJECT, "--all-extras", "--group", "dev"],
}
OF_TESTS = (ROOT / "tests" / "sdks" / "requirements", ROOT / "tests" / "focus" / "requirements")


def main() -> int:
    """Write the files in requirements/ and those of the tests' environments. Needs `uv` on the path."""
    for name, sources in TARGETS.items():
        _compile(sources, f"requirements/{name}")
    for source in sorted(source for folder in OF_TESTS for source in folder.glob("*.in")):
        _compile([str(source.relative_to(ROOT))], str(source.with_suffix(".txt").relative_to(ROOT)))
    return 0


def _compile(sources: list[str], output: str) -> None:
    command = [
        *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"),
        *("--no-emit-index-url", "--no-annotate", "--no-header", "--upgrade"),
        *(*sources, "--output-file", output),
    ]
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
