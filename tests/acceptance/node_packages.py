"""The packages of `tests/acceptance/node`, installed by its lock file where they are missing."""

import shutil
import subprocess
from pathlib import Path

from tests.acceptance.seeds import require

NODE = Path(__file__).with_name("node")


def installed_modules() -> Path:
    """The folder `node_modules`. Skips the test where there is no Node, and fails it where `CI=true`."""
    require(shutil.which("node") and shutil.which("npm"), "no Node on this machine")
    installed = NODE / "node_modules"
    if not (installed / ".package-lock.json").is_file():
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=NODE, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
    return installed
