"""One gateway for the tests that only need some."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.process import Running, chat, running

PRICED = """
[server]
port = 0

[prices."sandbox/sandbox-echo"]
input = 1
output = "0.000001"
"""

USERS = ("user_12345", "user_12345", "ada", "", None, "\x1b[31mred", "=1+1")


@dataclass(frozen=True)
class Gateway:
    """A running gateway that has answered one request of each of `USERS`, and the folder it was started in."""

    process: Running
    folder: Path

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def live_key(self) -> str:
        return str(self.process.ready["live_key"])

    @property
    def management_key(self) -> str:
        return str(self.process.ready["management_key"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for the tests of each file: what others ask of theirs does not show."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "arouter.toml").write_text(PRICED)
    with running("serve", cwd=folder) as process:
        started = Gateway(process, folder)
        for user in USERS:
            assert chat(started.url, started.live_key, user) == 200
        yield started
        assert process.stop() == 0
