"""Identifiers: sortable by time, unguessable, made from what is passed in."""

GENERATION_PREFIX = "gen-"
RANDOM_BYTES = 9
RANDOM_DIGITS = 17
"""Hexadecimal ones, of a record's id."""
GENERATION_ID = f"{GENERATION_PREFIX}%015x%s"
"""Made of microseconds since the epoch, and of so many random digits."""


def generation_id(now_us: int, entropy: bytes) -> str:
    """A record's id: `gen-` and 32 hex characters, 60 bits of microseconds and 68 bits of randomness.

    `now_us` is microseconds since the epoch, `entropy` `RANDOM_BYTES` random bytes, of which half a byte is not used.
    """
    return GENERATION_ID % (now_us, entropy.hex()[-RANDOM_DIGITS:])


def named_id(prefix: str, entropy: bytes) -> str:
    """An id such as `org_…`, `ws_…`, `mem_…`."""
    return f"{prefix}_{entropy.hex()}"
