"""The sandbox as a process: `python -m tests.faults.sandbox_launcher`; its URL is the first line it writes."""

import asyncio
import sys

import uvloop

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import start_sandbox


async def main() -> None:
    sandbox = await start_sandbox("127.0.0.1", 0, Behaviour(), random=None)
    sys.stdout.write(sandbox.url + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
