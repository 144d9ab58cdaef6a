"""A gateway that is killed in the middle of its work, again and again, and what its ledger says then.

The short run is part of `make test`; `make test-faults` kills more often (`AROUTER_FAULTS_KILLS`) and prints figures.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from arouter.domain.record import Record
from tests.faults.client import Heard, ask
from tests.faults.ledgers import contents
from tests.faults.processes import Gateway, Place, place, sandbox_at, sandbox_process

CLIENTS = 48
KILLS = int(os.environ.get("AROUTER_FAULTS_KILLS", "3"))
SEEN_S = 1.0
"""A request whose answer began so long before the kill must have left a trace: its intent was on disk by then."""
WITHOUT_SUCCESS = {"client_disconnect", "upstream_error", "interrupted"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with sandbox_process() as url:
        yield url


@dataclass
class Tally:
    """What the clients heard, over all kills."""

    requests: int = 0
    whole: dict[str, Heard] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    """Ids of answers that began long before a kill and were not whole."""


def a_model(chance: random.Random) -> str:
    """All three dialects; some answers are over at once, others take more than a second."""
    provider = chance.choice(("openai", "anthropic", "google"))
    tokens, token_ms = chance.choice(((3, 0), (12, 2), (25, 10), (60, 30)))
    return f"{provider}/sandbox?tokens={tokens}&token_ms={token_ms}&cached_tokens=2"


async def client(gateway: Gateway, chance: random.Random, heard: list[Heard]) -> None:
    """Asks one thing after the other until nobody is there any more. Now and then it leaves early."""
    while True:
        stream = chance.random() < 0.6
        leave_after = chance.randrange(1, 10) if stream and chance.random() < 0.1 else None
        answer = await ask(
            gateway.url,
            gateway.live,
            a_model(chance),
            stream=stream,
            user=f"user {chance.randrange(20)}",
            leave_after=leave_after,
        )
        if answer.refused:
            return
        heard.append(answer)


async def one_life(gateway: Gateway, chance: random.Random, tally: Tally) -> None:
    """48 clients ask until the gateway is killed, at a random moment."""
    heard: list[Heard] = []
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client(gateway, chance, heard))
        await asyncio.sleep(chance.uniform(0.8, 2.5))
        killed_at_s = loop.time()
        gateway.process.send_signal(signal.SIGKILL)
    gateway.process.wait()
    tally.requests += len(heard)
    for answer in heard:
        if answer.whole:
            assert answer.status == 200, answer.body
            assert answer.id is not None
            assert answer.id not in tally.whole
            tally.whole[answer.id] = answer
        elif answer.head_at_s is not None and answer.head_at_s < killed_at_s - SEEN_S:
            assert answer.id is not None
            tally.seen.add(answer.id)


def check_whole(answer: Heard, record: Record) -> None:
    """The record of a whole answer says what the provider said, as the client heard it."""
    usage = answer.usage
    assert usage is not None
    assert (record.status, record.http_status, record.error_code) == ("success", 200, None)
    assert record.usage_source == "provider"
    assert record.usage.prompt_tokens == usage["prompt_tokens"]
    assert record.usage.completion_tokens == usage["completion_tokens"]
    assert record.usage.cached_tokens == usage["prompt_tokens_details"]["cached_tokens"]


def check_ledger(home: Place, tally: Tally, interrupted: int) -> Counter[str]:
    """The records by status, if the ledger has one for every whole answer and nothing that cannot be."""
    found = contents(home.folder / "arouter.db")
    assert (found.report.problems, found.report.open_records) == ((), 0)
    records = found.by_id()
    lost = tally.whole.keys() - records.keys()
    assert not lost
    for record_id, answer in tally.whole.items():
        check_whole(answer, records[record_id])
    assert not tally.seen - records.keys()
    statuses = Counter(str(record.status) for record in found.records)
    assert set(statuses) <= WITHOUT_SUCCESS | {"success"}
    assert statuses["interrupted"] == interrupted
    assert len(records) <= tally.requests
    return statuses


@pytest.mark.slow
@pytest.mark.timeout(120 + 15 * KILLS)
def test_no_record_is_lost_or_doubled_however_often_the_process_is_killed(sandbox: str, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    tally = Tally()
    interrupted = 0
    with place(tmp_path, sandbox_at(sandbox)) as home:
        for _ in range(KILLS):
            gateway = home.start()
            interrupted += gateway.interrupted
            asyncio.run(one_life(gateway, chance, tally))
        last = home.start()
        interrupted += last.interrupted
        last.terminate()
        assert last.exit_code() == 0
        again = home.start()
        assert again.interrupted == 0
        again.terminate()
        assert again.exit_code() == 0
        statuses = check_ledger(home, tally, interrupted)
    assert interrupted > 0
    assert len(tally.whole) > 10 * KILLS
    figures = {
        "seed": seed,
        "kills": KILLS,
        "clients": CLIENTS,
        "requests": tally.requests,
        "whole answers": len(tally.whole),
        "broken off, told as such": len(tally.seen),
        "records": dict(sorted(statuses.items())),
        "recovered": interrupted,
        "lost": 0,
        "doubled": 0,
    }
    sys.stdout.write("".join(f"{name:>26}  {figure}\n" for name, figure in figures.items()))
