"""The gateway as it is served, with everything on: key look-up, prices, strict durable records.

Run as `python -m bench.gateway --upstream URL --folder DIR`; prints its URL and its first keys as a line of JSON.
"""

import argparse
import json
from pathlib import Path

from arouter.settings import Log, Provider, Secret, Server, Settings, Storage
from arouter.wiring.gateway import Gateway
from arouter.wiring.server import serve


def settings_for(upstream: str, folder: Path, durability: str) -> Settings:
    """A fresh database in `folder`, and the real OpenAI vendor, prices included, at the benchmark's upstream."""
    return Settings(
        server=Server(port=0),
        storage=Storage(durability="relaxed" if durability == "relaxed" else "strict"),
        log=Log(level="error"),
        providers={
            "openai": Provider(api_key=Secret("bench"), base_url=f"{upstream}/v1"),
            "sandbox": Provider(enabled=False),
        },
        directory=folder,
    )


def _tell(gateway: Gateway, url: str) -> None:
    assert gateway.first_keys is not None
    told = {"url": url, "live": gateway.first_keys.live, "management": gateway.first_keys.management}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--durability", default="strict", choices=("strict", "relaxed"))
    options = parser.parse_args()
    serve(settings_for(options.upstream, options.folder, options.durability), on_ready=_tell)
