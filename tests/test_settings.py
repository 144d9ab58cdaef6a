"""Settings: one table, read from a file and the environment, exact and checked."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arouter.settings import (
    BELOW,
    NAMED,
    PREFIX,
    SECTIONS,
    TABLES,
    Dollars,
    Secret,
    Settings,
    SettingsError,
    load,
    rows,
)


def read(tmp_path: Path, text: str = "", **environment: str) -> Settings:
    """What a file with this text and this environment mean."""
    file = tmp_path / "arouter.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environment=environment, cwd=tmp_path)


def refusal(tmp_path: Path, text: str = "", **environment: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text, **environment)
    return str(refused.value)


# ---------------------------------------------------------------- where settings come from


def test_the_environment_comes_before_the_file_and_the_file_before_the_default(tmp_path: Path) -> None:
    text = "[server]\nport = 1\nhost = 'file'"
    settings = read(tmp_path, text, AROUTER_SERVER__PORT="2")
    assert (settings.server.port, settings.server.host, settings.server.workers) == (2, "file", 1)


def test_without_a_file_everything_has_a_default(tmp_path: Path) -> None:
    settings = load(environment={}, cwd=tmp_path)
    assert (settings.file, settings.directory, settings.server.port) == (None, tmp_path, 8080)
    assert settings == Settings(directory=tmp_path, providers={})


def test_the_file_is_the_argument_else_the_variable_else_the_one_that_is_there(tmp_path: Path) -> None:
    for name, port in (("arouter.toml", 1), ("variable.toml", 2), ("argument.toml", 3)):
        (tmp_path / name).write_text(f"[server]\nport = {port}")
    variables = {"AROUTER_CONFIG": "variable.toml"}
    assert load(environment={}, cwd=tmp_path).server.port == 1
    assert load(environment=variables, cwd=tmp_path).server.port == 2
    assert load(Path("argument.toml"), environment=variables, cwd=tmp_path).server.port == 3
    with pytest.raises(SettingsError, match=r"there is no file absent\.toml"):
        load(Path("absent.toml"), environment={}, cwd=tmp_path)


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "key").write_text("from a file\n")
    (tmp_path / "below" / "a.toml").write_text("[providers.openai]\napi_key = 'file:key'")
    settings = load(Path("below/a.toml"), environment={}, cwd=tmp_path)
    assert settings.directory == tmp_path / "below"
    assert settings.providers["openai"].api_key == "from a file"


def test_a_value_may_be_read_from_elsewhere(tmp_path: Path) -> None:
    text = "[providers.openai]\napi_key = 'env:MY_KEY'\n[server]\nport = 'env:MY_PORT'"
    settings = read(tmp_path, text, MY_KEY="k", MY_PORT="9")
    assert settings.providers["openai"].api_key == "k"
    assert settings.server.port == 9
    assert read(tmp_path, "[providers.openai]\napi_key = 'env:UNSET'").providers["openai"].api_key == ""
    assert "providers.openai.api_key: the file nowhere cannot be read" in refusal(
        tmp_path, "[providers.openai]\napi_key = 'file:nowhere'"
    )


def test_other_text_with_a_colon_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, "[storage]\nurl = 'sqlite:///x.db'").storage.url == "sqlite:///x.db"


def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    assert read(tmp_path, AROUTER_RECORDINGS="/x", HOME="/root").server == Settings().server


# ---------------------------------------------------------------- what cannot be

REFUSED = [
    ("[servr]", {}, "there is no section [servr]; did you mean server?"),
    ("[server]\nprot = 1", {}, "there is no setting server.prot; did you mean port?"),
    ("", {"AROUTER_SERVER__PROT": "1"}, "there is no setting server.prot; did you mean port?"),
    ("", {"AROUTER_SERVR__PORT": "1"}, "there is no section [servr]; did you mean server?"),
    ("[providers.openai]\napi_keys = 'x'", {}, "there is no setting providers.openai.api_keys; did you mean api_key?"),
    ("server = 1", {}, "[server] must be a table"),
    ("server = 1", {"AROUTER_SERVER__PORT": "1"}, "AROUTER_SERVER__PORT: server is not a table in the file"),
    ("[providers]\nopenai = 'x'", {}, "[providers] takes one table for each name"),
    ("[server]\nport = 'many'", {}, "server.port must be a whole number of at least 0, not 'many'"),
    ("[server]\nport = 1.5", {}, "server.port must be a whole number"),
    ("[server]\nport = 80.0", {}, "server.port must be a whole number"),
    ("[server]\nport = -1", {}, "server.port must be a whole number"),
    ("[server]\nport = true", {}, "server.port must be a whole number"),
    ("[server]\nport = inf", {}, "server.port must be a whole number"),
    ("[server]\nport = [1]", {}, "server.port must be a whole number"),
    ("[server]\nport = 65536", {}, "server.port must be at most 65535, not 65536"),
    ("", {"AROUTER_SERVER__PORT": ""}, "server.port must be a whole number"),
    ("", {"AROUTER_SERVER__PORT": " 80"}, "server.port must be a whole number"),
    ("", {"AROUTER_SERVER__PORT": "1_0"}, "server.port must be a whole number"),
    ("[server]\nkeep_alive_s = 'soon'", {}, "server.keep_alive_s must be a number of at least 0, not 'soon'"),
    ("[server]\nkeep_alive_s = nan", {}, "server.keep_alive_s must be a number"),
    ("[server]\nkeep_alive_s = inf", {}, "server.keep_alive_s must be a number"),
    ("", {"AROUTER_UPSTREAM__IDLE_TIMEOUT_S": "inf"}, "upstream.idle_timeout_s must be a number"),
    ("[server]\nhost = 1", {}, "server.host must be text, not 1"),
    ("[log]\nlevel = 'loud'", {}, "log.level must be one of debug, info, warning, error, not 'loud'"),
    ("[providers.openai]\nenabled = 'maybe'", {}, "providers.openai.enabled must be true or false, not 'maybe'"),
    ("[providers.local]\ndialect = 'openai'", {}, "providers.local is not a known vendor: it needs a dialect and a"),
    ("[providers.opena]\napi_key = 'x'", {}, "did you mean openai?"),
    ("[providers.openai]\ndialect = 'gemini'", {}, "providers.openai speaks openai; give another dialect another name"),
    ('[providers."a/b"]\ndialect = "openai"\nbase_url = "http://x"', {}, "the name of a provider has no slash"),
    ("[providers.openai]\ndeployments = 1", {}, "[providers.openai.deployments] takes one table for each name"),
    ("[providers.openai.deployments.eu]\nwieght = 1", {}, "no setting providers.openai.deployments.eu.wieght; did you"),
    ("[providers.openai.deployments.'a/b']", {}, "the name of a provider has no slash, nor has a deployment's"),
    ("[providers.openai.deployments.eu]\nmodels = [1]", {}, "deployments.eu.models must be a list of texts, not [1]"),
    ("[routing]\nprovider_order = 1", {}, "routing.provider_order must be a list of texts, not 1"),
    ("[models.m]", {}, 'models."m" needs providers'),
    ("[models.m]\nproviders = ['gpt']", {}, "models.\"m\".providers: 'gpt' is not provider/model"),
    ("[models.m]\nproviders = ['gruq/x']", {}, "'gruq/x' is not provider/model; did you mean groq?"),
    ("[models.m]\nproviders = ['groq/']", {}, "'groq/' is not provider/model"),
    ("[models.m]\nproviders = ['groq/x']\nsort = 'cheap'", {}, "models.m.sort must be one of price, latency"),
    ("[prices.'gpt-5.4']\ninput = 1", {}, "prices.gpt-5.4 names no provider"),
    ("[server", {}, "is not valid TOML"),
]


@pytest.mark.parametrize(("text", "environment", "said"), REFUSED)
def test_what_cannot_be_is_named_with_what_to_do(
    tmp_path: Path, text: str, environment: dict[str, str], said: str
) -> None:
    assert said in refusal(tmp_path, text, **environment)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "arouter.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="is not valid TOML"):
        load(environment={}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("true", True), ("TRUE", True), ("1", True), ("yes", True), ("on", True), ("false", False), ("0", False)],
)
def test_flags_in_the_environment_are_words(tmp_path: Path, said: str, meant: bool) -> None:
    assert read(tmp_path, AROUTER_PROVIDERS__SANDBOX__ENABLED=said).providers["sandbox"].enabled is meant


# ---------------------------------------------------------------- money


@pytest.mark.parametrize(
    "written", ["0.1", "0.10", "2", "1e-7", "0.000000000000000000001", "123456789.987654321", "1_000.5", "0"]
)
def test_dollars_are_the_digits_that_were_written(tmp_path: Path, written: str) -> None:
    stated = read(tmp_path, f'[prices."openai/x"]\ninput = {written}\noutput = "{written}"').prices["openai/x"]
    assert stated.output == written
    assert Decimal(stated.input).as_tuple() == Decimal(written).as_tuple()
    assert isinstance(stated.input, Dollars)


def test_true_is_no_price(tmp_path: Path) -> None:
    assert "must be text, not True" in refusal(tmp_path, '[prices."openai/x"]\ninput = true')


# ---------------------------------------------------------------- providers


def test_a_vendor_has_the_key_that_its_own_tools_find(tmp_path: Path) -> None:
    settings = read(tmp_path, OPENAI_API_KEY="a", GOOGLE_API_KEY="second", GEMINI_API_KEY="first", GROQ_API_KEY="")
    assert {name: provider.api_key for name, provider in settings.providers.items()} == {
        "openai": "a",
        "google": "first",
    }


def test_a_key_that_is_set_comes_before_the_vendors_variable(tmp_path: Path) -> None:
    settings = read(tmp_path, "[providers.openai]\napi_key = 'mine'", OPENAI_API_KEY="theirs")
    assert settings.providers["openai"].api_key == "mine"
    variables = {"OPENAI_API_KEY": "theirs", "AROUTER_PROVIDERS__OPENAI__API_KEY": "set"}
    assert read(tmp_path, **variables).providers["openai"].api_key == "set"


def test_a_provider_of_ones_own(tmp_path: Path) -> None:
    text = "[providers.local]\ndialect = 'openai'\nbase_url = 'http://127.0.0.1:11434/v1'"
    assert read(tmp_path, text).providers["local"].identity == "pseudonym"


def test_a_provider_may_have_several_deployments(tmp_path: Path) -> None:
    text = "[providers.openai.deployments.eu]\napi_key = 'env:EU'\nmodels = ['gpt', 'o3']\n"
    variables = {"EU": "sk-eu", "AROUTER_PROVIDERS__OPENAI__DEPLOYMENTS__US__WEIGHT": "3"}
    deployments = read(tmp_path, text, **variables).providers["openai"].deployments
    assert {name: (one.api_key, one.weight, one.models) for name, one in deployments.items()} == {
        "eu": ("sk-eu", 1, ("gpt", "o3")),
        "us": ("", 3, ()),
    }
    assert "sk-eu" not in repr(deployments)


def test_a_model_may_have_a_name_of_ones_own(tmp_path: Path) -> None:
    text = "[models.'llama-3.3-70b']\nproviders = ['groq/llama', 'x-ai/y', 'local/z']\nsort = 'price'\n"
    text += "[providers.local]\ndialect = 'openai'\nbase_url = 'http://127.0.0.1:1/v1'"
    model = read(tmp_path, text).models["llama-3.3-70b"]
    assert (model.providers, model.sort) == (("groq/llama", "x-ai/y", "local/z"), "price")


def test_proxies_are_those_of_the_environment_unless_set(tmp_path: Path) -> None:
    variables = {"HTTP_PROXY": "http://a", "https_proxy": "http://b", "NO_PROXY": "c"}
    upstream = read(tmp_path, "[upstream]\nno_proxy = 'd'", **variables).upstream
    assert (upstream.http_proxy, upstream.https_proxy, upstream.no_proxy) == ("http://a", "http://b", "d")


# ---------------------------------------------------------------- secrets and the table


def test_secrets_do_not_show_themselves(tmp_path: Path) -> None:
    settings = read(tmp_path, "[providers.openai]\napi_key = 'sk-secret'")
    assert "sk-secret" not in repr(settings)
    assert (repr(Secret("x")), repr(Secret(""))) == ("Secret('…')", "Secret('')")


def test_every_row_of_the_table_has_a_help_and_a_type() -> None:
    table = list(rows())
    below = (f"{name}.<deployment>" for name in BELOW)
    named = (f"{name}.<name>" for name in (*TABLES, *NAMED))
    sections = {*SECTIONS} - {name.partition(".")[0] for name in NAMED}
    assert {row.section for row in table} == {*sections, *named, *below}
    assert len({(row.section, row.name) for row in table}) == len(table) > 30
    for row in table:
        assert row.help.endswith(".")
        assert row.type


def _sample(default: Any, kind: str) -> tuple[str, Any]:
    if kind.startswith("`"):
        choice = kind.split("`")[-2]
        return choice, choice
    samples = {
        "whole number": ("7", 7),
        "number": ("7.5", 7.5),
        "true or false": ("off", False),
        "list of texts": ("a, b", ("a", "b")),
    }
    return samples.get(kind, ("text", "text"))


@pytest.mark.parametrize("row", [row for row in rows() if "<name>" not in row.section], ids=lambda row: row.variable)
def test_every_setting_can_be_set_by_its_variable(tmp_path: Path, row: Any) -> None:
    assert row.variable.startswith(PREFIX)
    text, value = _sample(row.default, row.type)
    settings = read(tmp_path, **{row.variable: text})
    assert getattr(getattr(settings, row.section), row.name) == value


# ---------------------------------------------------------------- issuers


def test_an_issuer_needs_all_of_it_and_an_address_that_is_safe(tmp_path: Path) -> None:
    file = tmp_path / "arouter.toml"
    whole = '[sign_in.oidc.work]\nissuer = "https://a.example"\nclient_id = "x"\nclient_secret = "env:S"\n'
    file.write_text(whole)
    found = load(file, environment={"S": "s3cret"}).sign_in.oidc["work"]
    assert (found.issuer, found.client_id, found.client_secret) == ("https://a.example", "x", "s3cret")
    assert "s3cret" not in repr(found)
    for line in whole.splitlines()[1:3]:
        file.write_text(whole.replace(f"{line}\n", ""))
        with pytest.raises(SettingsError, match=f"sign_in.oidc.work needs {line.split()[0]}"):
            load(file, environment={"S": "s3cret"})
    file.write_text(whole.replace("https", "http"))
    with pytest.raises(SettingsError, match="must begin with https"):
        load(file, environment={"S": "s3cret"})
    file.write_text("[sign_in]\noidc = 1\n")
    with pytest.raises(SettingsError, match=r"\[sign_in.oidc\] takes one table for each name"):
        load(file, environment={})


def test_an_issuer_can_be_named_in_the_environment_alone(tmp_path: Path) -> None:
    variables = {"ISSUER": "https://a.example", "CLIENT_ID": "x"}
    found = read(tmp_path, **{f"{PREFIX}SIGN_IN__OIDC__WORK__{name}": value for name, value in variables.items()})
    assert found.sign_in.oidc["work"].issuer == "https://a.example"
