"""The SDKs that are no requirements of the project: installed below `var/sdks` when a test first needs them.

Each has an environment of its own, so that none of them decides which versions another one gets, and its requirements
are pinned with hashes in `requirements`. Where they cannot be installed, the test is skipped, and fails where
`CI=true`.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.acceptance.gateway import ROOT
from tests.acceptance.installing import one_installs
from tests.acceptance.seeds import require

REQUIREMENTS = Path(__file__).with_name("requirements")
NODE = Path(__file__).with_name("node")
INSTALLED = ROOT / "var" / "sdks"

_PATIENCE_S = 600


def python_with(name: str, requirements: Path = REQUIREMENTS) -> str:
    """The interpreter that has the packages of `<name>.txt` in the folder `requirements`."""
    with one_installs(INSTALLED / name):
        complaint = _install(name, requirements / f"{name}.txt")
    require(complaint is None, f"pip cannot install {name}: {complaint}")
    return str(_interpreter(name))


def _interpreter(name: str) -> Path:
    return INSTALLED / name / "bin" / "python"


@cache
def _install(name: str, requirements: Path) -> str | None:
    """Install what the requirements name, unless it is there; what is wrong if that does not succeed."""
    stamp = INSTALLED / name / ".installed"
    wanted = hashlib.sha256(platform.python_version().encode() + requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return None
    shutil.rmtree(INSTALLED / name, ignore_errors=True)
    # Our own pip does it: a second one would take seconds to be installed.
    pip = [sys.executable, "-m", "pip", "--python", str(_interpreter(name))]
    pip += ["install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", str(INSTALLED / name)],
        # Most modules are never imported: who imports one compiles it, and keeps that.
        [*pip, "--require-hashes", "--no-deps", "--no-compile", "-r", str(requirements)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
        if done.returncode != 0:
            return done.stderr[-2000:]
    stamp.write_text(wanted, encoding="utf-8")
    return None
