"""`GET /v1/models`: OpenAI's list, Anthropic's and Gemini's, with prices, as far as the key may ask."""

from typing import Any

import pytest

from arouter.domain.keys import KeyKind
from arouter.domain.models import ModelInfo
from arouter.domain.price import RATED_PER
from arouter.wire.models_json import PRICE_NAMES
from tests.web.api.gateway import NEEDS_NO_STORE, Gateway, failure

pytestmark = NEEDS_NO_STORE

PRICED = ModelInfo(
    id="openai/gpt-5.4",
    name="GPT-5.4",
    owned_by="openai",
    created=1_770_000_000,
    context_length=400_000,
    input_modalities=("text", "image"),
    output_modalities=("text",),
    pricing={"input_tokens": "0.0000025", "output_tokens": "0.000015", "cache_read_tokens": "0.00000025"},
)
UNKNOWN = ModelInfo(id="local/meta-llama/llama:8b", name="llama:8b", owned_by="local")


@pytest.fixture(autouse=True)
def _models(gateway: Gateway) -> None:
    gateway.models = (PRICED, UNKNOWN)


def test_the_list(gateway: Gateway) -> None:
    assert gateway.get("/v1/models").json() == {
        "object": "list",
        "data": [
            {
                "id": "openai/gpt-5.4",
                "object": "model",
                "created": 1_770_000_000,
                "owned_by": "openai",
                "name": "GPT-5.4",
                "context_length": 400_000,
                "architecture": {
                    "modality": "text+image->text",
                    "input_modalities": ["text", "image"],
                    "output_modalities": ["text"],
                },
                "pricing": {"prompt": "0.0000025", "completion": "0.000015", "input_cache_read": "0.00000025"},
            },
            {
                "id": "local/meta-llama/llama:8b",
                "object": "model",
                "created": None,
                "owned_by": "local",
                "name": "llama:8b",
                "context_length": None,
                "architecture": {"modality": None, "input_modalities": None, "output_modalities": None},
                "pricing": None,
            },
        ],
    }


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("openai/gpt-5.4", PRICED),
        ("openai%2Fgpt-5.4", PRICED),
        ("gpt-5.4", PRICED),
        ("local/meta-llama/llama:8b", UNKNOWN),
        ("local/meta-llama%2Fllama%3A8b", UNKNOWN),
    ],
)
def test_one_model(gateway: Gateway, path: str, model: ModelInfo) -> None:
    assert gateway.get(f"/v1/models/{path}").json()["id"] == model.id
    assert gateway.get(f"/api/v1/models/{path}").json()["id"] == model.id


@pytest.mark.parametrize("path", ["gpt-6", "openai/gpt-6", "llama:8b"])
def test_an_unknown_model_is_404(gateway: Gateway, path: str) -> None:
    answer = gateway.get(f"/v1/models/{path}")
    assert answer.status_code == 404
    assert failure(answer)["code"] == "model_not_found"


def test_a_key_is_needed(gateway: Gateway) -> None:
    assert [gateway.ask("GET", path).status_code for path in ("/v1/models", "/v1/models/gpt-5.4")] == [401, 401]


# ---------------------------------------------------------------- what a key may ask for


@pytest.mark.parametrize(
    ("rules", "ids"),
    [
        ({}, ["openai/gpt-5.4", "local/meta-llama/llama:8b", "xai/grok-4", "sandbox/sandbox-echo"]),
        ({"allowed_providers": ("openai", "x-ai")}, ["openai/gpt-5.4", "xai/grok-4"]),
        ({"allowed_models": ("meta-llama/llama:8b", "xai/grok-4")}, ["local/meta-llama/llama:8b", "xai/grok-4"]),
        ({"allowed_models": ("xai/grok-4",), "allowed_providers": ("openai",)}, []),
        ({"kind": KeyKind.TEST}, ["sandbox/sandbox-echo"]),
        ({"kind": KeyKind.MANAGEMENT, "allowed_providers": ("sandbox",)}, ["sandbox/sandbox-echo"]),
    ],
)
def test_a_key_sees_what_it_may_ask_for(gateway: Gateway, rules: dict[str, Any], ids: list[str]) -> None:
    gateway.models = (PRICED, UNKNOWN, named("xai/grok-4"), named("sandbox/sandbox-echo"))
    plaintext, _ = gateway.add_key("narrow", **rules)
    assert [model["id"] for model in gateway.get("/v1/models", key=plaintext).json()["data"]] == ids
    for model_id in ids:
        assert gateway.get(f"/v1/models/{model_id}", key=plaintext).status_code == 200
    hidden = {"xai/grok-4", "openai/gpt-5.4"} - set(ids)
    for model_id in hidden:
        assert gateway.get(f"/v1/models/{model_id}", key=plaintext).status_code == 404
        assert gateway.get(f"/v1beta/models/models/{model_id}", key=plaintext).status_code == 404


# ---------------------------------------------------------------- in other words

ANTHROPIC = {"anthropic-version": "2023-06-01"}


def named(model_id: str) -> ModelInfo:
    provider, _, name = model_id.partition("/")
    return ModelInfo(id=model_id, name=name, owned_by=provider)


def test_a_client_of_anthropics_api_gets_anthropics_list(gateway: Gateway) -> None:
    assert gateway.get("/v1/models", headers=ANTHROPIC).json() == {
        "data": [
            {
                "id": "openai/gpt-5.4",
                "display_name": "GPT-5.4",
                "created_at": "2026-02-02T02:40:00Z",
                "max_input_tokens": 400_000,
                "pricing": {"prompt": "0.0000025", "completion": "0.000015", "input_cache_read": "0.00000025"},
                "lifecycle": "active",
                "type": "model",
            },
            {
                "id": "local/meta-llama/llama:8b",
                "display_name": "llama:8b",
                "created_at": "1970-01-01T00:00:00Z",
                "max_input_tokens": None,
                "pricing": None,
                "lifecycle": "active",
                "type": "model",
            },
        ],
        "has_more": False,
        "first_id": "openai/gpt-5.4",
        "last_id": "local/meta-llama/llama:8b",
    }
    assert gateway.get("/v1/models/gpt-5.4", headers=ANTHROPIC).json()["type"] == "model"


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ("limit=2", "ab", True),
        ("limit=2&after_id=m/b", "cd", True),
        ("limit=2&after_id=m/d", "e", False),
        ("after_id=m/e", "", False),
        ("limit=2&before_id=m/d", "bc", True),
        ("limit=2&before_id=m/b", "a", False),
    ],
)
def test_pages_of_anthropics_list(gateway: Gateway, query: str, ids: str, has_more: bool) -> None:
    gateway.models = [named(f"m/{letter}") for letter in "abcde"]
    page = gateway.get(f"/v1/models?{query}", headers=ANTHROPIC).json()
    assert [one["id"] for one in gateway.get(f"/v1/models?{query}").json()["data"]] == [
        one["id"] for one in page["data"]
    ]
    assert ("".join(model["id"][2:] for model in page["data"]), page["has_more"]) == (ids, has_more)


def test_a_client_of_geminis_api_gets_geminis_list(gateway: Gateway) -> None:
    assert gateway.get("/v1beta/models").json() == {
        "models": [
            {
                "name": "models/openai/gpt-5.4",
                "displayName": "GPT-5.4",
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
                "inputTokenLimit": 400_000,
                "pricing": {"prompt": "0.0000025", "completion": "0.000015", "input_cache_read": "0.00000025"},
            },
            {"name": "models/local/meta-llama/llama:8b", "displayName": "llama:8b"},
        ]
    }
    assert gateway.get("/v1beta/models/openai/gpt-5.4").json()["name"] == "models/openai/gpt-5.4"
    for headers in ({"x-goog-api-client": "google-genai-sdk/3"}, {"x-goog-api-key": gateway.live}):
        assert gateway.get("/v1/models?pageSize=1", headers=headers).json()["nextPageToken"] == "openai/gpt-5.4"
        assert gateway.get("/v1/models/gpt-5.4", headers=headers).json()["name"] == "models/openai/gpt-5.4"


def test_pages_of_geminis_list(gateway: Gateway) -> None:
    gateway.models = [named(f"m/{letter}") for letter in "abcde"]
    seen, token = [], ""
    for _ in range(3):
        page = gateway.get(f"/v1beta/models?pageSize=2&pageToken={token}").json()
        seen += [model["name"] for model in page["models"]]
        token = page.get("nextPageToken", "")
    assert (seen, token) == ([f"models/m/{letter}" for letter in "abcde"], "")


@pytest.mark.parametrize(
    ("path", "headers", "param"),
    [
        ("/v1/models?pageSize=2", {}, "pageSize"),
        ("/v1/models?limit=0", ANTHROPIC, "limit"),
        ("/v1/models?after_id=m/x", ANTHROPIC, "after_id"),
        ("/v1beta/models?pageToken=m/x", {}, "pageToken"),
        ("/v1beta/models?limit=2", {}, "limit"),
    ],
)
def test_a_parameter_that_makes_no_sense(gateway: Gateway, path: str, headers: dict[str, str], param: str) -> None:
    answer = gateway.get(path, headers=headers)
    assert (answer.status_code, failure(answer)["param"]) == (400, param)


def test_every_rate_of_a_card_has_a_price_name() -> None:
    assert set(PRICE_NAMES) == set(RATED_PER)
    assert len(set(PRICE_NAMES.values())) == len(RATED_PER)
