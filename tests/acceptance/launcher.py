"""The gateway as a process of its own, without the command line: `python -m tests.acceptance.launcher FILE`.

`FILE` is a TOML file of settings; nothing else is read from the environment. Once the gateway answers, one line of
JSON on standard output says where, and which keys were made for the new database.
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
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(0 if serve(load(Path(sys.argv[1]), environment={}), on_ready=_tell) else 1)
