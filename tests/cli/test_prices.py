"""`arouter prices`."""

import json
from pathlib import Path

from tests.cli.process import refused, succeeded, told

OWN = '[prices."local/llama"]\ninput = "0.123456789012"\noutput = 2\neffective_from = "2026-01-01"\n'


def test_the_operators_price_is_told_exactly(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    text = succeeded("prices", "show", "local/llama", "--config", "own.toml", "--json", cwd=tmp_path)
    assert '"price":0.123456789012,' in text
    card = json.loads(text)
    assert (card["model"], card["source"]) == ("local/llama", "operator")
    assert card["version"].startswith("2026-01-01")
    assert card["rates"]["output_tokens"] == {"per": 1_000_000, "price": 2, "tiers": []}


def test_a_bare_name_means_openai_and_the_list_has_the_same_price(tmp_path: Path) -> None:
    card = told("prices", "show", "gpt-4o-mini", cwd=tmp_path)
    assert (card["model"], card["source"]) == ("openai/gpt-4o-mini", "genai-prices")
    listed = told("prices", "list", "--provider", "openai", cwd=tmp_path)
    assert {line["model"].partition("/")[0] for line in listed} == {"openai"}
    assert card in listed


def test_the_text_tells_source_version_rates_and_tiers(tmp_path: Path) -> None:
    text = succeeded("prices", "show", "google/gemini-2.5-pro", cwd=tmp_path)
    assert "genai-prices" in text
    assert "if the input is more than 200,000 tokens" in text


def test_an_unknown_model_is_answered_with_the_nearest(tmp_path: Path) -> None:
    line = refused("prices", "show", "openai/gpt-4o-minni", cwd=tmp_path)
    assert "Did you mean `openai/gpt-4o-mini`?" in line
    assert '[prices."openai/gpt-4o-minni"]' in line
