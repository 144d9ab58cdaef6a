"""What goes wrong reaches the users of every SDK as the error that the SDK has for it, and is remembered as theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.gateway import Gateway
from tests.sdks.asking import ask, awaited_records, records, user_of
from tests.sdks.clients import CLIENTS, DEFAULT_PROVIDERS, Client
from tests.sdks.conftest import Scripts
from tests.sdks.script import Raised

PROVIDERS = ("openai", "anthropic", "google")

pytestmark = pytest.mark.timeout(600)  # The first test of an SDK installs it.

every_client = pytest.mark.parametrize("client", CLIENTS, ids=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """What an SDK raises: the class, or one of its base classes, by the status of the answer."""

    by_status: Mapping[int, str]
    timeout: str
    broken_off: str


def _classes(*names: str, timeout: str, broken_off: str) -> Classes:
    statuses = (400, 401, 403, 404, 429, 502)
    return Classes(
        by_status=dict(zip(statuses, names if len(names) > 1 else names * len(statuses), strict=True)),
        timeout=timeout,
        broken_off=broken_off,
    )


_OPENAI = _classes(
    "BadRequestError",
    "AuthenticationError",
    "PermissionDeniedError",
    "NotFoundError",
    "RateLimitError",
    "InternalServerError",
    timeout="APITimeoutError",
    broken_off="APIError",
)
_NODE = Classes(by_status=_OPENAI.by_status, timeout="APIConnectionTimeoutError", broken_off="APIError")
_GOOGLE = _classes(*["ClientError"] * 5, "ServerError", timeout="TimeoutException", broken_off="ServerError")

CLASSES: Mapping[str, Classes] = {
    "openai_python": _OPENAI,
    "anthropic_python": _OPENAI,
    "openai_node": _NODE,
    "anthropic_node": _NODE,
    "google_python": _GOOGLE,
    "langchain": _OPENAI,
    "langchain-gemini": _classes(
        "ModelInvalidRequestError",
        "ModelAuthenticationError",
        "ModelPermissionDeniedError",
        "ModelNotFoundError",
        "ModelRateLimitError",
        "ServerError",
        timeout="TimeoutException",
        broken_off="ServerError",
    ),
    # Errors in the middle of a stream are parts of it, as they came.
    "vercel": _classes("APICallError", timeout="DOMException", broken_off="Object"),
    "vercel-gemini": _classes("APICallError", timeout="DOMException", broken_off="APICallError"),
    "litellm": _classes(
        "BadRequestError",
        "AuthenticationError",
        "APIError",
        "NotFoundError",
        "RateLimitError",
        "APIError",
        timeout="Timeout",
        broken_off="MidStreamFallbackError",
    ),
    "pydantic_ai": _classes("ModelHTTPError", timeout="ModelTimeoutError", broken_off="ModelHTTPError"),
}
"""By script, and by client where its dialect makes a difference."""


def classes_of(client: Client) -> Classes:
    return CLASSES.get(str(client)) or CLASSES[client.script]


def raised(scripts: Scripts, gateway: Gateway, client: Client, **asked: Any) -> Raised:
    with pytest.raises(Raised) as caught:
        ask(scripts(client), gateway, client, "chat", **asked)
    return caught.value


def check_class(error: Raised, client: Client, status: int) -> None:
    assert classes_of(client).by_status[status] in error.kinds
    # LangChain's class for Google tells it in its text, and LiteLLM's has one of its own.
    if client.dialect != "gemini":
        assert error.status == status


# ---------------------------------------------------------------- by us


@every_client
def test_a_wrong_key(gateway: Gateway, scripts: Scripts, client: Client) -> None:
    asked: dict[str, Any] = {"model": "sandbox/sandbox", "user": "nobody", "stream": False}
    error = raised(scripts, gateway, client, key="lr_live_" + "0" * 48, **asked)
    check_class(error, client, 401)
    assert "invalid api key" in error.message


@every_client
def test_a_key_of_the_wrong_kind(gateway: Gateway, scripts: Scripts, client: Client) -> None:
    asked: dict[str, Any] = {"model": "sandbox/sandbox", "user": "nobody", "stream": False}
    error = raised(scripts, gateway, client, key=gateway.management, **asked)
    check_class(error, client, 403)
    assert "lr_live_" in error.message


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@every_client
def test_a_model_that_nobody_has(gateway: Gateway, scripts: Scripts, client: Client, stream: bool) -> None:
    user = user_of(client, "nobody", stream)
    error = raised(scripts, gateway, client, model="nobody/gpt-5.4", user=user, stream=stream)
    check_class(error, client, 404)
    assert "nobody/gpt-5.4" in error.message
    [record] = records(gateway, user)
    assert (record["status"], record["http_status"], record["error_code"]) == ("rejected", 404, "model_not_found")


@every_client
def test_a_parameter_that_is_wrong_is_named(gateway: Gateway, scripts: Scripts, client: Client) -> None:
    provider = DEFAULT_PROVIDERS[client.dialect]
    error = raised(scripts, gateway, client, model=f"{provider}/sandbox", user="x" * 1025, stream=False)
    check_class(error, client, 400)
    assert "at most 1024 bytes" in error.message


# ---------------------------------------------------------------- by a provider


@pytest.mark.parametrize(("failure", "status"), [(400, 400), (429, 429), (500, 502)])
@pytest.mark.parametrize("provider", PROVIDERS)
@every_client
def test_a_failure_of_the_provider(
    gateway: Gateway, scripts: Scripts, client: Client, provider: str, failure: int, status: int
) -> None:
    model = f"{provider}/sandbox-error-{failure}"
    user = user_of(client, model)
    error = raised(scripts, gateway, client, model=model, user=user, stream=False)
    check_class(error, client, status)
    assert f"asked to fail with status {failure}" in error.message
    assert "key-of-" not in error.message + error.body
    [record] = records(gateway, user)
    assert (record["status"], record["http_status"]) == ("upstream_error", status)


@pytest.mark.parametrize("trouble", ["cut_after=8", "error_after=8"])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("client", [one for one in CLIENTS if "broken streams" not in one.lacks], ids=str)
def test_a_stream_that_breaks_off_is_an_error_and_not_an_end(
    gateway: Gateway, scripts: Scripts, client: Client, provider: str, trouble: str
) -> None:
    model = f"{provider}/sandbox;{trouble}"
    user = user_of(client, model)
    error = raised(scripts, gateway, client, model=model, user=user, stream=True)
    assert classes_of(client).broken_off in error.kinds
    [record] = records(gateway, user)
    assert (record["status"], record["error_code"]) == ("upstream_error", "upstream_error")


@pytest.mark.parametrize("trouble", ["cut_after=8", "error_after=8"])
def test_where_an_sdk_does_not_see_the_error_its_answer_does_not_end_well(
    gateway: Gateway, scripts: Scripts, trouble: str
) -> None:
    [client] = (one for one in CLIENTS if str(one) == "vercel-chat")
    user = user_of(client, trouble)
    answer = ask(scripts(client), gateway, client, "chat", model=f"openai/sandbox;{trouble}", user=user, stream=True)
    assert answer["finish"] == "other"


@every_client
def test_a_client_that_waits_no_longer(gateway: Gateway, scripts: Scripts, client: Client) -> None:
    """The gateway waits for the answer, and so the record has its usage."""
    model = f"{DEFAULT_PROVIDERS[client.dialect]}/sandbox;ttft_ms=800"
    user = user_of(client, model)
    error = raised(scripts, gateway, client, model=model, user=user, stream=False, timeout_s=0.4)
    assert classes_of(client).timeout in error.kinds
    [record] = awaited_records(gateway, user)
    assert (record["status"], record["usage_source"]) == ("client_disconnect", "provider")
    assert record["completion_tokens"] == 16
