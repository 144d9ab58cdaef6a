"""Values that are made on the path of every request: frozen for the type checker, plain to construct.

A frozen dataclass pays for its promise at every construction: each field goes through `object.__setattr__`, about
three times the price of an assignment (a record of 25 fields: 5.4 µs against 1.8 µs). Here the checker keeps the
promise: it takes `value` for `dataclass` and refuses every assignment to a field. Values compare and hash by their
fields, as frozen dataclasses do.

To call a class costs again as much: its keyword arguments are packed into a dictionary and taken out of it. A function
gets them as they are, so `constructor` makes one of a class, for the few places where every request passes. That holds
for fifteen of them: Python packs more into a dictionary there, too, at 40 ns each. Who makes such a value for every
request starts with one that is `unfilled` (a record: 1.3 µs against 0.3 µs).
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value(*, frozen: bool, slots: bool = True, kw_only: bool = True) -> Callable[[type], type]:
        """As `dataclass(frozen=True, slots=True, kw_only=True)`, without the check at run time."""
        return dataclass(slots=slots, kw_only=kw_only, unsafe_hash=frozen)


__all__ = ["constructor", "unfilled", "value"]

V = TypeVar("V")


def constructor(of: type[V]) -> type[V]:
    """A function that makes values of a class from keyword arguments, as a call of the class does. The checker takes
    it for the class. ValueError if a default is made anew for each value, or something runs after the fields are set.
    """
    known: list[Any] = list(fields(of))  # type: ignore[arg-type]  # only values are passed
    if any(field.default_factory is not MISSING for field in known) or hasattr(of, "__post_init__"):
        raise ValueError(f"{of.__name__} does more than to keep its fields")
    arguments = (one.name if one.default is MISSING else f"{one.name}=_{one.name}" for one in known)
    kept = (f" made.{one.name} = {one.name}" for one in known)
    lines = (f"def make(*, {', '.join(arguments)}):", " made = new(of)", *kept, " return made")
    scope: dict[str, Any] = {"new": object.__new__, "of": of}
    scope.update((f"_{field.name}", field.default) for field in known if field.default is not MISSING)
    # As dataclasses writes `__init__`: from the names of the fields, which are Python's own.
    exec("\n".join(lines), scope)  # noqa: S102
    made: type[V] = scope["make"]
    return made


unfilled: Callable[[type[Any]], Any] = object.__new__
"""A value of a class without any of its fields, for whoever sets each of them at once, defaults included. The checker
does not know of a field that is forgotten: a test has to."""
