"""Errors on HTTP: the table of the contract, and nothing beside it."""

import math

import pytest

from arouter.domain import errors
from arouter.domain.errors import ARouterError, RateLimited, UpstreamFailed, UpstreamTimeout
from arouter.web.errors import retry_after_s, status_and_type, status_of, type_of

TABLE = {
    errors.InvalidRequest: (400, "invalid_request_error"),
    errors.RequestTooLarge: (413, "invalid_request_error"),
    errors.Conflict: (409, "invalid_request_error"),
    errors.HeadTooLarge: (431, "invalid_request_error"),
    errors.NotAuthenticated: (401, "authentication_error"),
    errors.PaymentRequired: (402, "payment_required"),
    errors.NotPermitted: (403, "permission_error"),
    errors.NotFound: (404, "not_found_error"),
    errors.RateLimited: (429, "rate_limit_error"),
    errors.UpstreamFailed: (502, "server_error"),
    errors.UpstreamTimeout: (504, "server_error"),
    errors.UpstreamBusy: (503, "server_error"),
    errors.NoProvider: (503, "server_error"),
    errors.StorageUnavailable: (503, "server_error"),
    errors.NotInstalled: (501, "server_error"),
    errors.ShuttingDown: (503, "server_error"),
    errors.InternalError: (500, "server_error"),
}


def _tree(kind: type[ARouterError]) -> set[type[ARouterError]]:
    below = {one for one in kind.__subclasses__() if one.__module__ == errors.__name__}
    return below.union(*map(_tree, below))


def test_every_error_of_the_tree_is_in_the_table() -> None:
    assert _tree(ARouterError) == set(TABLE)


@pytest.mark.parametrize(("kind", "words"), TABLE.items())
def test_each_has_its_status_and_type(kind: type[ARouterError], words: tuple[int, str]) -> None:
    assert status_and_type(kind("x")) == words == (status_of(kind("x")), type_of(kind("x")))


def test_an_error_of_a_kind_that_nobody_listed_has_that_of_its_parent() -> None:
    class Odd(errors.NotFound):
        pass

    class Unknown(ARouterError):
        pass

    assert status_and_type(Odd("x")) == (404, "not_found_error")
    assert status_and_type(Unknown("x")) == (500, "server_error")


@pytest.mark.parametrize(
    ("status", "client_fault", "told"),
    [
        (400, True, (400, "invalid_request_error")),
        (404, True, (404, "not_found_error")),
        (413, True, (413, "invalid_request_error")),
        (422, True, (422, "invalid_request_error")),
        (429, False, (429, "rate_limit_error")),
        (400, False, (502, "server_error")),
        (401, False, (502, "server_error")),
        (500, False, (502, "server_error")),
        (200, False, (502, "server_error")),
        (None, True, (502, "server_error")),
    ],
)
def test_what_the_client_can_mend_keeps_the_providers_status(
    status: int | None, client_fault: bool, told: tuple[int, str]
) -> None:
    assert status_and_type(UpstreamFailed("x", upstream_status=status, client_fault=client_fault)) == told


def test_waiting_is_told_in_whole_seconds_rounded_up() -> None:
    for said, told in ((None, None), (0.0, 0), (0.001, 1), (1.0, 1), (59.2, 60), (-3.0, 0)):
        assert retry_after_s(RateLimited("x", retry_after_s=said)) == told
        failed = UpstreamTimeout("x")
        failed.retry_after_s = said
        assert retry_after_s(failed) == told
    assert retry_after_s(errors.NotFound("x")) is None
    assert math.isfinite(retry_after_s(RateLimited("x", retry_after_s=999_999_999.0)) or 0)
