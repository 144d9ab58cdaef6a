"""Every place of a JSON document, and copies with another value in one of them."""

from typing import Any

import msgspec

from arouter.domain.chat import Json


def places(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where every value of a JSON document is."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for name, value in inner for found in [(*path, name), *places(value, (*path, name))]]


def replaced(body: Json, path: tuple[str | int, ...], value: object) -> Json:
    """A copy of `body` with another value in one place."""
    copy: Any = msgspec.json.decode(msgspec.json.encode(body))
    node = copy
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    return copy  # type: ignore[no-any-return]
