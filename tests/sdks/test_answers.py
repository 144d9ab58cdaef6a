"""Every SDK against the real gateway: what it reads of an answer is what the provider said, whoever the provider is.

A sandbox plays OpenAI, Anthropic and Google. Each SDK asks for a model of each of them, so that its own dialect is
relayed to one of them and translated for the others.
"""

import pytest

from arouter.sandbox.embeddings import vector
from arouter.sandbox.server import Sandbox
from tests.acceptance.gateway import Gateway
from tests.sdks.asking import ask, records, user_of
from tests.sdks.clients import CLIENTS, ENDPOINTS, Client
from tests.sdks.conftest import Scripts
from tests.sdks.script import Raised

PRICED = ("openai/gpt-5.4", "anthropic/claude-sonnet-4.6", "google/gemini-2.5-flash")
PROVIDERS = ("openai", "anthropic", "google")
COUNTING = ("anthropic_python-messages", "google_python-gemini")
SAYS = "Hello from the sandbox."
THINKS = "The sandbox pretends to think"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
"""A picture as small as they get: PNG in base64."""

pytestmark = pytest.mark.timeout(600)  # The first test of an SDK installs it.

streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
every_client = pytest.mark.parametrize("client", CLIENTS, ids=str)


def those_that(verb: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", [one for one in CLIENTS if verb not in one.lacks], ids=str)


@streamed
@pytest.mark.parametrize("model", PRICED)
@every_client
def test_an_answer_and_its_record(gateway: Gateway, scripts: Scripts, client: Client, model: str, stream: bool) -> None:
    user = user_of(client, model, stream, "chat")
    answer = ask(scripts(client), gateway, client, "chat", model=model, user=user, stream=stream)
    assert (answer["text"].startswith(SAYS), answer["output_tokens"]) == (True, 16)
    [record] = records(gateway, user)
    assert (record["status"], record["streamed"], record["usage_source"]) == ("success", stream, "provider")
    assert record["endpoint"].startswith(ENDPOINTS[client.dialect])
    assert (record["requested_model"], record["model"]) == (model, model)
    assert (record["prompt_tokens"], record["completion_tokens"]) == (answer["input_tokens"], answer["output_tokens"])
    assert record["cost"] > 0


@pytest.mark.parametrize("provider", PROVIDERS)
@every_client
def test_a_stream_arrives_piece_by_piece(gateway: Gateway, scripts: Scripts, client: Client, provider: str) -> None:
    model = f"{provider}/sandbox;tokens=4;token_ms=40"
    user = user_of(client, model)
    answer = ask(scripts(client), gateway, client, "chat", model=model, user=user, stream=True)
    # Texts that come at once may be one event of Gemini's dialect.
    assert (answer["pieces"] > 1, answer["output_tokens"]) == (True, 4)


@streamed
@pytest.mark.parametrize("provider", PROVIDERS)
@those_that("tools")
def test_a_tool_is_called_its_result_is_taken_and_thoughts_go_back(
    gateway: Gateway, vendors: Sandbox, scripts: Scripts, client: Client, provider: str, stream: bool
) -> None:
    model = f"{provider}/sandbox;tool_call;reasoning_tokens=8"
    user = user_of(client, model, stream, "tools")
    called, last = ask(scripts(client), gateway, client, "tools", model=model, user=user, stream=stream)
    [[name, arguments]] = called["calls"]
    assert (name, sorted(arguments), arguments["unit"]) == ("get_weather", ["city", "unit"], "celsius")
    assert (last["calls"], last["text"].startswith(SAYS)) == ([], True)
    assert b"Sunny, 25 degrees." in vendors.requests[-1].body
    second, first = records(gateway, user)
    for answer, record in ((called, first), (last, second)):
        told = (record["prompt_tokens"], record["completion_tokens"], record["reasoning_tokens"])
        assert told == (answer["input_tokens"], answer["output_tokens"], 8)


@streamed
@pytest.mark.parametrize("provider", PROVIDERS)
@those_that("structured")
def test_an_answer_has_the_form_that_was_asked_for(
    gateway: Gateway, scripts: Scripts, client: Client, provider: str, stream: bool
) -> None:
    model = f"{provider}/sandbox"
    user = user_of(client, model, stream, "structured")
    forecast = ask(scripts(client), gateway, client, "structured", model=model, user=user, stream=stream)
    assert set(forecast) == {"city", "sky", "degrees"}
    assert forecast["degrees"] == 0
    assert [record["status"] for record in records(gateway, user)] == ["success"]


@streamed
@pytest.mark.parametrize("provider", PROVIDERS)
@those_that("thought")
def test_thought_is_told_apart_and_counted(
    gateway: Gateway, scripts: Scripts, client: Client, provider: str, stream: bool
) -> None:
    model = f"{provider}/sandbox-reason"
    user = user_of(client, model, stream, "thought")
    answer = ask(scripts(client), gateway, client, "chat", model=model, user=user, stream=stream)
    assert answer["text"].startswith(SAYS)
    assert THINKS not in answer["text"]
    assert answer["output_tokens"] == 16 + 32
    assert answer["thought"].startswith(THINKS)
    [record] = records(gateway, user)
    assert (record["completion_tokens"], record["reasoning_tokens"]) == (48, 32)


@pytest.mark.parametrize("provider", PROVIDERS)
@every_client
def test_an_image_reaches_the_provider(
    gateway: Gateway, vendors: Sandbox, scripts: Scripts, client: Client, provider: str
) -> None:
    model = f"{provider}/sandbox"
    user = user_of(client, model, "image")
    answer = ask(scripts(client), gateway, client, "chat", model=model, user=user, stream=False, image=PIXEL)
    assert answer["text"].startswith(SAYS)
    # Google's SDK writes the other alphabet of base64, which goes on to Google and to nobody else.
    sent = vendors.requests[-1].body
    assert PIXEL.encode() in (sent.translate(bytes.maketrans(b"-_", b"+/")) if provider == "google" else sent)


@pytest.mark.parametrize("client", [one for one in CLIENTS if str(one) in COUNTING], ids=str)
def test_tokens_are_counted_before_they_are_spent(gateway: Gateway, scripts: Scripts, client: Client) -> None:
    """Of a model whose provider does not count them, by an estimate."""
    few, many = (
        ask(scripts(client), gateway, client, "count", model="openai/sandbox", text="Hello, gateway. " * times)
        for times in (1, 100)
    )
    assert 0 < few < many


@pytest.mark.parametrize(("provider", "dimensions"), [("openai", 1536), ("google", 3072)])
@those_that("embed")
def test_texts_have_vectors(gateway: Gateway, scripts: Scripts, client: Client, provider: str, dimensions: int) -> None:
    model = f"{provider}/sandbox"
    user = user_of(client, model, "embed")
    texts = ["Hello, gateway", "Bye"]
    answer = ask(scripts(client), gateway, client, "embed", model=model, user=user, texts=texts)
    for found, text in zip(answer["vectors"], texts, strict=True):
        assert found == pytest.approx(vector(text, dimensions), abs=1e-6)
    found_records = records(gateway, user)
    # An SDK may ask for each text by itself.
    assert sum(record["prompt_tokens"] for record in found_records) == 3 + 1
    assert {record["status"] for record in found_records} == {"success"}
    if answer["input_tokens"] is not None:
        assert answer["input_tokens"] == 3 + 1


@those_that("embed")
def test_a_provider_without_vectors_says_so(gateway: Gateway, scripts: Scripts, client: Client) -> None:
    user = user_of(client, "no vectors")
    with pytest.raises(Raised, match="no embeddings"):
        ask(scripts(client), gateway, client, "embed", model="anthropic/sandbox", user=user, texts=["Hello"])
    assert [record["error_code"] for record in records(gateway, user)] == ["endpoint_not_supported"]
