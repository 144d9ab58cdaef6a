"""Resolve pyproject.toml into hash-pinned requirement files that name no package index."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"run.txt": [], "dev.txt": ["--group", "dev"]}


def main() -> int:
    """Write requirements/run.txt and requirements/dev.txt. Needs `uv` on the path."""
    for name, extra in TARGETS.items():
        command = [
            *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"),
            *("--no-emit-index-url", "--no-annotate", "--no-header", "--upgrade"),
            *(*extra, "pyproject.toml", "--output-file", f"requirements/{name}"),
        ]
        subprocess.run(command, cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
