"""What the headers of answers tell of rates while two gateways on one database answer many requests at once."""

import asyncio
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from arouter.domain.keys import digest
from tests.faults.budgets import manage
from tests.faults.client import Heard, ask
from tests.faults.processes import Gateway, place, sandbox_at, sandbox_process
from tests.faults.shifted_launcher import set_clock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="clocks are moved by a mapped file")

BEGIN = datetime(2027, 3, 1, 12, 0, 5, tzinfo=UTC)
"""Early in a minute, so that it does not end meanwhile."""
END_S = int(BEGIN.timestamp()) + 55
ALLOWED = 150
EACH = 60
MODEL = "openai/sandbox?tokens=10&token_ms=20"
KNOWN_AFTER_S = 2.0
"""What others took is known after a third of a second; a busy machine takes longer."""


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Gateway]]:
    folder = tmp_path_factory.mktemp("headers")
    set_clock(folder, int(BEGIN.timestamp() * 1_000_000))
    with (
        sandbox_process() as sandbox,
        place(folder, sandbox_at(sandbox), module="tests.faults.shifted_launcher") as home,
    ):
        pair = home.start(), home.start()
        path = f"/v1/keys/{digest(pair[0].live)}"
        manage(pair[0], "PATCH", path, {"rate_limit": {"requests_per_minute": ALLOWED, "tokens_per_day": 10**7}})
        asyncio.run(asyncio.sleep(1))  # It holds everywhere within a second.
        yield pair


async def one(gateway: Gateway, number: int) -> Heard:
    return await ask(gateway.url, gateway.live, MODEL, stream=number % 2 == 0, user=f"u{number % 7}", max_tokens=10)


def remaining(heard: Heard) -> int:
    return int(heard.headers["x-ratelimit-remaining-requests"])


def test_under_load_no_answer_tells_more_than_was_left_a_moment_before(gateways: tuple[Gateway, Gateway]) -> None:
    async def ask_all() -> list[Heard]:
        asking = []
        for number in range(EACH):
            asking += [asyncio.ensure_future(one(gateway, number)) for gateway in gateways]
            await asyncio.sleep(0.08)
        return list(await asyncio.gather(*asking))

    heard = asyncio.run(ask_all())
    assert all(past.success for past in heard)
    for past in heard:
        assert past.head_at_s is not None
        known = sum(other.head_at_s is not None and other.head_at_s < past.head_at_s - KNOWN_AFTER_S for other in heard)
        assert 0 <= remaining(past) <= ALLOWED - 1 - known
        assert past.headers["x-ratelimit-remaining"] == past.headers["x-ratelimit-remaining-requests"]
        assert past.headers["x-ratelimit-limit"] == past.headers["x-ratelimit-limit-requests"] == str(ALLOWED)
        assert past.headers["x-ratelimit-reset"] == str(END_S * 1000)
        assert (
            past.headers["ratelimit-policy"]
            == f'"requests-per-minute";q={ALLOWED};w=60, "tokens-per-day";q=10000000;w=86400'
        )
        told = re.fullmatch(
            r'"requests-per-minute";r=(\d+);t=(\d+), "tokens-per-day";r=\d+;t=\d+', past.headers["ratelimit"]
        )
        assert told is not None
        assert int(told[1]) == remaining(past)
        assert 0 < int(told[2]) <= 55
        assert past.headers["x-ratelimit-reset-requests"] == f"{told[2]}s"
        assert 0 <= int(past.headers["x-ratelimit-remaining-tokens"]) < 10**7

    # What nobody uses is given back when somebody looks; then each tells exactly what is left.
    for asked, gateway in enumerate(gateways, 2 * EACH + 1):
        figures = manage(gateway, "GET", f"/v1/guardrails/explain?api_key_hash={digest(gateway.live)}")["limits"]
        assert {figure["held"] for figure in figures} == {0}
        assert remaining(asyncio.run(one(gateway, 0))) == ALLOWED - asked

    # And nobody is told more than nothing who is refused, nor refused before nothing is left.
    async def ask_the_rest() -> list[Heard]:
        return list(await asyncio.gather(*(one(gateway, 0) for gateway in gateways for _ in range(ALLOWED // 4))))

    heard += asyncio.run(ask_the_rest())
    refused = [past for past in heard if not past.success]
    assert len(heard) - len(refused) == ALLOWED - 2
    assert {past.status for past in refused} == {429}
    for past in refused:
        assert remaining(past) == 0
        assert 0 < int(past.headers["retry-after"]) <= 55
