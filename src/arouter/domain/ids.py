"""Identifiers: sortable by time, unguessable, made from what is passed in."""

GENERATION_PREFIX = "gen-"
RANDOM_BYTES = 10


def generation_id(now_us: int, entropy: bytes) -> str:
    """A record's id: `gen-` and 32 hex characters, 48 bits of milliseconds and 80 bits of randomness.

    `now_us` is microseconds since the epoch, `entropy` ten random bytes.
    """
    return f"{GENERATION_PREFIX}{now_us // 1000:012x}{entropy.hex()}"


def named_id(prefix: str, entropy: bytes) -> str:
    """An id such as `org_…`, `ws_…`, `mem_…`."""
    return f"{prefix}_{entropy.hex()}"
