"""Real processes with a journal, killed while their storage is away."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from arouter.domain.record import Status
from tests.store.journal.unsteady import Process, new_store, unsteady

WORK = """
import asyncio, itertools, sys
from pathlib import Path
from tests.conformance.samples import opening, record
from tests.store.journal.unsteady import Process, Weather, new_store, unsteady

async def work(ledger, name):
    for number in itertools.count():
        each = record(f"gen-{name}-{number:06}")
        ledger.open(each.opening)
        await asyncio.sleep(0.001)
        await ledger.close(each)
        print(each.opening.id, flush=True)

async def main(folder, name):
    process = Process(Path(folder), unsteady(new_store()))
    await process.start()
    process.ledger.open(opening(f"gen-{name}-early"))
    process.inner.weather = Weather.REFUSED
    process.ledger.open(opening(f"gen-{name}-late"))
    await asyncio.sleep(0.1)
    await asyncio.gather(*(work(process.ledger, f"{name}{writer}") for writer in range(24)))

asyncio.run(main(*sys.argv[1:]))
"""


def killed_at_work(folder: Path, name: str) -> list[str]:
    """The ids of the records that a process was told are durable before it was killed."""
    output = folder / f"{name}.out"
    with output.open("wb") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-c", WORK, str(folder / "journals"), name], stdout=stdout, env=os.environ
        )
    end = time.monotonic() + 30
    while output.read_bytes().count(b"\n") < 50:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(random.uniform(0.0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    return output.read_text().split("\n")[:-1]


def test_what_a_killed_process_was_told_is_durable_is_delivered_once_by_the_next(tmp_path: Path) -> None:
    names = [f"victim{number}" for number in range(2)]
    acknowledged = [one for name in names for one in killed_at_work(tmp_path, name)]

    async def deliver() -> None:
        after = Process(tmp_path / "journals", unsteady(new_store()))
        await after.start()
        interrupted = await after.ledger.recover(now_us=9)
        there = after.inner.records()
        by_status = {status: {name for name, one in there.items() if one.status is status} for status in Status}
        assert set(acknowledged) <= by_status[Status.SUCCESS]
        assert {f"gen-{name}-{when}" for name in names for when in ("early", "late")} <= by_status[Status.INTERRUPTED]
        assert len(by_status[Status.INTERRUPTED]) == interrupted
        assert len(after.inner.given) == len(there), "each was given once"
        await after.stop()

    asyncio.run(deliver())
    assert not list((tmp_path / "journals").glob("journal-*"))
