"""What is remembered until it may be otherwise."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Thing = TypeVar("Thing")


class Remembered(Generic[Name, Thing]):
    """Things by their names, each of one owner, such as a key or an organization. Belongs to one event loop."""

    def __init__(self, most: int) -> None:
        """With one more than `most` all are forgotten."""
        self._most = most
        self.things: dict[Name, Thing] = {}
        """Always the same dictionary, to look things up in."""
        self._names: dict[str, list[Name]] = {}
        """By owner."""

    def put(self, name: Name, owner: str, thing: Thing) -> None:
        """Remember it. A name has the same owner each time, until it is forgotten."""
        if name not in self.things:
            if len(self.things) >= self._most:
                self.forget(None)
            self._names.setdefault(owner, []).append(name)
        self.things[name] = thing

    def forget(self, owners: frozenset[str] | None) -> None:
        """What belongs to these; with None, all."""
        if owners is None:
            self.things.clear()
            self._names.clear()
            return
        for owner in owners:
            for name in self._names.pop(owner, ()):
                del self.things[name]
