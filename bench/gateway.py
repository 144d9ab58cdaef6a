"""The gateway as it is served, with everything on: key look-up, prices, durable records.

Run as `python -m bench.gateway --upstream URL --tls-upstream URL --folder DIR`; prints its URL and its keys as a line
of JSON. `--keys` makes so many live keys besides the first.
"""

import argparse
import asyncio
import json
from pathlib import Path

from arouter.domain.keys import KeyKind
from arouter.engine.clock import SystemClock
from arouter.settings import Dollars, Log, Price, Provider, Secret, Server, Settings, Storage
from arouter.wiring.gateway import Gateway
from arouter.wiring.server import serve
from arouter.wiring.storage import find_home, make_key, open_store


def settings_for(options: argparse.Namespace) -> Settings:
    """A fresh database, and the real vendors, prices included, at the benchmark's upstream."""
    key = Secret("bench")
    return Settings(
        server=Server(port=0, workers=options.workers),
        storage=Storage(durability=options.durability),
        log=Log(level="error"),
        providers={
            "openai": Provider(api_key=key, base_url=f"{options.upstream}/v1"),
            "anthropic": Provider(api_key=key, base_url=options.upstream),
            "google": Provider(api_key=key, base_url=options.upstream),
            # Another one in OpenAI's dialect.
            "azure": Provider(api_key=key, base_url=f"{options.tls_upstream}/v1"),
            "sandbox": Provider(enabled=False),
        },
        prices={"azure/gpt-4o-mini": Price(input=Dollars("0.15"), output=Dollars("0.6"))},
        directory=options.folder,
    )


async def make_keys(settings: Settings, number: int) -> list[str]:
    """So many live keys more, in a database that is there."""
    clock = SystemClock()
    store = open_store(settings, clock=clock)
    await store.start()
    home = await find_home(store, clock)
    plaintexts = []
    for at in range(number):
        key, plaintext = make_key(home, KeyKind.LIVE, f"bench {at}", now_us=clock.now_us())
        await store.directory.add_key(key, secret=key.hash)
        plaintexts.append(plaintext)
    management, management_plaintext = make_key(home, KeyKind.MANAGEMENT, "bench", now_us=clock.now_us())
    await store.directory.add_key(management, secret=management.hash)
    await store.close()
    return [*plaintexts, management_plaintext]


def main(options: argparse.Namespace) -> None:
    settings = settings_for(options)
    *live, management = asyncio.run(make_keys(settings, options.keys))

    def tell(_: Gateway, url: str) -> None:
        print(json.dumps({"url": url, "live": live, "management": management}), flush=True)

    serve(settings, on_ready=tell)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--tls-upstream", default="https://127.0.0.1:1")
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--durability", default="strict", choices=("strict", "relaxed"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keys", type=int, default=1)
    main(parser.parse_args())
