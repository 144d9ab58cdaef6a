"""Attempts in a response header: structured fields that any reader of them takes apart again."""

import re
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.attempt import Attempt
from arouter.wire.attempts_header import attempts_header

MEMBER = re.compile(
    r'"(?P<name>[^"\\]*)"(?:;deployment="(?P<deployment>[^"\\]*)")?(?:;status=(?P<status>\d+))?'
    r'(?:;code="(?P<code>[^"\\]*)")?;ms=(?P<ms>\d+)(?:, |$)'
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        provider=TEXT,
        model=TEXT,
        deployment=st.none() | TEXT,
        http_status=st.none() | st.integers(100, 599),
        error_code=st.none() | TEXT,
        latency_us=st.integers(0, 10**12),
    ),
    max_size=4,
)


def test_it_reads_like_this() -> None:
    attempts = (
        Attempt(
            provider="openai",
            model="gpt-5.4",
            deployment="eu",
            http_status=429,
            error_code="rate_limit_exceeded",
            latency_us=120_999,
        ),
        Attempt(provider="groq", model="ll\u00e4ma", http_status=None, error_code="upstream_timeout", latency_us=0),
        Attempt(provider="groq", model="a/b:c", http_status=200, error_code=None, latency_us=88_000),
    )
    assert attempts_header(attempts) == (
        b'"openai/gpt-5.4";deployment="eu";status=429;code="rate_limit_exceeded";ms=120, '
        b'"groq/ll%C3%A4ma";code="upstream_timeout";ms=0, "groq/a/b:c";status=200;ms=88'
    )


@given(attempts=ATTEMPTS)
def test_everything_can_be_read_back_from_one_line_of_visible_text(attempts: list[Attempt]) -> None:
    header = attempts_header(attempts).decode("ascii")
    assert all(" " <= character <= "~" for character in header)
    found = list(MEMBER.finditer(header))
    assert "".join(member.group() for member in found) == header
    assert len(found) == len(attempts)
    for member, attempt in zip(found, attempts, strict=True):
        told = {name: None if text is None else unquote(text) for name, text in member.groupdict().items()}
        assert told == {
            "name": f"{attempt.provider}/{attempt.model}",
            "deployment": attempt.deployment,
            "status": None if attempt.http_status is None else str(attempt.http_status),
            "code": attempt.error_code,
            "ms": str(attempt.latency_us // 1000),
        }


def test_a_text_that_is_not_unicode_does_no_harm() -> None:
    bad = Attempt(provider="\ud800", model="", http_status=None, error_code=None, latency_us=0)
    assert attempts_header([bad]) == b'"?/";ms=0'
