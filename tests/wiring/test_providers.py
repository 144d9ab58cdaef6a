"""Settings into deployments: who can be asked, and what would turn on the others."""

from pathlib import Path

import pytest

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
