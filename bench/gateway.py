"""The gateway as it is served, with everything on: a configuration file, a database with keys, then `arouter serve`.

Run as `python -m bench.gateway --upstream URL --folder DIR`. Prints two lines of JSON: the keys that it made, and what
`arouter serve --json` says when it is ready. From the second on this process is `arouter serve` and nothing else.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from arouter.domain.keys import KeyKind
from arouter.engine.clock import SystemClock
from arouter.settings import Settings, load
from arouter.wiring.storage import find_home, make_key, open_store

_CONFIGURATION = """
[server]
port = 0
workers = {workers}

[storage]
durability = "{durability}"

[log]
level = "error"

[providers.openai]
api_key = "bench"
base_url = "{upstream}/v1"

[providers.anthropic]
api_key = "bench"
base_url = "{upstream}"

[providers.google]
api_key = "bench"
base_url = "{upstream}"

# Another one in OpenAI's dialect.
[providers.azure]
api_key = "bench"
base_url = "{tls_upstream}/v1"

[prices."azure/gpt-4o-mini"]
input = "0.15"
output = "0.6"

[providers.sandbox]
enabled = false
"""


async def make_keys(settings: Settings, number: int) -> dict[str, object]:
    """So many live keys and a management key, in a fresh database."""
    clock = SystemClock()
    store = open_store(settings, clock=clock)
    await store.start()
    home = await find_home(store, clock)
    plaintexts = []
    for kind in (*(KeyKind.LIVE for _ in range(number)), KeyKind.MANAGEMENT):
        key, plaintext = make_key(home, kind, "bench", now_us=clock.now_us())
        await store.directory.add_key(key, secret=key.hash)
        plaintexts.append(plaintext)
    await store.close()
    return {"live": plaintexts[:-1], "management": plaintexts[-1]}


def main(options: argparse.Namespace) -> None:
    """Does not return."""
    file = options.folder / "arouter.toml"
    file.write_text(_CONFIGURATION.format(**vars(options)), encoding="utf-8")
    keys = asyncio.run(make_keys(load(file, environment={}), options.keys))
    print(json.dumps(keys), flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "arouter", "serve", "--json", "--config", str(file)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--tls-upstream", default="https://127.0.0.1:1")
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--durability", default="strict", choices=("strict", "relaxed"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keys", type=int, default=1)
    main(parser.parse_args())
