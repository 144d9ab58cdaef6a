"""Settings into deployments: who can be asked, and what would turn on the others."""

from pathlib import Path

import pytest

from arouter.engine.timeouts import Timeouts
from arouter.providers.vendors import BY_NAME
from arouter.settings import Settings, SettingsError, load
from arouter.wiring.providers import deployments, wants_sandbox

SANDBOX_URL = "http://127.0.0.1:9/v1"


def settings(tmp_path: Path, text: str, **environment: str) -> Settings:
    (tmp_path / "arouter.toml").write_text(text)
    return load(environment=environment, cwd=tmp_path)


def test_a_vendor_with_a_key_is_on_and_every_other_says_what_would_turn_it_on(tmp_path: Path) -> None:
    on, off = deployments(settings(tmp_path, "", OPENAI_API_KEY="sk-1"), SANDBOX_URL)
    assert [deployment.provider for deployment in on] == ["openai", "sandbox"]
    remedies = dict(off)
    assert {*remedies, "openai", "sandbox"} == set(BY_NAME)
    assert remedies["anthropic"] == "Set ANTHROPIC_API_KEY, or api_key in [providers.anthropic]."
    assert remedies["ollama"] == "Add [providers.ollama] to the configuration."


@pytest.mark.parametrize(
    ("text", "name", "remedy"),
    [
        ("[providers.openai]\nenabled = false\napi_key = 'x'", "openai", "Set enabled = true in [providers.openai]."),
        ("[providers.azure]\napi_key = 'x'", "azure", "Set base_url in [providers.azure]."),
        ("[providers.groq]\nenabled = true", "groq", "Set GROQ_API_KEY, or api_key in [providers.groq]."),
        ("[providers.sandbox]\nenabled = false", "sandbox", "Set enabled = true in [providers.sandbox]."),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, text: str, name: str, remedy: str) -> None:
    on, off = deployments(settings(tmp_path, text), None)
    assert dict(off)[name] == remedy
    assert name not in {deployment.provider for deployment in on}


@pytest.mark.parametrize(
    ("name", "credentials"),
    [
        ("openai", ("Authorization", "Bearer k")),
        ("anthropic", ("x-api-key", "k")),
        ("google", ("x-goog-api-key", "k")),
    ],
)
def test_each_dialect_carries_its_credentials(tmp_path: Path, name: str, credentials: tuple[str, str]) -> None:
    ((deployment,), _) = deployments(settings(tmp_path, f"[providers.{name}]\napi_key = 'k'"), None)
    assert deployment.headers[0] == credentials
    assert ("Content-Type", "application/json") in deployment.headers
    assert deployment.vendor is BY_NAME[name]


def test_a_local_vendor_needs_no_key(tmp_path: Path) -> None:
    ((deployment,), _) = deployments(settings(tmp_path, "[providers.ollama]"), None)
    assert deployment.origin.port == 11434
    assert not any(name in ("Authorization", "x-api-key") for name, _ in deployment.headers)


@pytest.mark.parametrize(("key", "sent"), [("", False), ("api_key = 'k'", True)])
def test_a_provider_of_ones_own_has_a_key_if_it_is_given(tmp_path: Path, key: str, sent: bool) -> None:
    text = f"[providers.mine]\ndialect = 'anthropic'\nbase_url = 'https://x.example/base/'\nidentity = 'none'\n{key}"
    ((deployment,), _) = deployments(settings(tmp_path, text), None)
    assert (("x-api-key", "k") in deployment.headers) == sent
    assert (deployment.provider, deployment.vendor.name, deployment.identity) == ("mine", "mine", "none")
    assert deployment.origin.path == "/base"


def test_a_base_url_that_cannot_be_is_named_and_never_shown(tmp_path: Path) -> None:
    text = "[providers.openai]\napi_key = 'x'\nbase_url = 'https://user:secret@x.example'"
    with pytest.raises(SettingsError, match=r"^providers\.openai\.base_url: ") as refused:
        deployments(settings(tmp_path, text), None)
    assert "secret" not in str(refused.value)


def test_the_sandbox_is_there_unless_it_is_turned_off(tmp_path: Path) -> None:
    assert wants_sandbox(settings(tmp_path, ""))
    assert wants_sandbox(settings(tmp_path, "[providers.sandbox]"))
    assert not wants_sandbox(settings(tmp_path, "[providers.sandbox]\nenabled = false"))


DEPLOYMENTS = """
[providers.openai]
api_key = "shared"
data_collection = "deny"
first_byte_timeout_s = 5
[providers.openai.deployments.eu]
base_url = "https://eu.example/v1"
weight = 3
[providers.openai.deployments.own]
api_key = "own"
models = ["gpt"]
"""


def test_deployments_are_laid_over_their_provider(tmp_path: Path) -> None:
    (eu, own), _ = deployments(settings(tmp_path, DEPLOYMENTS), None)
    assert (eu.label, own.label) == ("openai/eu", "openai/own")
    assert (eu.headers[0][1], own.headers[0][1]) == ("Bearer shared", "Bearer own")
    assert (eu.origin.host, own.origin.host) == ("eu.example", "api.openai.com")
    assert (eu.weight, own.weight, eu.models, own.models) == (3, 1, None, frozenset({"gpt"}))
    assert not eu.collects_data
    assert eu.timeouts == Timeouts(first_byte_s=5.0)


def test_a_deployment_without_a_key_is_off_and_the_others_are_on(tmp_path: Path) -> None:
    text = "[providers.groq.deployments.a]\napi_key = 'env:UNSET'\n[providers.groq.deployments.b]\napi_key = 'k'"
    on, off = deployments(settings(tmp_path, text), None)
    assert [one.label for one in on] == ["groq/b"]
    assert "groq/a" in dict(off)


def test_a_base_url_of_a_deployment_that_cannot_be_is_named(tmp_path: Path) -> None:
    text = "[providers.openai.deployments.eu]\napi_key = 'k'\nbase_url = 'ftp://x'"
    with pytest.raises(SettingsError, match=r"^providers\.openai\.deployments\.eu\.base_url: "):
        deployments(settings(tmp_path, text), None)


def test_nothing_leaves_the_machine_for_the_sandbox_and_for_the_others_only_the_operator_knows(tmp_path: Path) -> None:
    on, _ = deployments(settings(tmp_path, "[providers.groq]\napi_key = 'k'"), SANDBOX_URL)
    assert {one.provider: (one.collects_data, one.zdr) for one in on} == {
        "groq": (True, False),
        "sandbox": (False, True),
    }
