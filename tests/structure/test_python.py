"""Which Python `make` installs the gateway with."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

OLD = "exit 1"
PLAIN = 'case "$2" in *CONFIG_ARGS*) exit 1 ;; esac'
OPTIMISED = "exit 0"


@pytest.mark.parametrize(
    ("preferred", "system", "taken"),
    [
        (OPTIMISED, PLAIN, "preferred"),
        (PLAIN, PLAIN, "system"),
        (PLAIN, OLD, "preferred"),
        (PLAIN, None, "preferred"),
        (OLD, PLAIN, "system"),
        (OLD, OLD, "preferred"),  # `make` says then what it needs
    ],
)
def test_one_with_optimisations_is_taken(preferred: str, system: str | None, taken: str, tmp_path: Path) -> None:
    for name, script in (("preferred", preferred), ("system", system)):
        if script is not None:
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
    assert choose(tmp_path / "preferred", tmp_path / "system") == str(tmp_path / taken)


def test_something_is_taken_here_that_will_do() -> None:
    subprocess.run([choose(), "-c", "import sys, venv; assert sys.version_info >= (3, 11)"], check=True)


def choose(*candidates: Path) -> str:
    command = ["sh", str(ROOT / "tools" / "python.sh"), *map(str, candidates)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
