"""Codes of an app: RFC 6238's own examples, a step to each side, and each step once."""

import base64

import pytest

from arouter.engine.totp import SECRET_BYTES, enrolment_uri, matching_step, new_secret

SECRET = base64.b32encode(b"12345678901234567890").decode()
S = 1_000_000


@pytest.mark.parametrize(
    ("at_s", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130")],
)
def test_the_examples_of_the_standard(at_s: int, code: str) -> None:
    assert matching_step(SECRET, code, at_s * S, after=0) == at_s // 30


def test_the_neighbouring_steps_count_and_no_other() -> None:
    at_us = 1_234_567_890 * S
    offsets = {
        offset: matching_step(SECRET, "005924", at_us + offset * 30 * S, after=0) is not None
        for offset in (-2, -1, 0, 1, 2)
    }
    assert offsets == {-2: False, -1: True, 0: True, 1: True, 2: False}


def test_a_step_that_was_used_is_over() -> None:
    at_us = 1_234_567_890 * S
    step = at_us // (30 * S)
    assert matching_step(SECRET, "005924", at_us, after=step) is None
    assert matching_step(SECRET, "005924", at_us, after=step - 1) == step


@pytest.mark.parametrize("code", ["", "5924", "0059240", "００５９２４", "\udcff", "abcdef"])
def test_what_is_no_code_is_wrong(code: str) -> None:
    assert matching_step(SECRET, code, 1_234_567_890 * S, after=0) is None


def test_a_secret_and_what_an_app_reads() -> None:
    secret = new_secret(bytes(range(SECRET_BYTES)))
    assert len(base64.b32decode(secret)) == SECRET_BYTES
    assert enrolment_uri(secret, "ada@example.com") == (
        f"otpauth://totp/ARouter:ada%40example.com?secret={secret}&issuer=ARouter"
    )
