"""Attempts as the value of a response header: a list of structured fields (RFC 9651), one member for each.

    "openai/gpt-5.4";deployment="eu";status=429;code="rate_limit_exceeded";ms=120, "groq/llama";status=200;ms=88

`status` is missing where the provider gave no answer, `code` for the attempt that answered. What a string cannot hold
is percent-encoded.
"""

import string
from collections.abc import Iterable
from urllib.parse import quote

from arouter.domain.attempt import Attempt

_PLAIN = "".join(sorted({*string.ascii_letters, *string.digits, *string.punctuation, " "} - {*'"\\%'}))
_MICROSECONDS = 1000


def attempts_header(attempts: Iterable[Attempt]) -> bytes:
    """In their order."""
    return ", ".join(_member(attempt) for attempt in attempts).encode("ascii")


def _member(attempt: Attempt) -> str:
    parts = [_text(f"{attempt.provider}/{attempt.model}")]
    if attempt.deployment is not None:
        parts.append(f"deployment={_text(attempt.deployment)}")
    if attempt.http_status is not None:
        parts.append(f"status={attempt.http_status}")
    if attempt.error_code is not None:
        parts.append(f"code={_text(attempt.error_code)}")
    parts.append(f"ms={attempt.latency_us // _MICROSECONDS}")
    return ";".join(parts)


def _text(text: str) -> str:
    return f'"{quote(text, safe=_PLAIN, errors="replace")}"'
