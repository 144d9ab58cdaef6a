"""The error body."""

import msgspec

from arouter.domain.errors import InvalidRequest, PaymentRequired
from arouter.wire.errors import error_body


def test_an_error_is_told_in_five_fields() -> None:
    error = InvalidRequest("model is required.", code="missing_required_parameter", param="model", detail="secret")
    assert error_body(error, "invalid_request_error") == (
        b'{"error":{"message":"model is required.","type":"invalid_request_error","param":"model",'
        b'"code":"missing_required_parameter","metadata":{}}}'
    )


def test_the_metadata_goes_along_and_the_code_is_a_string() -> None:
    error = PaymentRequired("Spent.", metadata={"limit_usd": 50, "resets_at": None})
    told = msgspec.json.decode(error_body(error, "payment_required"))["error"]
    assert told["code"] == "insufficient_credits"
    assert told["metadata"] == {"limit_usd": 50, "resets_at": None}
    assert told["param"] is None
