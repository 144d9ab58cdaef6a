"""Ids of tool calls within the bounds of a provider that did not make them.

A conversation may have begun with another provider, or its client may have made the ids up. One that does not fit is
replaced by one that is made of it, the same in the call and in its result and on every request.
"""

import re
from hashlib import blake2b

_NOT_PLAIN = re.compile(r"[^a-zA-Z0-9_-]")
_NINE_CHARACTERS = re.compile(r"[a-zA-Z0-9]{9}")


def bounded_id(call_id: str, most: int) -> str:
    """The id, if it has no more than `most` characters, which are at least 33."""
    return call_id if len(call_id) <= most else f"call_{_digest(call_id, 14)}"


def plain(call_id: str) -> str:
    """The id in letters, digits, `_` and `-`; any other character becomes `_`."""
    return _NOT_PLAIN.sub("_", call_id)


def nine_characters(call_id: str) -> str:
    """The id as Mistral demands it: nine letters and digits."""
    return call_id if _NINE_CHARACTERS.fullmatch(call_id) else _digest(call_id, 5)[:9]


def _digest(call_id: str, size: int) -> str:
    return blake2b(call_id.encode(errors="replace"), digest_size=size).hexdigest()
