"""What is measured: each case is one row."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Upstream = Literal["openai", "tls", "anthropic", "gemini"]
"""Who answers: the same address in one of three dialects, or in OpenAI's over TLS."""

JSON_AT_ONCE = 32
PACE_US = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of request, asked over and over."""

    name: str
    what: str
    """A line for the table."""
    at_once: int = JSON_AT_ONCE
    """Connections, each of which asks again as soon as it is answered."""
    unit: Literal["request", "chunk"] = "request"
    """What the CPU time is divided by."""
    upstream: Upstream = "openai"
    prompt_bytes: int = 120
    chunks: int = 0
    """Content chunks of a stream; 0 for a JSON answer."""
    pace_us: int = 0
    """From one chunk to the next; 0 for as fast as the upstream can."""
    every_s: float = 0.0
    """Each connection asks once in this time, and not as soon as it is answered: all peers do the same work."""
    timed: bool = False
    """Each chunk says when it was said, and the load notes how long it took."""
    status: int = 200
    """What the upstream answers; 401: the key is a wrong one, and no upstream is asked."""
    users: int = 1_000
    """End users, in turn."""
    keys: int = 1
    """API keys, in turn."""
    new_key_every_s: float = 0.0
    """So often somebody makes one more meanwhile; 0: nobody does."""
    only_ours: bool = False
    """Asked of the gateway alone."""

    @property
    def plan(self) -> str:
        """What the upstream reads in the prompt."""
        if self.status not in (200, 401):
            return f"[status {self.status}] "
        if self.chunks:
            return f"[{'timed' if self.timed else 'stream'} {self.chunks} {self.pace_us}] "
        return ""

    @property
    def leaves_record(self) -> bool:
        """A request without a valid key belongs to nobody and leaves none."""
        return self.status != 401


def _streams() -> list[Case]:
    """Streams of 100 and 1,000 chunks, 1, 100 and 1,000 of them, paced and as fast as it goes."""
    found = []
    for chunks in (100, 1_000):
        for at_once in (1, 100, 1_000):
            for pace_us in (PACE_US, 0):
                speed = "a chunk every 20 ms" if pace_us else "as fast as it goes"
                found.append(
                    Case(
                        name=f"stream{'' if pace_us else '-fast'}-{chunks}x{at_once}",
                        what=f"{at_once:,} stream{'' if at_once == 1 else 's'} of {chunks:,} chunks, {speed}",
                        unit="chunk",
                        at_once=at_once,
                        chunks=chunks,
                        pace_us=pace_us,
                    )
                )
    return found


_STREAM = Case(name="", what="", unit="chunk", at_once=100, chunks=100, pace_us=PACE_US)

CASES = (
    Case(name="json", what="small JSON"),
    Case(name="json-paced", what="small JSON, 2,000 requests/s", every_s=0.016),
    Case(name="json-200kB", what="JSON, request of 200 kB", prompt_bytes=200_000),
    Case(name="json-tls", what="small JSON, TLS to the upstream", upstream="tls"),
    Case(name="json-anthropic", what="small JSON, translated for Anthropic", upstream="anthropic"),
    Case(name="json-gemini", what="small JSON, translated for Gemini", upstream="gemini"),
    Case(name="json-500", what="the upstream answers 500", status=500),
    Case(name="json-429", what="the upstream answers 429", status=429),
    Case(name="json-401", what="a wrong key", status=401),
    Case(name="json-keys", what="10,000 keys, 1,000,000 users", keys=10_000, users=1_000_000, only_ours=True),
    Case(
        name="json-new-keys",
        what="1,000 keys, and four more a second",
        keys=1_000,
        new_key_every_s=0.25,
        only_ours=True,
    ),
    *_streams(),
    replace(_STREAM, name="stream-tls", what="100 streams, TLS to the upstream", upstream="tls"),
    replace(_STREAM, name="stream-anthropic", what="100 streams, translated from Anthropic", upstream="anthropic"),
    replace(_STREAM, name="stream-gemini", what="100 streams, translated from Gemini", upstream="gemini"),
)

SHORT = ("json", "json-200kB", "stream-100x100", "stream-fast-100x100")
"""What `--quick` measures."""

BY_NAME: Mapping[str, Case] = {case.name: case for case in CASES}
