"""A process that sets databases up as a gateway does at its start: `python -m tests.faults.first_start`.

Each line of its input is the URL of a database; for each it answers with one line of JSON: which keys it made, and the
organization that it found.
"""

import asyncio
import json
import sys

from arouter.engine.clock import SystemClock
from arouter.settings import Settings, Storage
from arouter.wiring.storage import find_home, first_keys, open_store


async def set_up(url: str) -> dict[str, str | None]:
    """What a start does before anything else."""
    clock = SystemClock()
    store = open_store(Settings(storage=Storage(url=url)), clock=clock)
    await store.start()
    try:
        home = await find_home(store, clock)
        made = await first_keys(store, home, clock)
    finally:
        await store.close()
    return {"organization_id": home.organization_id, "live": None if made is None else made.live}


def tell(answer: dict[str, str | None]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Until the input ends. The first answer says that it is there."""
    tell({})
    for line in sys.stdin:
        tell(asyncio.run(set_up(line.strip())))


if __name__ == "__main__":
    main()
