"""How rates stand, in the headers: both families, as their clients read them."""

import pytest

from arouter.domain.counters import Meter
from arouter.engine.call import RateTold
from arouter.web.inference.rate_headers import rate_headers, rate_lines

REQUESTS = RateTold(
    meter=Meter.REQUESTS,
    name="requests_per_minute",
    limit=60,
    remaining=59,
    window_s=60,
    resets_at_us=1_790_000_060_000_000,
    reset_s=12,
)
TOKENS = RateTold(
    meter=Meter.TOKENS,
    name="tokens_per_day",
    limit=100_000,
    remaining=0,
    window_s=86_400,
    resets_at_us=1_790_000_120_000_000,
    reset_s=3_725,
)


def test_requests_and_tokens_side_by_side() -> None:
    assert dict(rate_headers(rate_lines((REQUESTS, TOKENS)))) == {
        b"x-ratelimit-limit": b"60",
        b"x-ratelimit-remaining": b"59",
        b"x-ratelimit-reset": b"1790000060000",
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"59",
        b"x-ratelimit-reset-requests": b"12s",
        b"x-ratelimit-limit-tokens": b"100000",
        b"x-ratelimit-remaining-tokens": b"0",
        b"x-ratelimit-reset-tokens": b"1h2m5s",
        b"ratelimit-policy": b'"requests-per-minute";q=60;w=60, "tokens-per-day";q=100000;w=86400',
        b"ratelimit": b'"requests-per-minute";r=59;t=12, "tokens-per-day";r=0;t=3725',
    }


def test_one_alone_is_the_first() -> None:
    told = dict(rate_headers(rate_lines((TOKENS,))))
    assert told[b"x-ratelimit-limit"] == b"100000"
    assert b"x-ratelimit-limit-requests" not in told


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, b"0s"), (59, b"59s"), (60, b"1m0s"), (360, b"6m0s"), (86_400, b"24h0m0s")]
)
def test_durations_are_as_go_writes_them(seconds: int, text: bytes) -> None:
    one = RateTold(**{**{name: getattr(REQUESTS, name) for name in REQUESTS.__slots__}, "reset_s": seconds})
    assert dict(rate_headers(rate_lines((one,))))[b"x-ratelimit-reset-requests"] == text
