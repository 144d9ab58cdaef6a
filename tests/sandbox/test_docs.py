"""The page on the sandbox says everything that it can do, and its examples run."""

import contextlib
import dataclasses
import io
import re
from pathlib import Path
from typing import get_args

import pytest

from arouter.sandbox.behaviour import NAMED, Behaviour, Says, UsageMode, WrongOutput
from arouter.sandbox.server import Sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("field", dataclasses.fields(Behaviour), ids=lambda field: field.name)
def test_every_knob_is_on_the_page_with_its_default(field: "dataclasses.Field[object]") -> None:
    (row,) = [line.split("|") for line in PAGE.split("\n") if line.startswith(f"| `{field.name}` |")]
    defaults: list[tuple[object, str]] = [(None, "none"), (False, "false"), (True, "true")]
    words = [word for value, word in defaults if field.default is value]
    assert row[2].strip(" `") == (words[0] if words else str(field.default).removesuffix(".0"))


@pytest.mark.parametrize("word", [*NAMED, *get_args(Says), *get_args(UsageMode), *filter(None, get_args(WrongOutput))])
def test_every_model_and_every_choice_is_on_the_page(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("example", EXAMPLES, ids=["client", "in-process"])
def test_the_examples_run(example: str, sandbox: Sandbox) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(example.replace("http://127.0.0.1:8090", sandbox.url), "docs/sandbox.md", "exec"), {})
