"""Install the peers that come from package registries, pinned: `make bench-peers`.

Each gets an environment of its own below `var/bench`; nothing of them reaches the gateway's.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.base import INSTALLED

_HERE = Path(__file__).resolve().parent
_PYTHON_PEERS = ("compiled", "litellm")
_NODE_FILES = ("package.json", "package-lock.json", ".npmrc")


def install_python(name: str) -> None:
    """The packages of `requirements/<name>.txt`."""
    folder = INSTALLED / name
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--require-hashes", "--no-deps", "-r", str(_HERE / "requirements" / f"{name}.txt")], check=True
    )


def install_portkey() -> None:
    """The packages of `portkey/package-lock.json`."""
    folder = INSTALLED / "portkey"
    folder.mkdir(parents=True, exist_ok=True)
    for name in _NODE_FILES:
        shutil.copy(_HERE / "portkey" / name, folder / name)
    npm = shutil.which("npm") or "npm"
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)


def main() -> int:
    for name in _PYTHON_PEERS:
        install_python(name)
    if shutil.which("npm") is None:
        print("There is no npm here: Portkey is left out.")
    else:
        install_portkey()
    return 0


if __name__ == "__main__":
    sys.exit(main())
