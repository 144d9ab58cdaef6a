"""The docs say what the code says: settings, routes, codes, commands, fields; their links lead somewhere."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tools import commands, error_codes, reference
from tools.docs import PARTS, out_of_step, pages, rendered

from arouter.settings import rows
from arouter.web.api import (
    activity,
    arouter_usage,
    billing,
    guardrails,
    organization_usage,
    paging,
    ranges,
    report,
    summary_query,
    user_rules,
    users,
)
from arouter.web.api.filters import FILTERS
from arouter.web.inference.dialects import dialects, gemini_dialects
from arouter.wire.activity_json import COLUMNS
from arouter.wire.guardrails_json import CreateGuardrail, UpdateGuardrail, UpdateUser
from arouter.wire.keys_json import CreateKey, UpdateKey
from arouter.wire.provider_keys_json import CreateProviderKey, UpdateProviderKey
from tests.acceptance.documents import ROOT, Block, blocks

DOCS = ROOT / "docs"
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in pages(ROOT)}

TRANSLATED = (("README.md", "README.zh-CN.md"), ("docs/quickstart.md", "docs/quickstart.zh-CN.md"))


def _page(name: str) -> str:
    return TEXTS[f"docs/{name}.md"]


# ---------------------------------------------------------------- generated parts


def test_every_generated_part_is_in_step() -> None:
    assert sorted(str(path) for path in out_of_step(ROOT)) == []


def test_every_part_is_on_a_page() -> None:
    asked = {name for text in TEXTS.values() for name in re.findall(r"<!-- generated: ([a-z ]+) -->", text)}
    assert asked == PARTS.keys()


def test_a_page_out_of_step_is_found_and_mended(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    page.write_text("# Page\n\n<!-- generated: one -->\nold\n<!-- end: one -->\n\nrest\n", encoding="utf-8")
    found = out_of_step(tmp_path, {"one": lambda: "new\n"})
    assert found == {page: "# Page\n\n<!-- generated: one -->\n\nnew\n\n<!-- end: one -->\n\nrest\n"}
    page.write_text(found[page], encoding="utf-8")
    assert out_of_step(tmp_path, {"one": lambda: "new\n"}) == {}


def test_a_part_that_nobody_writes_is_an_error() -> None:
    with pytest.raises(KeyError):
        rendered("<!-- generated: nothing -->\n<!-- end: nothing -->\n", {})


# ---------------------------------------------------------------- what must be mentioned


def test_every_setting_is_mentioned() -> None:
    lines = _page("settings").splitlines()
    missing = [
        row.variable
        for row in rows()
        if not any(line.startswith(f"| `{row.name}` |") and row.variable in line for line in lines)
    ]
    assert missing == []


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = {f"{row.section}.{row.name}" for row in rows()}
    named = {
        name
        for text in TEXTS.values()
        for name in re.findall(r"`((?:server|storage|upstream|routing|log|security)\.[a-z_]+)\b(?!\()", text)
    }
    assert named
    assert named - known == set()


def test_every_route_is_mentioned() -> None:
    paths = {
        *reference.openapi()["paths"],
        *(dialect.path for dialect in (*dialects(), *gemini_dialects())),
        "/openapi.json",
        "/docs",
    }
    assert [path for path in sorted(paths) if f"{path}`" not in _page("index")] == []


def test_every_parameter_is_mentioned() -> None:
    pages_and_parameters = (
        ("activity", activity.PARAMETERS),
        ("activity", summary_query.PARAMETERS),
        ("compatibility", organization_usage.COMPLETIONS_PARAMETERS),
        ("compatibility", organization_usage.COSTS_PARAMETERS),
        ("compatibility", arouter_usage.SUMMARY_PARAMETERS),
        ("compatibility", billing.PARAMETERS),
        ("keys", paging.LIST_PARAMETERS),
        ("reports", [one for one in report.PARAMETERS if one not in FILTERS]),
        ("users", ranges.RANGE),
        ("users", users.LIST_PARAMETERS),
        ("users", users.USER_PARAMETERS),
        ("guardrails", guardrails.EXPLAIN_PARAMETERS),
        ("guardrails", user_rules.USER_PARAMETERS),
    )
    missing = [
        parameter.name
        for page, parameters in pages_and_parameters
        for parameter in parameters
        if f"`{parameter.name}`" not in _page(page)
    ]
    assert missing == []


def test_every_field_of_a_record_is_mentioned() -> None:
    assert [name for name in COLUMNS if f"`{name}`" not in _page("activity")] == []


def test_every_field_of_a_key_is_mentioned() -> None:
    names = {*CreateKey.__struct_fields__, *UpdateKey.__struct_fields__}
    assert [name for name in sorted(names) if f"`{name}`" not in _page("keys")] == []


def test_every_field_of_a_provider_key_is_mentioned() -> None:
    names = {*CreateProviderKey.__struct_fields__, *UpdateProviderKey.__struct_fields__}
    assert [name for name in sorted(names) if f"`{name}`" not in _page("byok")] == []


def test_every_field_of_a_guardrail_and_of_a_user_is_mentioned() -> None:
    names = {*CreateGuardrail.__struct_fields__, *UpdateGuardrail.__struct_fields__, *UpdateUser.__struct_fields__}
    assert [name for name in sorted(names) if f"`{name}`" not in _page("guardrails")] == []


def test_every_error_code_is_mentioned_with_its_meaning() -> None:
    named = {one.code for one in error_codes.collected()} | set(_codes_in_source())
    assert named == error_codes.MEANINGS.keys()
    assert [name for name in sorted(named) if f"`{name}`" not in _page("errors")] == []


def _codes_in_source() -> Iterator[str]:
    """Every `code="…"` in a call, whatever is called."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            stated = node.value if isinstance(node, ast.keyword) and node.arg == "code" else None
            if isinstance(stated, ast.Constant) and isinstance(stated.value, str):
                yield stated.value


def test_every_command_is_mentioned_with_its_options() -> None:
    page = _page("cli")
    walked = list(commands.walk())
    assert {path.split()[1] for path, _ in walked} >= {"serve", "demo", "sandbox", "keys", "activity", "db", "config"}
    missing = [path for path, _ in walked if f"### `{path}`\n" not in page]
    missing += [
        f"{path} {option}"
        for path, command in walked
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name != "help"
        for option in parameter.opts
        if option not in page.partition(f"### `{path}`\n")[2].partition("\n### ")[0]
    ]
    assert missing == []


def test_every_dependency_has_its_reason() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [one for group in told["dependency-groups"].values() for one in group]
    wanted = [*told["project"]["dependencies"], *(one for one in groups if isinstance(one, str))]
    names = [re.match(r"[a-z0-9-]+", requirement) for requirement in wanted]
    page = _page("dependencies")
    assert [name[0] for name in names if name is not None and f"`{name[0]}`" not in page] == []


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    names = sorted(path.name for path in (DOCS / "decisions").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert [name for name in names if f"decisions/{name}" not in _page("index")] == []


def test_every_page_is_reached_from_the_index() -> None:
    text = _page("index") + TEXTS["README.md"]
    assert [path.name for path in DOCS.glob("*.md") if path.name != "index.md" and path.name not in text] == []


# ---------------------------------------------------------------- links


def _links(text: str) -> list[str]:
    return re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", text)


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    broken = []
    for link in _links(TEXTS[name]):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / name).parent / target if target else ROOT / name
        if not path.exists() or (anchor and anchor not in _anchors(path.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


# ---------------------------------------------------------------- two languages


def _levels(text: str) -> list[int]:
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [len(marks) for marks in re.findall(r"^(#+) ", outside, re.MULTILINE)]


def _bare(block: Block) -> Block:
    """Without comments, which are prose, and without its place."""
    return replace(block, line=0, text=re.sub(r"\s+# .*$", "", block.text, flags=re.MULTILINE))


def _table_rows(text: str) -> int:
    return len(re.findall(r"^\|", text, re.MULTILINE))


@pytest.mark.parametrize(("english", "chinese"), TRANSLATED)
def test_both_languages_say_the_same(english: str, chinese: str) -> None:
    left, right = TEXTS[english], TEXTS[chinese]
    assert _levels(left) == _levels(right)
    assert [_bare(block) for block in blocks(left)] == [_bare(block) for block in blocks(right)]
    assert _table_rows(left) == _table_rows(right)
    assert len(_links(left)) == len(_links(right))
