"""A gateway as a process: `python -m tests.faults.launcher FILE`; `FILE` is a TOML file of settings.

Once it answers, one line of JSON on standard output says where, which keys were made, and how many requests an
earlier process had left open. With `server.workers` above 1 the process is the supervisor.
"""

import json
import sys
from functools import partial
from pathlib import Path

from arouter.settings import load
from arouter.wiring.started import Started
from arouter.wiring.workers import run


def tell(started: Started) -> None:
    """The line."""
    keys = started.first_keys
    told = {
        "url": started.url,
        "live": keys.live if keys is not None else None,
        "management": keys.management if keys is not None else None,
        "interrupted": started.interrupted,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> int:
    """The exit code of the process."""
    read = partial(load, Path(sys.argv[1]), environment={})
    return 0 if run(read(), on_ready=tell, reload=read) else 1


if __name__ == "__main__":
    sys.exit(main())
