"""How a report's lists are ordered and cut, and how its days become weeks."""

from arouter.domain.activity import Dimension, Summary, SummaryRow, Totals
from arouter.domain.money import Picodollars
from arouter.domain.ranking import Rest
from arouter.domain.report import Listing, Period, Report, Sums, make_report, weeks
from tests.wire.report_samples import KEYS, added, sample


def totals(cost: int = 0, tokens: int = 0, requests: int = 1, users: int = 1) -> Totals:
    return Totals(cost=Picodollars(cost), total_tokens=tokens, requests=requests, users=users)


def listed(groups: dict[str | None, Totals], limit: int, dimension: Dimension) -> Listing:
    """The list of a report that has these groups."""
    nothing = Summary(rows=(), totals=Totals())
    rows = tuple(SummaryRow(group=(name,), totals=each) for name, each in groups.items())
    found = Summary(rows=rows, totals=added([row.totals for row in rows], users=len(rows)))
    names = {
        Dimension.USER: "users",
        Dimension.MODEL: "models",
        Dimension.API_KEY: "keys",
        Dimension.STATUS: "statuses",
    }
    summaries = dict.fromkeys(names.values(), nothing) | {names[dimension]: found}
    sums = Sums(days=None, months=(nothing, nothing), **summaries)
    report: Report = make_report(
        sample().head,
        sums,
        days=((), ()),
        months=((), ()),
        keys=KEYS,
        limit=limit,
    )
    listing: Listing = getattr(report, names[dimension])
    return listing


def test_the_dearest_come_first_then_those_with_more_tokens_then_with_more_requests() -> None:
    groups: dict[str | None, Totals] = {
        "few": totals(tokens=5, requests=1),
        "many": totals(tokens=5, requests=9),
        "wordy": totals(tokens=7, requests=2),
        "dear": totals(cost=1),
        "first of equals": totals(),
        "second of equals": totals(),
    }
    listing = listed(groups, 10, Dimension.USER)
    assert [row.value for row in listing.rows] == [
        "dear",
        "wordy",
        "many",
        "few",
        "first of equals",
        "second of equals",
    ]
    assert listing.rest is None


def test_users_beyond_the_limit_are_counted_without_those_that_are_nobody() -> None:
    groups: dict[str | None, Totals] = {
        "dear": totals(cost=9),
        "a": totals(cost=1, tokens=3),
        None: totals(cost=2, users=0),
        "": totals(),
    }
    rest = listed(groups, 1, Dimension.USER).rest
    assert rest == Rest(groups=3, totals=totals(cost=3, tokens=3, requests=3, users=0), users=2)


def test_users_of_other_groups_cannot_be_added_up() -> None:
    rest = listed({"a": totals(cost=2, users=5), "b": totals(users=7), "c": totals(users=7)}, 1, Dimension.MODEL).rest
    assert rest is not None
    assert (rest.groups, rest.users, rest.totals.requests) == (2, None, 2)


def test_days_become_weeks_that_begin_on_mondays() -> None:
    def day(date: str, cost: int, before: int | None) -> Period:
        return Period(
            start=f"{date}T00:00:00+01:00",
            totals=totals(cost=cost),
            before=None if before is None else totals(cost=before),
        )

    made = weeks(
        [
            day("2026-11-21", 1, 10),
            day("2026-11-22", 2, None),
            day("2026-11-23", 4, None),
            day("2026-11-24", 8, 30),
            day("2026-11-30", 16, None),
        ]
    )
    assert [(week.start[:10], week.totals.cost, week.totals.requests, week.totals.users) for week in made] == [
        ("2026-11-21", 3, 2, 0),
        ("2026-11-23", 12, 2, 0),
        ("2026-11-30", 16, 1, 0),
    ]
    assert [None if week.before is None else week.before.cost for week in made] == [10, 30, None]
