"""The packages of a folder with a lock file for Node, installed there where they are missing."""

import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.acceptance.installing import one_installs
from tests.acceptance.seeds import require

NODE = Path(__file__).with_name("node")

_PATIENCE_S = 300


def installed_modules(folder: Path = NODE) -> Path:
    """Its `node_modules`. Skips the test where there is no Node or no network, and fails it where `CI=true`."""
    require(shutil.which("node") and shutil.which("npm"), "no Node on this machine")
    with one_installs(folder):
        complaint = _install(folder)
    require(complaint is None, f"npm cannot install {folder.name}: {complaint}")
    return folder / "node_modules"


@cache
def _install(folder: Path) -> str | None:
    """Install what the lock file names, unless it is there; what is wrong if that does not succeed."""
    stamp = folder / "node_modules" / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return None
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE_S)
    if done.returncode != 0:
        return done.stderr[-2000:]
    stamp.write_text(wanted, encoding="utf-8")
    return None
