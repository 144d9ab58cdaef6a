"""`arouter serve`: ready in a moment, and its last lines work as they are."""

import json
import resource
import shlex
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.cli.conftest import Gateway
from tests.cli.process import TIMEOUT_S, call, chat, refused, running, started, told

START_CPU_S = 2.0
"""From the start to the end of a gateway that answered a few requests; measured at 1.3 when this was written."""


def test_keys_are_told_once_and_what_a_killed_process_left_open_is_told_by_the_next(tmp_path: Path) -> None:
    with running("serve", "--port", "0", cwd=tmp_path) as killed:
        key = killed.ready["live_key"]
        assert key.startswith("lr_live_")
        assert killed.ready["management_key"].startswith("lr_mgmt_")
        assert killed.ready["providers"] == ["sandbox"]
        assert killed.ready["database"] == str(tmp_path / "arouter.db")
        assert killed.ready["interrupted"] == 0
        assert chat(killed.url, key, "user_12345") == 200
        asking = threading.Thread(target=_ask_in_vain, args=(killed.url, key))
        asking.start()
        deadline = time.monotonic() + TIMEOUT_S
        while told("db", "status", cwd=tmp_path)["open_records"] == 0:
            assert time.monotonic() < deadline
        killed.process.kill()
        asking.join(TIMEOUT_S)
    with running("serve", "--port", "0", cwd=tmp_path) as after:
        assert after.ready["interrupted"] == 1
        assert not {"live_key", "management_key"} & after.ready.keys()
        records = call(f"{after.url}/v1/activity", key)[1]["data"]
        assert [(one["user"], one["status"]) for one in records] == [(None, "interrupted"), ("user_12345", "success")]
        assert after.stop(signal.SIGINT) == 0


def _ask_in_vain(url: str, key: str) -> None:
    with suppress(OSError):
        chat(url, key, None, model="sandbox/sandbox-hang")


def test_the_printed_lines_work_as_they_are_and_a_start_is_cheap(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with started("serve", "--port", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while sum(line.startswith("curl ") for line in lines) < 2:
            lines.append(process.stdout.readline())
        text = "".join(lines)
        assert "\x1b" not in text
        assert "OPENAI_API_KEY" in text
        assert f"Database   {tmp_path / 'arouter.db'}" in text
        ask, look = (shlex.split(line) for line in lines if line.startswith("curl "))
        assert _curl(ask)["choices"][0]["message"]["content"] == "Hello"
        (record,) = _curl(look)["data"]
        assert (record["user"], record["status"]) == ("user_12345", "success")
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, because the machine that runs the tests may be busy with something else.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < START_CPU_S


def _curl(words: list[str]) -> Any:
    """What the command line of curl asks for."""
    url = next(word for word in words[1:] if word.startswith("http"))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
    status, answer = call(url, headers["Authorization"].removeprefix("Bearer "), body)
    assert status == 200
    return answer


def test_a_database_with_keys_is_said_to_be_set_up_and_gets_no_others(tmp_path: Path) -> None:
    own = told("keys", "create", "--name", "own", cwd=tmp_path)
    with started("serve", "--port", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not any(line.startswith("curl ") for line in lines):
            lines.append(process.stdout.readline())
    assert "The database is set up already: its first keys were shown by whoever made them.\n" in lines
    assert not any("lr_" in line for line in lines)
    assert [key["name"] for key in told("keys", "list", cwd=tmp_path)] == ["own"], own


def test_a_taken_port_is_one_line_that_says_what_to_do_and_flags_override_the_settings(
    gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "other.toml").write_text('[server]\nhost = "192.0.2.1"\nport = 1\n')
    port = gateway.url.rpartition(":")[2]
    line = refused("serve", "--config", "other.toml", "--host", "127.0.0.1", "--port", port, cwd=tmp_path)
    assert line == f"127.0.0.1:{port} is taken; choose another --port, or 0 for any free one"


def test_two_workers_are_one_gateway_to_whoever_starts_them(tmp_path: Path) -> None:
    with running("serve", "--port", "0", "--workers", "2", cwd=tmp_path) as gateway:
        assert gateway.ready["providers"] == ["sandbox"]
        assert chat(gateway.url, gateway.ready["live_key"], "user_12345") == 200
        assert len(call(f"{gateway.url}/v1/keys", gateway.ready["management_key"])[1]["data"]) == 2
        port = gateway.url.rpartition(":")[2]
        (tmp_path / "other").mkdir()
        for workers in ("1", "2"):
            line = refused("serve", "--port", port, "--workers", workers, cwd=tmp_path / "other")
            assert line == f"127.0.0.1:{port} is taken; choose another --port, or 0 for any free one"
        assert gateway.stop(signal.SIGINT) == 0


def test_workers_that_cannot_start_are_one_line_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "arouter.toml").write_text('[server]\nport = 0\n[storage]\nurl = "mysql://nowhere"\n')
    line = refused("serve", "--workers", "2", cwd=tmp_path)
    assert line == (
        "storage.url must be sqlite:///path/to/file.db or postgresql://user@host/database; mysql is not supported"
    )
