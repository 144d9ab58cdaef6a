"""Install the peers that come from package registries, pinned: `make bench-peers`.

Each gets an environment of its own below `var/bench`; nothing of them reaches the gateway's.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.base import INSTALLED

_HERE = Path(__file__).resolve().parent
_LOCKED = _HERE.parents[1] / "requirements"
_PYTHON_PEERS = ("compiled", "litellm")
_SYSTEM_PYTHON = Path("/usr/bin/python3")
_OLDEST = (3, 11)
_NODE_FILES = ("package.json", "package-lock.json", ".npmrc")


def install_python(name: str) -> None:
    """The packages of `requirements/<name>.txt`."""
    _install(name, _HERE / "requirements" / f"{name}.txt", sys.executable)


def _install(name: str, locked: Path, python: str) -> None:
    folder = INSTALLED / name
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(locked)], check=True)


def install_system_python() -> bool:
    """What the gateway needs, for the Python that the system ships; whether that is another one than this, and not too
    old."""
    if not _SYSTEM_PYTHON.is_file() or _SYSTEM_PYTHON.resolve() == Path(sys.executable).resolve():
        return False
    asked = "import sys; print(*sys.version_info[:2])"
    told = subprocess.run([_SYSTEM_PYTHON, "-c", asked], capture_output=True, text=True, check=True).stdout
    if tuple(int(part) for part in told.split()) < _OLDEST:
        return False
    _install("system-python", _LOCKED / "run.txt", str(_SYSTEM_PYTHON))
    return True


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
    if not install_system_python():
        print("The system ships no other Python that would do: that variant is left out.")
    if shutil.which("npm") is None:
        print("There is no npm here: Portkey is left out.")
    else:
        install_portkey()
    return 0


if __name__ == "__main__":
    sys.exit(main())
