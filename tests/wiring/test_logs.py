"""What the process writes to standard error."""

import subprocess
import sys

import pytest

DEFECT = """
import structlog
from arouter.wiring.logs import configure_logs

configure_logs("{level}", "{form}")

def fail(api_key, prompt):
    raise ValueError("what went wrong")

try:
    fail(api_key="sk-" + "secret", prompt="my " * 2 + "prompt")
except ValueError as defect:
    structlog.get_logger("arouter").error("defect", id="gen-1", exc_info=defect)
structlog.get_logger("arouter").info("told")
structlog.get_logger("arouter").debug("whispered")
"""


def _said(level: str, form: str) -> str:
    program = DEFECT.format(level=level, form=form)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    return ran.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_defect_is_told_with_its_place_and_without_the_values_of_its_variables(form: str) -> None:
    said = _said("info", form)
    assert "what went wrong" in said
    assert "in fail" in said
    assert "gen-1" in said
    assert "sk-secret" not in said
    assert "my my prompt" not in said


def test_a_level_is_the_least_important_that_is_written() -> None:
    assert "told" in _said("info", "text")
    assert "whispered" not in _said("info", "text")
    assert "told" not in _said("error", "json")
    assert "whispered" in _said("debug", "json")
