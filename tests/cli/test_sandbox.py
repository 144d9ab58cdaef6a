"""`arouter sandbox`."""

import signal
from pathlib import Path

import pytest

from tests.cli.process import call, misused, running

ASK = {"model": "sandbox", "messages": [{"role": "user", "content": "Hello"}]}


def test_it_answers_as_it_was_told_until_a_signal(tmp_path: Path) -> None:
    with running("sandbox", "--port", "0", "--tokens", "3", cwd=tmp_path) as sandbox:
        assert "sandbox-echo" in sandbox.ready["models"]
        status, answer = call(f"{sandbox.url}/v1/chat/completions", body=ASK)
        assert (status, answer["usage"]["completion_tokens"]) == (200, 3)
        assert sandbox.stop(signal.SIGTERM) == 0


def test_it_can_be_told_to_fail(tmp_path: Path) -> None:
    with running("sandbox", "--port", "0", "--fail", "1", cwd=tmp_path) as sandbox:
        assert call(f"{sandbox.url}/v1/chat/completions", body=ASK)[0] == 500
        assert sandbox.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(("option", "value"), [("--fail", "2"), ("--tokens", "2000000")])
def test_a_knob_out_of_range_is_wrong_usage(option: str, value: str) -> None:
    assert option.removeprefix("--") in misused("sandbox", option, value)
