"""Prometheus' text format, added up over several processes.

Each process tells its own text. The sum has every sample that any of them has; its value is the sum of theirs, or
what a rule of its name says. What counts up (counters, and all of a histogram) may be kept when a process is gone:
a sum that fell would be taken for a restart of everything.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Rule = Callable[[float, float], float]
"""Makes one value of two."""

_COUNTING = ("counter", "histogram")


@dataclass(slots=True)
class Family:
    """A metric: the lines that describe it, and its samples by `name{labels}` as it is written."""

    kind: str = "untyped"
    head: list[str] = field(default_factory=list)
    samples: dict[str, float] = field(default_factory=dict)


Families = dict[str, Family]


def read_metrics(text: bytes) -> Families:
    """The families of a text by name, in order. ValueError for what is no such text; timestamps are not taken."""
    families: Families = {}
    family = Family()
    for line in text.decode().split("\n"):
        if line.startswith(("# HELP ", "# TYPE ")):
            _, word, name, *rest = line.split(" ", 3)
            family = families.setdefault(name, Family())
            family.head.append(line)
            if word == "TYPE":
                family.kind = rest[0]
        elif line and not line.startswith("#"):
            sample, _, value = line.rpartition(" ")
            family.samples[sample] = float(value)
    return families


def counting(families: Families) -> Families:
    """Those that only ever count up."""
    return {name: family for name, family in families.items() if family.kind in _COUNTING}


def add_metrics(parts: Iterable[Families], rules: Mapping[str, Rule]) -> Families:
    """One set of families out of several; `rules` are for the families, by name, whose values are not added."""
    total: Families = {}
    for part in parts:
        for name, family in part.items():
            into = total.setdefault(name, Family(family.kind, family.head))
            rule = rules.get(name, float.__add__)
            for sample, value in family.samples.items():
                into.samples[sample] = rule(into.samples[sample], value) if sample in into.samples else value
    return total


def write_metrics(families: Families) -> bytes:
    """The text, as Prometheus reads it."""
    lines = [
        line
        for family in families.values()
        for line in (*family.head, *(f"{sample} {value!r}" for sample, value in family.samples.items()))
    ]
    return "".join(f"{line}\n" for line in lines).encode()
