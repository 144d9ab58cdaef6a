"""Coarser sums from finer ones."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import SummaryRow, Totals
from arouter.domain.totals import SUMMED, regrouped, total


@st.composite
def rows(draw: st.DrawFn) -> SummaryRow:
    values: dict[str, Any] = {name: draw(st.integers(0, 2**70)) for name in SUMMED}
    group = draw(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["x", None])))
    return SummaryRow(group=group, totals=Totals(**values))


@given(st.lists(rows()))
def test_nothing_is_lost_or_doubled(many: list[SummaryRow]) -> None:
    groups = regrouped(many, lambda row: row.group[:1])
    assert total(groups.values()) == total(row.totals for row in many)
    for (first,), sums in groups.items():
        for name in SUMMED:
            assert getattr(sums, name) == sum(getattr(row.totals, name) for row in many if row.group[0] == first)


@given(st.lists(rows()))
def test_what_has_no_group_is_left_out(many: list[SummaryRow]) -> None:
    groups = regrouped(many, lambda row: row.group if row.group[1] == "x" else None)
    assert total(groups.values()) == total(row.totals for row in many if row.group[1] == "x")


def test_users_cannot_be_added() -> None:
    one = replace(Totals(), requests=1, users=1)
    assert total([one, one]) == replace(Totals(), requests=2, users=0)
    assert total([one]) == replace(Totals(), requests=1, users=0)


def test_nothing_is_nothing() -> None:
    assert total([]) == Totals()
    assert regrouped([], lambda row: row.group) == {}
