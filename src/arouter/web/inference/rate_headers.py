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

from arouter.engine.call import RateTold


def rate_headers(rates: Sequence[RateTold]) -> list[tuple[bytes, bytes]]:
    """The fields for rates of different meters; at least one."""
    first = rates[0]
    headers = [
        (b"x-ratelimit-limit", b"%d" % first.limit),
        (b"x-ratelimit-remaining", b"%d" % first.remaining),
        (b"x-ratelimit-reset", b"%d" % (first.resets_at_us // 1000)),
    ]
    policies, standings = [], []
    for rate in rates:
        meter = rate.meter.value.encode()
        headers += (
            (b"x-ratelimit-limit-" + meter, b"%d" % rate.limit),
            (b"x-ratelimit-remaining-" + meter, b"%d" % rate.remaining),
            (b"x-ratelimit-reset-" + meter, _duration(rate.reset_s)),
        )
        name = rate.name.replace("_", "-").encode()
        policies.append(b'"%b";q=%d;w=%d' % (name, rate.limit, rate.window_s))
        standings.append(b'"%b";r=%d;t=%d' % (name, rate.remaining, rate.reset_s))
    headers += ((b"ratelimit-policy", b", ".join(policies)), (b"ratelimit", b", ".join(standings)))
    return headers


def _duration(seconds: int) -> bytes:
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, left)
    return b"%dm%ds" % (minutes, left) if minutes else b"%ds" % left
