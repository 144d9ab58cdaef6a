"""Which providers take keys of an organization's own, and what they are asked with."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from arouter.domain.errors import InvalidRequest
from arouter.engine.own_keys import OwnProviders
from arouter.providers.vendors import VENDORS
from arouter.settings import Provider, Secret, Settings, SettingsError, load
from arouter.wiring.own_keys import own_providers

FILE = """
[providers.openai]
api_key = "sk-of-the-operator"
base_url = "https://proxy.example/v1"
identity = "none"

[providers.groq]
enabled = false

[providers.mine]
dialect = "anthropic"
base_url = "https://mine.example"

[providers.ollama]
"""


def providers(tmp_path: Path, text: str = FILE) -> OwnProviders:
    (tmp_path / "arouter.toml").write_text(text)
    return own_providers(load(environment={}, cwd=tmp_path))


def test_every_provider_with_an_address_and_a_key_takes_one_and_the_others_say_why_not(tmp_path: Path) -> None:
    found = providers(tmp_path)
    assert {"openai", "anthropic", "google", "mine", "xai"} <= found.makers.keys()
    assert {*found.makers, *found.off} == {*(vendor.name for vendor in VENDORS), "mine"}
    assert found.off["azure"] == "cannot be asked. Set base_url in [providers.azure]."
    assert found.off["groq"] == "cannot be asked. Set enabled = true in [providers.groq]."
    assert found.off["ollama"] == found.off["sandbox"] == "takes no key."


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("openai", ("Authorization", "Bearer sk-own")),
        ("anthropic", ("x-api-key", "sk-own")),
        ("google", ("x-goog-api-key", "sk-own")),
        ("mine", ("x-api-key", "sk-own")),
    ],
)
def test_the_own_key_comes_in_the_place_of_the_operators(tmp_path: Path, name: str, field: tuple[str, str]) -> None:
    made = providers(tmp_path).makers[name]("sk-own")
    assert made.provider == name
    assert field in made.headers
    assert "operator" not in str(made)


def test_no_secret_of_the_operators_goes_with_it() -> None:
    """Whatever kinds of secrets a provider may be given."""
    kinds = [one.name for one in fields(Provider) if isinstance(one.default, Secret)]
    assert "api_key" in kinds
    stated: dict[str, Any] = dict.fromkeys(kinds, Secret("of-the-operator"))
    operators = Provider(base_url="https://x.example", **stated)
    found = own_providers(Settings(providers={vendor.name: operators for vendor in VENDORS}))
    for maker in found.makers.values():
        made = maker("sk-own")
        assert "sk-own" in str(made)
        assert "of-the-operator" not in str(made)


def test_deployments_of_the_operators_are_not_asked_with_it(tmp_path: Path) -> None:
    text = """
        [providers.openai]
        base_url = "https://proxy.example/v1"
        [providers.openai.deployments.eu]
        api_key = "sk-of-the-operator-eu"
        base_url = "https://eu.example/v1"
        models = ["gpt-5.4"]
        [providers.openai.deployments.us]
        api_key = "sk-of-the-operator-us"
        weight = 0
    """
    made = providers(tmp_path, text).makers["openai"]("sk-own")
    assert (made.origin.host, made.models, made.weight, made.name) == ("proxy.example", None, 1, None)
    assert "operator" not in str(made)


def test_everything_else_is_as_the_operator_set_it(tmp_path: Path) -> None:
    made = providers(tmp_path).makers["openai"]("sk-own")
    assert (made.origin.host, made.identity) == ("proxy.example", "none")


def test_a_provider_is_named_by_its_name_or_an_alias(tmp_path: Path) -> None:
    found = providers(tmp_path)
    assert found.named("mine") == "mine"
    assert found.named("x-ai") == "xai"
    with pytest.raises(InvalidRequest, match=r"The provider 'azure' cannot be asked\. Set base_url") as off:
        found.named("azure")
    assert (off.value.code, off.value.param) == ("invalid_value", "provider")
    with pytest.raises(InvalidRequest, match="Did you mean `openai`") as unknown:
        found.named("opnai")
    assert unknown.value.param == "provider"


def test_an_address_that_cannot_be_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^providers\.openai\.base_url: "):
        providers(tmp_path, "[providers.openai]\nbase_url = 'ftp://x'")
