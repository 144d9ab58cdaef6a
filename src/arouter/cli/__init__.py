"""The command line."""

from arouter.settings import load
from arouter.wiring.server import serve


def main() -> None:
    """A start."""
    serve(
        load(),
        on_ready=lambda gateway, url: (
            __import__("sys").stderr.write(f"{url} {gateway.first_keys} {gateway.providers}\n") and None
        ),
    )
