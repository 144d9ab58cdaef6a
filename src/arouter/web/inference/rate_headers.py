"""How rates stand, in the headers of an answer: as OpenAI's and OpenRouter's clients read it, and as the IETF's draft
has it (https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).

    x-ratelimit-limit-requests: 60            the same for tokens
    x-ratelimit-remaining-requests: 59
    x-ratelimit-reset-requests: 6m0s          as Go writes durations
    x-ratelimit-limit, -remaining, -reset     of the requests, else of the tokens; the reset as Unix milliseconds
    ratelimit-policy: "requests-per-minute";q=60;w=60
    ratelimit: "requests-per-minute";r=59;t=12
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from arouter.engine.call import RateTold

_MOST_KNOWN: Final = 1000

_FIRST = b"x-ratelimit-limit: %d\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n"
_ALL = b"ratelimit-policy: %b\r\nratelimit: %b\r\n"


@lru_cache(_MOST_KNOWN)
def _words(name: str, limit: int, window_s: int) -> tuple[bytes, bytes, bytes]:
    """What is always the same of a rate: lines to be filled in, its policy, its standing to be filled in."""
    meter = name.partition("_")[0]
    lines = (
        f"x-ratelimit-limit-{meter}: {limit}\r\nx-ratelimit-remaining-{meter}: %d\r\nx-ratelimit-reset-{meter}: %b\r\n"
    )
    told = name.replace("_", "-")
    return lines.encode(), f'"{told}";q={limit};w={window_s}'.encode(), f'"{told}";r=%d;t=%d'.encode()


def rate_lines(rates: Sequence[RateTold]) -> bytes:
    """The lines of a head for rates of different meters; at least one."""
    first = rates[0]
    head = _FIRST % (first.limit, first.remaining, first.resets_at_us // 1000)
    policies, standings = [], []
    for rate in rates:
        remaining, reset_s = rate.remaining, rate.reset_s
        lines, policy, standing = _words(rate.name, rate.limit, rate.window_s)
        head += lines % (remaining, _duration(reset_s))
        policies.append(policy)
        standings.append(standing % (remaining, reset_s))
    return head + _ALL % (b", ".join(policies), b", ".join(standings))


def rate_headers(lines: bytes) -> list[tuple[bytes, bytes]]:
    """The same as pairs of names and values."""
    pairs = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, told) for name, _, told in pairs]


def _duration(seconds: int) -> bytes:
    if seconds < 60:
        return b"%ds" % seconds
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return b"%dh%dm%ds" % (hours, minutes, left) if hours else b"%dm%ds" % (minutes, left)
