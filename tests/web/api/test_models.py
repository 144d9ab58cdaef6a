"""`GET /v1/models`: OpenAI's list, with prices."""

import pytest

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


def test_every_rate_of_a_card_has_a_price_name() -> None:
    assert set(PRICE_NAMES) == set(RATED_PER)
    assert len(set(PRICE_NAMES.values())) == len(RATED_PER)
