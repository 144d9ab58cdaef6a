"""The order of a summary's rows, and the rest that a limit leaves."""

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.activity import Dimension, SummaryRow, Totals
from arouter.domain.money import Picodollars
from arouter.domain.ranking import METRICS, Order, default_order, mean_latency_ms, rank
from arouter.store.tally import MEASURES

USER, MODEL, HOUR = Dimension.USER, Dimension.MODEL, Dimension.HOUR


def row(*group: str | None, cost: int = 0, latency_us: int = 0, measured: int = 0, users: int = 0) -> SummaryRow:
    totals = Totals(
        requests=1, cost=Picodollars(cost), latency_us=latency_us, requests_with_latency=measured, users=users
    )
    return SummaryRow(group=group, totals=totals)


def groups(rows: tuple[SummaryRow, ...]) -> list[tuple[str | None, ...]]:
    return [each.group for each in rows]


def test_the_dearest_group_comes_first() -> None:
    ranking = rank([row("a", cost=1), row("b", cost=3), row("c", cost=2)], [USER], default_order([USER]), 10)
    assert groups(ranking.rows) == [("b",), ("c",), ("a",)]
    assert ranking.rest is None


def test_time_runs_forward_where_it_leads() -> None:
    assert default_order([HOUR, USER]) == Order(by="hour", descending=False)


def test_the_repeated_hour_of_autumn_follows_the_first() -> None:
    first, second = "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"
    ranking = rank([row(second), row(first)], [HOUR], default_order([HOUR]), 10)
    assert groups(ranking.rows) == [(first,), (second,)]


def test_what_is_unknown_comes_last_in_either_order() -> None:
    rows = [row(None), row("a"), row("b")]
    assert groups(rank(rows, [USER], Order(by="user", descending=False), 10).rows) == [("a",), ("b",), (None,)]
    assert groups(rank(rows, [USER], Order(by="user", descending=True), 10).rows) == [("b",), ("a",), (None,)]
    slow = [row("x"), row("y", latency_us=5, measured=1), row("z", latency_us=12, measured=2)]
    ranking = rank(slow, [USER], Order(by="mean_latency_ms", descending=True), 10)
    assert groups(ranking.rows) == [("z",), ("y",), ("x",)]


def test_equal_rows_keep_their_order() -> None:
    rows = [row("a"), row("b"), row("c")]
    assert groups(rank(rows, [USER], Order(by="cost", descending=True), 10).rows) == [("a",), ("b",), ("c",)]


def test_the_rest_counts_people_only_where_the_groups_tell_them_apart() -> None:
    rows = [row("a", "m", cost=9, users=1), row("b", "m", users=1), row("b", "n", users=1), row(None, "m")]
    rest = rank(rows, [USER, MODEL], Order(by="cost", descending=True), 1).rest
    assert rest is not None
    assert (rest.groups, rest.users) == (3, 1)
    rest = rank([row("m", cost=9), row("n", users=2)], [MODEL], Order(by="cost", descending=True), 1).rest
    assert rest is not None
    assert rest.users is None


def test_a_mean_without_measurements_is_unknown() -> None:
    assert mean_latency_ms(Totals()) is None
    assert mean_latency_ms(Totals(latency_us=0, requests_with_latency=2)) == 0
    assert mean_latency_ms(Totals(latency_us=1_624_800, requests_with_latency=2)) == 812.4


NUMBERS = st.integers(0, 2**62)
ROWS = st.lists(st.tuples(st.text(max_size=2) | st.none(), NUMBERS, NUMBERS, st.integers(0, 3)), max_size=12)


@given(ROWS, st.sampled_from(METRICS), st.booleans(), st.integers(1, 12))
def test_rows_and_rest_are_everything(
    values: list[tuple[str | None, int, int, int]], by: str, descending: bool, limit: int
) -> None:
    rows = [row(user, cost=cost, latency_us=us, measured=n) for user, cost, us, n in values]
    ranking = rank(rows, [USER], Order(by=by, descending=descending), limit)
    assert len(ranking.rows) == min(limit, len(rows))
    for name in MEASURES:
        shown = sum(getattr(each.totals, name) for each in ranking.rows)
        left = 0 if ranking.rest is None else getattr(ranking.rest.totals, name)
        assert shown + left == sum(getattr(each.totals, name) for each in rows)
