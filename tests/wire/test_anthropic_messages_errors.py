"""Errors in the form of the Messages API."""

import msgspec
import pytest
from anthropic.types import ErrorResponse

from arouter.domain import errors
from arouter.domain.errors import ARouterError
from arouter.web.errors import type_of
from arouter.wire.anthropic_messages.errors import anthropic_error_body, anthropic_error_type

ALL: list[tuple[ARouterError, str]] = [
    (errors.InvalidRequest("x"), "invalid_request_error"),
    (errors.RequestTooLarge("x"), "request_too_large"),
    (errors.Conflict("x"), "invalid_request_error"),
    (errors.HeadTooLarge("x"), "invalid_request_error"),
    (errors.NotAuthenticated("x"), "authentication_error"),
    (errors.PaymentRequired("x"), "billing_error"),
    (errors.NotPermitted("x"), "permission_error"),
    (errors.NotFound("x"), "not_found_error"),
    (errors.RateLimited("x"), "rate_limit_error"),
    (errors.UpstreamFailed("x"), "api_error"),
    (errors.UpstreamFailed("x", upstream_status=429), "rate_limit_error"),
    (errors.UpstreamFailed("x", upstream_status=529, code="overloaded_error"), "overloaded_error"),
    (errors.UpstreamFailed("x", upstream_status=401, code="authentication_error"), "api_error"),
    (errors.UpstreamTimeout("x"), "timeout_error"),
    (errors.UpstreamBusy("x"), "overloaded_error"),
    (errors.NoProvider("x"), "api_error"),
    (errors.StorageUnavailable("x"), "overloaded_error"),
    (errors.NotInstalled("x"), "api_error"),
    (errors.ShuttingDown("x"), "overloaded_error"),
    (errors.InternalError("x"), "api_error"),
]


@pytest.mark.parametrize(
    ("error", "word"), ALL, ids=lambda told: told if isinstance(told, str) else type(told).__name__
)
def test_every_error_has_anthropics_word(error: ARouterError, word: str) -> None:
    assert anthropic_error_type(type_of(error), error.code) == word


def test_the_list_above_has_every_error() -> None:
    known = {type(error) for error, _ in ALL}
    found = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ARouterError)}
    assert found - known == {ARouterError}


def test_the_body_keeps_what_we_know_and_not_what_the_operator_may_see() -> None:
    error = errors.PaymentRequired("Spent.", param="model", metadata={"limit_usd": 5}, detail="secret")
    body = anthropic_error_body(error, "payment_required")
    assert msgspec.json.decode(body) == {
        "type": "error",
        "error": {
            "type": "billing_error",
            "message": "Spent.",
            "param": "model",
            "code": "insufficient_credits",
            "metadata": {"limit_usd": 5},
        },
    }
    assert ErrorResponse.model_validate_json(body).error.message == "Spent."
