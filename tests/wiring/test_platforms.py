"""Settings of Azure, Vertex AI and Bedrock into deployments."""

import asyncio
from pathlib import Path

import pytest

from arouter.engine.access_tokens import AccessTokens
from arouter.engine.credentials import AwsSignature, Unsigned
from arouter.engine.routing import Deployment
from arouter.providers.base import Prepared
from arouter.settings import Settings, SettingsError, load
from arouter.wiring.providers import deployments
from tests.engine.scripted_client import ScriptedClient
from tests.engine.scripted_clock import NOON_US
from tests.service_accounts import curve_key, key_file


def settings(tmp_path: Path, text: str, **environment: str) -> Settings:
    (tmp_path / "arouter.toml").write_text(text)
    return load(environment=environment, cwd=tmp_path)


def only(tmp_path: Path, text: str, **environment: str) -> Deployment:
    (deployment,), _ = deployments(settings(tmp_path, text, **environment), None)
    return deployment


def remedy(tmp_path: Path, name: str, text: str, **environment: str) -> str:
    on, off = deployments(settings(tmp_path, text, **environment), None)
    assert name not in {deployment.provider for deployment in on}
    return dict(off)[name]


def refusal(tmp_path: Path, text: str, **environment: str) -> str:
    with pytest.raises(SettingsError) as refused:
        deployments(settings(tmp_path, text, **environment), None)
    return str(refused.value)


def address(deployment: Deployment, model: str = "m") -> str:
    """Where a chat completion of OpenAI's dialect would be asked."""
    assert deployment.platform is not None
    placed = deployment.platform.place(Prepared(path="/chat/completions", body=b""), model, "openai")
    query = f"?{placed.query}" if placed.query else ""
    return deployment.origin.endpoint.removesuffix(":443") + deployment.origin.path + placed.path + query


def header(deployment: Deployment, name: str) -> list[str]:
    return [text for found, text in deployment.headers if found == name]


# ---------------------------------------------------------------- Azure

RESOURCE = "https://res.openai.azure.com"


@pytest.mark.parametrize(
    ("base_url", "version", "asked"),
    [
        (RESOURCE, "", f"{RESOURCE}/openai/v1/chat/completions"),
        (f"{RESOURCE}/", "", f"{RESOURCE}/openai/v1/chat/completions"),
        (f"{RESOURCE}/openai/v1/", "", f"{RESOURCE}/openai/v1/chat/completions"),
        (f"{RESOURCE}/openai/v1", "preview", f"{RESOURCE}/openai/v1/chat/completions?api-version=preview"),
        (RESOURCE, "2024-10-21", f"{RESOURCE}/openai/deployments/m/chat/completions?api-version=2024-10-21"),
        (
            f"{RESOURCE}/openai",
            "2024-10-21",
            f"{RESOURCE}/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ),
        ("https://apim.example/ai/openai/v1", "", "https://apim.example/ai/openai/v1/chat/completions"),
    ],
)
def test_azure_is_asked_by_the_v1_api_or_by_a_dated_version(
    tmp_path: Path, base_url: str, version: str, asked: str
) -> None:
    text = f"[providers.azure]\napi_key = 'k'\nbase_url = '{base_url}'\napi_version = '{version}'"
    deployment = only(tmp_path, text)
    assert address(deployment) == asked
    assert header(deployment, "api-key") == ["k"]
    assert header(deployment, "Authorization") == []
    assert deployment.credentials is None


def test_azures_own_variables_are_enough(tmp_path: Path) -> None:
    deployment = only(tmp_path, "", AZURE_OPENAI_API_KEY="k", AZURE_OPENAI_ENDPOINT=f"{RESOURCE}/")
    assert address(deployment) == f"{RESOURCE}/openai/v1/chat/completions"
    assert remedy(tmp_path, "azure", "", AZURE_OPENAI_API_KEY="k") == "Set base_url in [providers.azure]."


# ---------------------------------------------------------------- Vertex AI


def test_a_service_account_is_read_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(key_file())
    deployment = only(tmp_path, "[providers.vertex]\ncredentials = 'key.json'\nlocation = 'europe-west4'")
    assert isinstance(deployment.credentials, AccessTokens)
    assert header(deployment, "Authorization") == []
    assert deployment.origin.host == "europe-west4-aiplatform.googleapis.com"
    assert deployment.origin.path == "/v1/projects/my-project/locations/europe-west4"


@pytest.mark.parametrize("credentials", ["file:key.json", "env:KEY"])
def test_a_service_account_may_come_from_elsewhere(tmp_path: Path, credentials: str) -> None:
    (tmp_path / "key.json").write_text(key_file())
    text = f"[providers.vertex]\ncredentials = '{credentials}'\nproject = 'other'"
    deployment = only(tmp_path, text, KEY=key_file())
    assert deployment.origin.host == "aiplatform.googleapis.com"
    assert deployment.origin.path == "/v1/projects/other/locations/global"


def test_googles_own_variables_count_for_a_section_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(key_file())
    variables = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json"),
        "GOOGLE_CLOUD_PROJECT": "p",
        "GOOGLE_CLOUD_LOCATION": "us",
    }
    deployment = only(tmp_path, "[providers.vertex]", **variables)
    assert deployment.origin.host == "aiplatform.us.rep.googleapis.com"
    assert deployment.origin.path == "/v1/projects/p/locations/us"
    assert deployments(settings(tmp_path, "", **variables), None)[0] == []


def test_an_access_token_may_be_given_as_it_is(tmp_path: Path) -> None:
    deployment = only(tmp_path, "[providers.vertex]\napi_key = 'ya29.x'\nproject = 'p'")
    assert header(deployment, "Authorization") == ["Bearer ya29.x"]
    assert deployment.credentials is None


def test_what_vertex_lacks_is_said(tmp_path: Path) -> None:
    assert remedy(tmp_path, "vertex", "") == remedy(tmp_path, "vertex", "[providers.vertex]")
    assert "Set credentials, or an access token as api_key" in remedy(tmp_path, "vertex", "")
    text = "[providers.vertex]\napi_key = 'ya29.x'"
    assert remedy(tmp_path, "vertex", text) == "Set project in [providers.vertex]."


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (key_file(type="authorized_user"), "only the key of a service account can be used"),
        (key_file(private_key="sesame"), "the private_key of the service account cannot be read"),
        (key_file(private_key=curve_key()), "is not an RSA key"),
        (key_file(token_uri="ftp://sesame/x"), "the token_uri is none"),
        ("{sesame", "not the JSON of a service account's key"),
    ],
)
def test_a_key_that_cannot_be_is_said_and_not_shown(tmp_path: Path, key: str, said: str) -> None:
    text = refusal(tmp_path, "[providers.vertex]\ncredentials = 'env:KEY'\nproject = 'p'", KEY=key)
    assert text.startswith("providers.vertex.credentials: ")
    assert said in text
    assert "sesame" not in text


def test_a_file_that_is_none_is_not_shown_either_since_it_may_be_the_secret(tmp_path: Path) -> None:
    text = refusal(tmp_path, "[providers.vertex]\ncredentials = 'sesame'")
    assert text == "providers.vertex.credentials is neither JSON nor a file that can be read"


# ---------------------------------------------------------------- Bedrock

KEYS = "access_key_id = 'AKID'\nsecret_access_key = 'sesame'"


def test_bedrock_is_asked_in_its_region_with_a_signature(tmp_path: Path) -> None:
    deployment = only(tmp_path, f"[providers.bedrock]\nregion = 'eu-central-1'\n{KEYS}")
    assert deployment.origin.host == "bedrock-runtime.eu-central-1.amazonaws.com"
    assert isinstance(deployment.credentials, AwsSignature)
    request = Unsigned(method="POST", path="/x", query="", host=deployment.origin.authority, body=b"")
    added = dict(asyncio.run(deployment.credentials.headers(request, ScriptedClient(), NOON_US)))
    assert "Credential=AKID/20261122/eu-central-1/bedrock/aws4_request" in added["Authorization"]
    assert "X-Amz-Security-Token" not in added


def test_awss_own_variables_count_for_a_section_that_is_there(tmp_path: Path) -> None:
    variables = {
        "AWS_ACCESS_KEY_ID": "ASIA",
        "AWS_SECRET_ACCESS_KEY": "sesame",
        "AWS_SESSION_TOKEN": "session",
        "AWS_DEFAULT_REGION": "us-west-2",
    }
    deployment = only(tmp_path, "[providers.bedrock]", **variables)
    assert deployment.credentials is not None
    request = Unsigned(method="POST", path="/x", query="", host="x", body=b"")
    added = dict(asyncio.run(deployment.credentials.headers(request, ScriptedClient(), NOON_US)))
    assert added["X-Amz-Security-Token"] == "session"
    assert "Credential=ASIA/20261122/us-west-2/" in added["Authorization"]
    assert deployments(settings(tmp_path, "", **variables), None)[0] == []


def test_keys_of_the_environment_do_not_mix_with_those_that_are_set(tmp_path: Path) -> None:
    deployment = only(
        tmp_path, f"[providers.bedrock]\nregion = 'us-east-1'\n{KEYS}", AWS_SESSION_TOKEN="of another key"
    )
    assert deployment.credentials is not None
    request = Unsigned(method="POST", path="/x", query="", host="x", body=b"")
    added = dict(asyncio.run(deployment.credentials.headers(request, ScriptedClient(), NOON_US)))
    assert "X-Amz-Security-Token" not in added


def test_a_bedrock_api_key_is_a_bearer_and_turns_it_on(tmp_path: Path) -> None:
    deployment = only(tmp_path, "", AWS_BEARER_TOKEN_BEDROCK="abc", AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="AKID")
    assert header(deployment, "Authorization") == ["Bearer abc"]
    assert deployment.credentials is None


def test_what_bedrock_lacks_is_said(tmp_path: Path) -> None:
    assert remedy(tmp_path, "bedrock", "").startswith("Set AWS_BEARER_TOKEN_BEDROCK, or api_key or access_key_id")
    for text in (f"[providers.bedrock]\n{KEYS}", f"[providers.bedrock]\n{KEYS}\nbase_url = 'https://vpce.example'"):
        assert remedy(tmp_path, "bedrock", text) == "Set region in [providers.bedrock]."
    proxied = only(tmp_path, "[providers.bedrock]\napi_key = 'k'\nbase_url = 'https://vpce.example'")
    assert proxied.origin.host == "vpce.example"


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[providers.openai]\nregion = 'x'", "providers.openai has no region; that is a setting of bedrock's"),
        ("[providers.vertex]\napi_version = '1'", "providers.vertex has no api_version; that is a setting of azure's"),
        ("[providers.azure]\nproject = 'p'", "providers.azure has no project; that is a setting of vertex's"),
        ("[providers.bedrock]\nregion = 'us/east'", "providers.bedrock.region is not what bedrock would take"),
        ("[providers.vertex]\nproject = 'a/b'", "providers.vertex.project is not what vertex would take"),
        ("[providers.vertex]\nlocation = 'a.b'", "providers.vertex.location is not what vertex would take"),
        ("[providers.azure]\napi_version = '1&x=2'", "providers.azure.api_version is not what azure would take"),
        (
            "[providers.bedrock]\nsecret_access_key = \"ses\\name\"\naccess_key_id = 'a'",
            "providers.bedrock.secret_access_key is not what bedrock would take",
        ),
        ("[providers.bedrock]\naccess_key_id = 'a'", "access_key_id and secret_access_key together"),
        ("[providers.bedrock]\nsecret_access_key = 'sesame'", "access_key_id and secret_access_key together"),
        ("[providers.bedrock]\nsession_token = 'sesame'", "session_token goes with access_key_id"),
    ],
)
def test_what_cannot_be_is_named_and_no_secret_shown(tmp_path: Path, text: str, said: str) -> None:
    found = refusal(tmp_path, text)
    assert said in found
    assert "sesame" not in found
