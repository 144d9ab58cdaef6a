"""A gateway as a process: `python -m tests.faults.launcher FILE`; `FILE` is a TOML file of settings.

Once it answers, one line of JSON on standard output says where, which keys were made, and how many requests an
earlier process had left open.
"""

import json
import sys
from pathlib import Path

from arouter.settings import load
from arouter.wiring.gateway import Gateway
from arouter.wiring.server import serve


def _tell(gateway: Gateway, url: str) -> None:
    keys = gateway.first_keys
    told = {
        "url": url,
        "live": keys.live if keys is not None else None,
        "management": keys.management if keys is not None else None,
        "interrupted": gateway.interrupted,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> int:
    """The exit code of the process."""
    return 0 if serve(load(Path(sys.argv[1]), environment={}), on_ready=_tell) else 1


if __name__ == "__main__":
    sys.exit(main())
