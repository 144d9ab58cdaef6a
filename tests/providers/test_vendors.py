"""The table of vendors: one row each, and no two that could be taken for each other."""

from dataclasses import fields

import pytest
from genai_prices.data_snapshot import get_snapshot

from arouter.engine.origin import Origin
from arouter.providers.prices import DATA_NAMES
from arouter.providers.vendors import ALIASES, BY_NAME, VENDORS
from arouter.settings import Provider

WITHOUT_PRICES = {
    *("nvidia", "huggingface", "deepinfra", "sambanova", "nebius", "hyperbolic"),
    *("ollama", "vllm", "lmstudio", "sandbox"),
}
ROWS = [
    ("openai", "openai", "bearer"),
    ("anthropic", "anthropic", "x-api-key"),
    ("google", "gemini", "x-goog-api-key"),
    ("azure", "openai", "api-key"),
    ("vertex", "gemini", "google-account"),
    ("bedrock", "converse", "aws"),
    ("groq", "openai", "bearer"),
    ("mistral", "openai", "bearer"),
    ("deepseek", "openai", "bearer"),
    ("xai", "openai", "bearer"),
    ("together", "openai", "bearer"),
    ("fireworks", "openai", "bearer"),
    ("cerebras", "openai", "bearer"),
    ("openrouter", "openai", "bearer"),
    ("perplexity", "openai", "bearer"),
    ("cohere", "openai", "bearer"),
    ("nvidia", "openai", "bearer"),
    ("moonshot", "openai", "bearer"),
    ("zai", "openai", "bearer"),
    ("minimax", "openai", "bearer"),
    ("huggingface", "openai", "bearer"),
    ("deepinfra", "openai", "bearer"),
    ("novita", "openai", "bearer"),
    ("sambanova", "openai", "bearer"),
    ("nebius", "openai", "bearer"),
    ("hyperbolic", "openai", "bearer"),
    ("baseten", "openai", "bearer"),
    ("ovhcloud", "openai", "bearer"),
    ("avian", "openai", "bearer"),
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
    named = [vendor.key_variables for vendor in VENDORS]
    named += [variables for vendor in VENDORS for _, variables in vendor.setting_variables]
    variables = [variable for names in named for variable in names]
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_a_row_is_sound(vendor: object) -> None:
    (row,) = (one for one in VENDORS if one is vendor)
    settings = {field.name: "x" for field in fields(Provider)}
    if row.base_url is not None:
        origin = Origin.from_url(row.base_url.format(**settings))
        assert origin.scheme == ("http" if row.authentication == "none" else "https")
    assert bool(row.key_variables) == (row.authentication not in ("none", "google-account"))
    assert {name for name, _ in row.setting_variables} <= settings.keys()
    assert "/" not in row.name
    assert (row.name in DATA_NAMES) == (row.prices is not None) == (row.name not in WITHOUT_PRICES)


def test_every_name_of_prices_is_one_of_the_data() -> None:
    assert set(DATA_NAMES.values()) <= {provider.id for provider in get_snapshot().providers}


@pytest.mark.parametrize(
    ("name", "model", "dialect"),
    [
        ("openai", "gpt-5.4", "openai"),
        ("openai", "anthropic.claude", "openai"),
        ("vertex", "gemini-2.5-pro", "gemini"),
        ("vertex", "claude-sonnet-4-5@20250929", "anthropic"),
        ("vertex", "meta/llama-3.3-70b-instruct-maas", "openai"),
        ("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic"),
        ("bedrock", "openai.gpt-oss-120b-1:0", "openai"),
        ("bedrock", "amazon.nova-pro-v1:0", "converse"),
        ("bedrock", "arn:aws:bedrock:eu-west-1:1:application-inference-profile/x", "converse"),
    ],
)
def test_a_vendor_may_speak_another_dialect_for_some_of_its_models(name: str, model: str, dialect: str) -> None:
    assert BY_NAME[name].dialect_of(model) == dialect
