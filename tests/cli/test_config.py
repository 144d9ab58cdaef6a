"""`arouter config`: every setting, where it comes from, and no secret."""

from pathlib import Path

from arouter.settings import SECTIONS, rows
from tests.cli.process import refused, succeeded, told
from tests.service_accounts import key_file

FILE = """
[server]
port = 9000

[upstream]
https_proxy = "http://user:sesame@proxy:3128"

[providers.openai]
api_key = "env:KEY"

[providers.openai.deployments.eu]
api_key = "env:KEY"
models = ["a", "b"]
[providers.bedrock]
region = "eu-central-1"
access_key_id = "AKIDEXAMPLE"
secret_access_key = "sesame-secret"
session_token = "sesame-token"

[providers.vertex]
enabled = false
credentials = "file:key.json"

[providers.local]
dialect = "openai"
base_url = "http://127.0.0.1:11434/v1"

[sign_in.oidc.work]
issuer = "https://accounts.example.com"
client_id = "arouter"
client_secret = "env:KEY"
"""
ENVIRONMENT = {"KEY": "sk-sesame", "AROUTER_LOG__LEVEL": "debug"}


def test_show_has_every_setting_its_source_and_its_variable_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "arouter.toml").write_text(FILE)
    (tmp_path / "key.json").write_text(key_file(private_key_id="sesame-key"))
    shown = {one["name"]: one for one in told("config", "show", cwd=tmp_path, env=ENVIRONMENT)}
    assert {f"{row.section}.{row.name}" for row in rows() if row.section in SECTIONS} <= shown.keys()

    def of(name: str) -> tuple[object, str, str]:
        return shown[name]["value"], shown[name]["source"], shown[name]["variable"]

    assert of("server.port") == (9000, "file", "AROUTER_SERVER__PORT")
    assert of("server.host") == ("127.0.0.1", "default", "AROUTER_SERVER__HOST")
    assert of("log.level") == ("debug", "environment", "AROUTER_LOG__LEVEL")
    assert of("providers.openai.api_key") == ("(set)", "environment", "AROUTER_PROVIDERS__OPENAI__API_KEY")
    assert of("providers.local.api_key")[0] == "(not set)"
    assert of("providers.openai.deployments.eu.api_key") == (
        *("(set)", "environment", "AROUTER_PROVIDERS__OPENAI__DEPLOYMENTS__EU__API_KEY"),
    )
    assert of("providers.openai.deployments.eu.models")[:2] == ("a, b", "file")
    assert of("providers.bedrock.secret_access_key")[:2] == ("(set)", "file")
    assert of("providers.bedrock.session_token")[0] == "(set)"
    assert of("providers.bedrock.access_key_id")[0] == "AKIDEXAMPLE"
    assert of("providers.vertex.credentials")[0] == "(set)"
    assert of("upstream.https_proxy") == ("http://…@proxy:3128", "file", "AROUTER_UPSTREAM__HTTPS_PROXY")
    assert of("sign_in.oidc.work.issuer")[:2] == ("https://accounts.example.com", "file")
    assert of("sign_in.oidc.work.client_secret") == (
        *("(set)", "environment", "AROUTER_SIGN_IN__OIDC__WORK__CLIENT_SECRET"),
    )
    text = succeeded("config", "show", cwd=tmp_path, env=ENVIRONMENT)
    assert "providers.local.base_url" in text
    assert "sesame" not in text + str(shown)


def test_check_tells_which_providers_are_on_and_what_turns_the_others_on(tmp_path: Path) -> None:
    (tmp_path / "arouter.toml").write_text(FILE)
    (tmp_path / "key.json").write_text(key_file(private_key_id="sesame-key"))
    found = told("config", "check", cwd=tmp_path, env=ENVIRONMENT)
    assert found["ok"] is True
    assert found["file"] == str(tmp_path / "arouter.toml")
    assert found["database"] == str(tmp_path / "arouter.db")
    assert found["providers"] == ["bedrock", "local", "openai", "sandbox"]
    assert found["off"]["vertex"] == "Set enabled = true in [providers.vertex]."
    assert found["off"]["anthropic"] == "Set ANTHROPIC_API_KEY, or api_key in [providers.anthropic]."
    assert not (tmp_path / "arouter.db").exists()


def test_a_misspelt_setting_is_one_line_that_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "arouter.toml").write_text("[server]\nprot = 1\n")
    assert refused("config", "check", cwd=tmp_path) == "there is no setting server.prot; did you mean port?"


def test_the_file_is_named_by_the_option_before_the_variable(tmp_path: Path) -> None:
    (tmp_path / "named.toml").write_text("[log]\nlevel = 'error'\n")
    env = {"AROUTER_CONFIG": "elsewhere.toml"}
    shown = told("config", "show", "--config", "named.toml", cwd=tmp_path, env=env)
    assert next(one for one in shown if one["name"] == "log.level")["value"] == "error"
    assert refused("config", "show", cwd=tmp_path, env=env) == "there is no file elsewhere.toml"
