"""Every command and snippet on the pages is run, and what they are said to print is what they print."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.docs import pages

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import Sandbox
from arouter.settings import load
from tests.acceptance.documents import (
    NEEDS_GATEWAY,
    ROOT,
    RUN,
    SHOWN,
    Block,
    Reader,
    blocks,
    differing,
    reader,
)
from tests.acceptance.seeds import require
from tests.sandbox.conftest import running

OWN_TESTS = {
    "docs/sandbox.md": "tests/sandbox/test_docs.py",
    "docs/performance.md": "its commands are make bench, which takes minutes",
}
"""Pages that are run elsewhere, or not at all, and why."""

NOT_RUN = {
    "docs/errors.md": ["a chunk within a stream"],
}
"""All blocks of the others that are exempt."""

TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages(ROOT)}
PAGES = {name: blocks(text) for name, text in TEXTS.items() if name not in OWN_TESTS}
RUNNING = {name: page for name, page in PAGES.items() if any(block.tag in RUN for block in page)}
SETTINGS = [(name, block) for name, page in PAGES.items() for block in page if block.tag == "toml"]


@pytest.fixture(scope="module")
def openai() -> Iterator[Sandbox]:
    """Plays OpenAI."""
    with running(Behaviour()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def host(openai: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has started a gateway."""
    with reader(tmp_path_factory.mktemp("host"), openai.url) as one:
        one.start()
        yield one


@pytest.mark.parametrize("name", RUNNING)
def test_what_a_page_shows_runs(name: str, tmp_path: Path, openai: Sandbox, host: Reader) -> None:
    page = [block for block in RUNNING[name] if block.tag != "js" or shutil.which("node")]
    with reader(tmp_path, f"{openai.url}/v1") as somebody:
        if NEEDS_GATEWAY in TEXTS[name]:
            somebody.visit(host)
        somebody.follow(page)


def test_node_snippets_are_among_what_is_run() -> None:
    require(shutil.which("node"), "no Node on this machine")
    assert [name for name, page in RUNNING.items() for block in page if block.tag == "js"] == [
        "README.md",
        "README.zh-CN.md",
    ]


def test_the_pages_that_a_newcomer_reads_are_run() -> None:
    assert {"README.md", "README.zh-CN.md", "docs/quickstart.md", "docs/quickstart.zh-CN.md"} <= RUNNING.keys()


def test_few_blocks_are_exempt() -> None:
    exempt = {name: [block.reason for block in page if block.reason is not None] for name, page in PAGES.items()}
    assert {name: reasons for name, reasons in exempt.items() if reasons} == NOT_RUN


def test_every_block_says_what_it_is() -> None:
    known = {*RUN, *SHOWN, "toml", "ini", "nginx"}
    assert [(name, block.line) for name, page in PAGES.items() for block in page if block.tag not in known] == []


@pytest.mark.parametrize(("name", "block"), SETTINGS, ids=[f"{name}:{block.line}" for name, block in SETTINGS])
def test_every_configuration_shown_is_one(name: str, block: Block, tmp_path: Path) -> None:
    file = tmp_path / "arouter.toml"
    providers = (
        "" if "[providers" in block.text else '[providers.local]\ndialect = "openai"\nbase_url = "http://x/v1"\n'
    )
    file.write_text(block.text + providers, encoding="utf-8")
    assert load(file, environment={}).file == file


def test_every_metric_is_on_the_page(tmp_path: Path, openai: Sandbox, host: Reader) -> None:
    with reader(tmp_path, openai.url) as somebody:
        somebody.visit(host)
        somebody.follow(blocks("```sh\ncurl http://127.0.0.1:8080/metrics\n```\n"))
        assert somebody.output is not None
        metrics = {line.split()[2] for line in somebody.output.splitlines() if line.startswith("# HELP")}
    assert metrics
    assert {name for name in metrics if f"`{name}`" not in TEXTS["docs/operations.md"]} == set()


def test_a_comparison_sees_what_differs() -> None:
    shown = {"id": "gen-…", "n": 1, "data": [{"a": None}]}
    assert list(differing(shown, {"id": "gen-12", "n": 1, "data": [{"a": None, "b": 2}]}, shape=False)) == []
    assert list(differing(shown, {"id": "gan-12", "n": 1.0, "data": [{}]}, shape=False)) == [".id", ".n", ".data[0].a"]
    assert list(differing(shown, {"id": "x", "n": 7.5, "data": [{"a": None}]}, shape=True)) == []
    assert list(differing(shown, {"id": 1, "n": "1", "data": []}, shape=True)) == [".id", ".n", ".data"]
