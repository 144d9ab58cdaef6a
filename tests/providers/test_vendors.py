"""The table of vendors: one row each, and no two that could be taken for each other."""

import pytest

from arouter.engine.origin import Origin
from arouter.providers.prices import DATA_NAMES
from arouter.providers.vendors import ALIASES, BY_NAME, VENDORS

WITHOUT_PRICES = {"ollama", "vllm", "lmstudio", "sandbox"}
ROWS = [
    ("openai", "openai", "bearer"),
    ("anthropic", "anthropic", "x-api-key"),
    ("google", "gemini", "x-goog-api-key"),
    ("azure", "openai", "bearer"),
    ("groq", "openai", "bearer"),
    ("mistral", "openai", "bearer"),
    ("deepseek", "openai", "bearer"),
    ("xai", "openai", "bearer"),
    ("together", "openai", "bearer"),
    ("fireworks", "openai", "bearer"),
    ("cerebras", "openai", "bearer"),
    ("openrouter", "openai", "bearer"),
    ("perplexity", "openai", "bearer"),
    ("ollama", "openai", "none"),
    ("vllm", "openai", "none"),
    ("lmstudio", "openai", "none"),
    ("sandbox", "openai", "none"),
]


def test_every_vendor_has_its_row_here() -> None:
    assert [(vendor.name, vendor.dialect, vendor.authentication) for vendor in VENDORS] == ROWS


def test_names_and_aliases_name_one_vendor_each() -> None:
    names = [name for vendor in VENDORS for name in (vendor.name, *vendor.aliases)]
    assert len(set(names)) == len(names)
    assert set(ALIASES.values()) <= set(BY_NAME)
    variables = [variable for vendor in VENDORS for variable in vendor.key_variables]
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_a_row_is_sound(vendor: object) -> None:
    (row,) = (one for one in VENDORS if one is vendor)
    if row.base_url is not None:
        origin = Origin.from_url(row.base_url)
        assert origin.scheme == ("http" if row.authentication == "none" else "https")
    assert bool(row.key_variables) == (row.authentication != "none")
    assert "/" not in row.name
    assert (row.name in DATA_NAMES) == (row.name not in WITHOUT_PRICES)
