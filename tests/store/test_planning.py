"""Where a summary is read from."""

from typing import Any

import pytest

from arouter.domain.activity import Dimension, Filters, Order, Scope, SummaryQuery
from arouter.store.buckets import DAY_US, SLOT_US, SLOTS_OF_DAY
from arouter.store.planning import Plan, Source, Span, plan

SCOPE = Scope(organization_id="org_a")
DAY = 20_000
FIRST, LAST = DAY * SLOTS_OF_DAY, (DAY + 10) * SLOTS_OF_DAY - 1
"""Ten days with records."""
START_US = DAY * DAY_US


def spans_of(made: Plan) -> list[tuple[str, int | None, int | None]]:
    return [(span.source.value, span.first, span.beyond) for span in made.spans]


def planned(folded: tuple[int, ...] = (), /, **filters: Any) -> list[tuple[str, int | None, int | None]]:
    return spans_of(plan(SummaryQuery(scope=SCOPE, filters=Filters(**filters)), (FIRST, LAST), folded))


def slots(source: str, first: int, beyond: int) -> tuple[str, int, int]:
    """Of days since the first one."""
    return source, FIRST + first * SLOTS_OF_DAY, FIRST + beyond * SLOTS_OF_DAY


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        ({"filters": Filters(tags=("x",))}, ["tag"]),
        ({"filters": Filters(session_ids=("x",))}, ["session_id"]),
        ({"filters": Filters(updated_since_us=0)}, ["updated_since"]),
        ({"group_by": (Dimension.DAY, Dimension.TAG)}, ["group_by=tag"]),
        ({"metrics": frozenset({"cost", "latency_ms_p50"})}, ["latency_ms_p50"]),
        ({"order": Order(by="latency_ms_p95", descending=True)}, ["latency_ms_p95"]),
        ({"filters": Filters(session_ids=("x",), tags=("x",))}, ["tag", "session_id"]),
    ],
    ids=str,
)
def test_what_only_records_tell_is_read_from_them(query: dict[str, Any], reasons: list[str]) -> None:
    made = plan(SummaryQuery(scope=SCOPE, **query), (FIRST, LAST), (DAY,))
    assert made.spans == (Span(source=Source.RECORDS, first=None, beyond=None),)
    assert len(made.reasons) == len(reasons)
    for reason, word in zip(made.reasons, reasons, strict=True):
        assert word in reason


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"models": ("m",)},
        {"providers": ("p",)},
        {"key_hashes": ("k",)},
        {"workspace_ids": ("w",)},
        {"endpoints": ("/v1/messages",)},
        {"statuses": ("success",)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dimension", [one for one in Dimension if one is not Dimension.TAG])
def test_everything_else_is_read_from_rollups(filters: dict[str, Any], dimension: Dimension) -> None:
    query = SummaryQuery(scope=SCOPE, filters=Filters(**filters), group_by=(dimension,), timezone="Asia/Kathmandu")
    assert spans_of(plan(query, (FIRST, LAST))) == [slots("rollups", 0, 10)]
    assert spans_of(plan(query, (FIRST, LAST), (DAY + 2, DAY + 3))) == [
        slots("rollups", 0, 2),
        slots("columns", 2, 4),
        slots("rollups", 4, 10),
    ]


def test_users_are_read_from_columns_and_from_their_records() -> None:
    assert planned((DAY, DAY + 2), users=("u",)) == [
        slots("columns", 0, 1),
        ("records", START_US + DAY_US, START_US + 2 * DAY_US),
        slots("columns", 2, 3),
        ("records", START_US + 3 * DAY_US, START_US + 10 * DAY_US),
    ]


@pytest.mark.parametrize(
    ("start_us", "end_us", "expected"),
    [
        (START_US, START_US + DAY_US, [slots("rollups", 0, 1)]),
        (0, 2**60, [slots("rollups", 0, 10)]),
        (
            START_US + 1,
            START_US + DAY_US + 1,
            [
                ("records", START_US + 1, START_US + SLOT_US),
                ("rollups", FIRST + 1, FIRST + SLOTS_OF_DAY),
                ("records", START_US + DAY_US, START_US + DAY_US + 1),
            ],
        ),
        (START_US + 1, START_US + 2, [("records", START_US + 1, START_US + 2)]),
        (
            START_US + 1,
            START_US + SLOT_US + 1,
            [("records", START_US + 1, START_US + SLOT_US + 1)],
        ),
        (START_US + SLOT_US, START_US + 2 * SLOT_US, [("rollups", FIRST + 1, FIRST + 2)]),
        (START_US + 11 * DAY_US, None, [("records", START_US + 11 * DAY_US, None)]),
        (None, START_US - 1, [("records", None, START_US - 1)]),
        (START_US + 3, START_US, [("records", START_US + 3, START_US)]),
    ],
)
def test_the_ends_of_a_range_that_are_no_whole_quarters_are_read_from_records(
    start_us: int | None, end_us: int | None, expected: list[tuple[str, int | None, int | None]]
) -> None:
    assert planned(start_us=start_us, end_us=end_us) == expected


def test_a_day_that_is_not_wholly_asked_for_is_not_read_from_its_columns() -> None:
    assert planned((DAY, DAY + 1), start_us=START_US + SLOT_US, end_us=START_US + 2 * DAY_US) == [
        ("rollups", FIRST + 1, FIRST + SLOTS_OF_DAY),
        slots("columns", 1, 2),
    ]


def test_without_records_nothing_is_read() -> None:
    assert plan(SummaryQuery(scope=SCOPE), None).spans == ()
