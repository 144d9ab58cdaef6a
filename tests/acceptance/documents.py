"""The pages that people read, as scripts: what is shown is run from the top of a page to its end.

A page runs in a folder of its own, as somebody would do it who follows it. What cannot be the same is replaced:

- `http://127.0.0.1:8080` by where the gateway listens, `lr_live_xxxx` and `lr_mgmt_xxxx` by the keys it printed;
- the commands of `INSTEAD`;
- `make run` and `arouter serve` start a gateway on a free port, for which a sandbox plays OpenAI.

A page with `<!-- needs: gateway -->` has one from its start, which it shares with other such pages. Every `sh`,
`python` and `js` block is run and must succeed; a `json` or `text` block is compared with the output of the block
before it. `<!-- not run: reason -->` before a block exempts it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.node_packages import installed_modules

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

RUN = ("sh", "python", "js")
SHOWN = ("json", "text")

START = ("make run", "arouter serve")
INSTEAD = {
    "make install": f"make --directory {ROOT} --dry-run install",
    "make check": f"make --directory {ROOT} --dry-run check",
    "make test": f"make --directory {ROOT} --dry-run test",
    "make bench": f"make --directory {ROOT} --dry-run bench",
    "pip install openai": f"{sys.executable} -c 'from importlib.util import find_spec; assert find_spec(\"openai\")'",
}
"""The targets of make are there; what they do is what CI does. The SDK is installed already."""

NEEDS_GATEWAY = "<!-- needs: gateway -->"
SHAPE_ONLY = "<!-- shape only:"
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+) -->")
_FENCE = re.compile(r"^(?P<note><!-- [^\n]*-->\n)?```(?P<tag>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_READY = "/v1/activity?user="
_PATIENCE_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block."""

    tag: str
    text: str
    note: str
    """The comment in the line before it."""
    line: int

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        match = _NOT_RUN.match(self.note)
        return match["reason"] if match else None


def blocks(text: str) -> list[Block]:
    """Those of a page, in order."""
    return [
        Block(
            tag=match["tag"],
            text=match["text"],
            note=(match["note"] or "").strip(),
            line=text.count("\n", 0, match.start()) + 1,
        )
        for match in _FENCE.finditer(text)
    ]


@dataclass(slots=True)
class Reader:
    """Somebody who follows a page."""

    folder: Path
    environment: dict[str, str]
    replaced: dict[str, str] = field(default_factory=dict)
    server: "subprocess.Popen[bytes] | None" = None
    output: str | None = None
    """What the last block printed; None once it was compared."""

    # ---------------------------------------------------------------- doing

    def follow(self, page: list[Block]) -> None:
        """Do what the page says."""
        for block, following in zip(page, [*page[1:], None], strict=True):
            if block.reason is not None:
                continue
            if block.tag in RUN:
                self._run(block, refused=following is not None and '"error"' in following.text)
            elif block.tag in SHOWN:
                self._compare(block)

    def start(self) -> None:
        """Start a gateway, and wait until it says that it answers."""
        assert self.server is None, "the page starts a second gateway"
        told = self.folder / "told"
        with told.open("wb") as out:
            self.server = subprocess.Popen(
                [BIN / "arouter", "serve"], cwd=self.folder, env=self.environment, stdout=out, stderr=out
            )
        deadline_s = time.monotonic() + _PATIENCE_S
        while _READY not in (text := told.read_text(encoding="utf-8")):
            assert self.server.poll() is None, text
            assert time.monotonic() < deadline_s, text
            time.sleep(0.02)
        self.replaced = {
            "http://127.0.0.1:8080": _found(r"http://127\.0\.0\.1:\d+", text),
            "lr_live_xxxx": _found(r"lr_live_[0-9a-f]{48}", text),
            "lr_mgmt_xxxx": _found(r"lr_mgmt_[0-9a-f]{48}", text),
        }
        self._printed(text)

    def visit(self, host: "Reader") -> None:
        """Use the gateway that another one has started, and its database."""
        self.replaced = host.replaced
        self.environment["AROUTER_STORAGE__URL"] = f"sqlite:///{host.folder}/arouter.db"

    def stop(self) -> None:
        """It must stop when it is told to."""
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            try:
                assert self.server.wait(timeout=15) in (0, -signal.SIGTERM)
            finally:
                self.server.kill()

    def _run(self, block: Block, *, refused: bool) -> None:
        self.output = ""
        if block.tag == "sh":
            self._shell(block, refused=refused)
        elif block.tag == "python":
            self._process([sys.executable, "-c", self._real(block.text)], block)
        else:
            packages = self.folder / "node_modules"
            if not packages.exists():
                packages.symlink_to(installed_modules())
            script = self.folder / "snippet.mjs"
            script.write_text(self._real(block.text), encoding="utf-8")
            self._process(["node", str(script)], block)

    def _shell(self, block: Block, *, refused: bool) -> None:
        """Command lines up to one that starts a gateway are one script, and so are those after it."""
        lines: list[str] = []
        for line in block.text.splitlines():
            command = line.partition("  #")[0].strip()
            if command in START:
                self._script(lines, block, refused=refused)
                lines = []
                self.start()
            else:
                lines.append(INSTEAD.get(command, line))
        self._script(lines, block, refused=refused)

    def _script(self, lines: list[str], block: Block, *, refused: bool) -> None:
        """What it exports is there for the next one."""
        if not any(line.strip() for line in lines):
            return
        left = self.folder / "environment"
        script = "\n".join(("set -eo pipefail", self._real("\n".join(lines)), f"env -0 > {left}"))
        self._process(["bash", "-c", script], block, refused=refused)
        if not refused:
            variables = left.read_text(encoding="utf-8").rstrip("\0").split("\0")
            self.environment = dict(variable.split("=", 1) for variable in variables)

    def _process(self, command: list[str], block: Block, *, refused: bool = False) -> None:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode != 0) is refused, f"line {block.line}: {done.stdout}\n{done.stderr}\n{self.output}"
        self._printed(done.stdout)

    def _printed(self, text: str) -> None:
        self.output = text if self.output is None else self.output + text

    def _real(self, text: str) -> str:
        for shown, real in self.replaced.items():
            text = text.replace(shown, real)
        return text

    # ---------------------------------------------------------------- comparing

    def _compare(self, block: Block) -> None:
        assert self.output is not None, f"line {block.line}: nothing was printed that this could be"
        output, self.output = self.output, None
        if block.tag == "text":
            for shown, real in self.replaced.items():
                output = output.replace(real, shown)
            pattern = ".*".join(re.escape(part) for part in block.text.split("…\n"))
            assert re.search(pattern, re.sub(r" +\n", "\n", output), re.DOTALL), f"line {block.line}: {output}"
        else:
            differences = list(
                differing(json.loads(block.text), json.loads(output), shape=block.note.startswith(SHAPE_ONLY))
            )
            assert differences == [], f"line {block.line}: {output}"


def differing(shown: Any, real: Any, *, shape: bool, path: str = "") -> Iterator[str]:
    """Where the answer that a page shows, which may leave fields out, is not the real one.

    `…` in a text stands for anything; with `shape`, numbers and texts need only be numbers and texts.
    """
    if isinstance(shown, dict) and isinstance(real, dict):
        for name, value in shown.items():
            yield from differing(value, real.get(name, _MISSING), shape=shape, path=f"{path}.{name}")
    elif isinstance(shown, list) and isinstance(real, list) and len(shown) == len(real):
        for place, (left, right) in enumerate(zip(shown, real, strict=True)):
            yield from differing(left, right, shape=shape, path=f"{path}[{place}]")
    elif isinstance(shown, str) and isinstance(real, str):
        pattern = ".*" if shape else ".*".join(re.escape(part) for part in shown.split("…"))
        if not re.fullmatch(pattern, real, re.DOTALL):
            yield path
    elif shape and _is_number(shown) and _is_number(real):
        return
    elif type(shown) is not type(real) or shown != real:
        yield path


_MISSING = object()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[0]


@contextmanager
def reader(folder: Path, openai_url: str) -> Iterator[Reader]:
    """Somebody in a fresh folder, with the project's virtual environment in it. OpenAI is at `openai_url`."""
    (folder / ".venv").symlink_to(BIN.parent)
    (folder / ".curlrc").write_text("silent\nshow-error\nfail-with-body\n", encoding="utf-8")
    environment = {
        "PATH": os.pathsep.join((str(BIN), "/usr/local/bin", "/usr/bin", "/bin")),
        "HOME": str(folder),
        "CURL_HOME": str(folder),
        "LANG": "C.UTF-8",
        "AROUTER_SERVER__PORT": "0",
        "AROUTER_PROVIDERS__OPENAI__BASE_URL": openai_url,
    }
    one = Reader(folder, environment)
    try:
        yield one
    finally:
        one.stop()
