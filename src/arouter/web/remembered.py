"""What is remembered of API keys until they may be otherwise."""

from typing import Generic, TypeVar

Name = TypeVar("Name", bytes, str)
Thing = TypeVar("Thing")


class Remembered(Generic[Name, Thing]):
    """Things by their names, each of one key. Belongs to one event loop."""

    def __init__(self, most: int) -> None:
        """With one more than `most` all are forgotten."""
        self._most = most
        self.things: dict[Name, Thing] = {}
        self._names: dict[str, list[Name]] = {}
        """By the key's hash."""

    def put(self, name: Name, key_hash: str, thing: Thing) -> None:
        """Remember it. A name is of the same key each time, until it is forgotten."""
        if name not in self.things:
            if len(self.things) >= self._most:
                self.forget(None)
            self._names.setdefault(key_hash, []).append(name)
        self.things[name] = thing

    def forget(self, key_hashes: frozenset[str] | None) -> None:
        """Those of these keys; with None, all."""
        if key_hashes is None:
            self.things.clear()
            self._names.clear()
            return
        for key_hash in key_hashes:
            for name in self._names.pop(key_hash, ()):
                del self.things[name]
