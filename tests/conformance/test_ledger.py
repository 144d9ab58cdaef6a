"""What every ledger does."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, permutations
from typing import Any

import pytest

from arouter.domain.activity import (
    ActivityQuery,
    Dimension,
    Filters,
    Order,
    Scope,
    Summary,
    SummaryQuery,
    Totals,
)
from arouter.domain.money import Picodollars
from arouter.domain.record import Record, Status, UsageSource
from arouter.domain.usage import Usage
from arouter.store.base import Spending
from tests.conformance.backends import Backend
from tests.conformance.samples import (
    BARE,
    FULL,
    NOON_US,
    SCOPE,
    ZEROS,
    adjust,
    adjustment,
    append,
    ids,
    key,
    opening,
    record,
)

HOUR_US = 3_600_000_000
USERS = [
    "",
    " ",
    "ü",
    "u\u0308",
    "a" * 1024,
    "a/b?c=d&e=f#g",
    "'; DROP TABLE records; --",
    "=cmd()",
    "🙂🙃",
    "\x00",
    "a\x00b",
]


def summary(backend: Backend, *group_by: Dimension, timezone: str = "UTC", **filters: Any) -> Summary:
    query = SummaryQuery(scope=SCOPE, filters=Filters(**filters), group_by=group_by, timezone=timezone)
    return backend.run(backend.ledger.summary(query))


def assert_sound(backend: Backend) -> None:
    assert backend.run(backend.ledger.check()).problems == ()


# ---------------------------------------------------------------- appending


@pytest.mark.parametrize("sample", [FULL, BARE, ZEROS], ids=["full", "bare", "zeros"])
def test_a_record_is_read_back_as_it_was_closed(backend: Backend, sample: Record) -> None:
    append(backend, sample)
    backend.restart()
    row = backend.run(backend.ledger.get("org_a", sample.opening.id))
    assert row is not None
    assert row.record == sample
    assert row.written_at_us == backend.clock()
    assert (row.key_name, row.creator) == ("", None)
    assert_sound(backend)


def test_a_record_is_appended_once(backend: Backend) -> None:
    append(backend, record("gen-1"), record("gen-1", cost=Picodollars(1)))
    append(backend, record("gen-1", status=Status.UPSTREAM_ERROR))
    row = backend.run(backend.ledger.get("org_a", "gen-1"))
    assert row is not None
    assert row.record == record("gen-1")
    assert summary(backend).totals.requests == 1
    assert_sound(backend)


def test_another_organization_does_not_see_the_record(backend: Backend) -> None:
    append(backend, record("gen-1"))
    assert backend.run(backend.ledger.get("org_b", "gen-1")) is None
    assert ids(backend, scope=Scope(organization_id="org_b")) == []


def test_a_caller_who_leaves_does_not_stop_the_append(backend: Backend) -> None:
    async def leave() -> None:
        waiting = asyncio.ensure_future(backend.ledger.close(record("gen-1")))
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        await backend.ledger.close(record("gen-2"))

    backend.run(leave())
    assert sorted(ids(backend)) == ["gen-1", "gen-2"]


@pytest.mark.parametrize(
    "bad",
    [
        record("gen-bad", usage=Usage(input_tokens=-1)),
        record("gen-bad", usage=Usage(output_tokens=2**62)),
        record("gen-bad", cost=Picodollars(2**63)),
        record("gen-bad", opened={"user": "\ud800"}),
        record("gen-bad", opened={"tags": ("\ud800",)}),
        record("gen-bad", model="\ud800"),
        record("gen-bad", tried=(replace(FULL.tried[0], model="\ud800"),)),
        record("gen-bad", tried=(replace(FULL.tried[0], latency_us=-1),)),
        record("gen-bad", tried=(replace(FULL.tried[0], cost=Picodollars(2**63)),)),
        record("gen-bad", tried=(replace(FULL.tried[0], usage=Usage(output_tokens=2**62)),)),
        record("gen-\ud800"),
    ],
    ids=["negative", "many", "dear", "user", "tag", "model", "attempt", "time", "attempt cost", "attempt usage", "id"],
)
def test_a_record_that_cannot_be_stored_is_refused_alone(backend: Backend, bad: Record) -> None:
    async def close() -> list[BaseException | None]:
        ledger = backend.ledger
        closing = [ledger.close(each) for each in (record("gen-1"), bad, record("gen-2"))]
        return await asyncio.gather(*closing, return_exceptions=True)

    outcomes = backend.run(close())
    assert [type(outcome) for outcome in outcomes][::2] == [type(None), type(None)]
    assert isinstance(outcomes[1], ValueError)
    assert sorted(ids(backend)) == ["gen-1", "gen-2"]
    assert_sound(backend)


# ---------------------------------------------------------------- opening and recovery


def test_what_a_dead_process_left_open_is_closed_as_interrupted_once(backend: Backend) -> None:
    backend.ledger.open(FULL.opening)
    backend.ledger.open(opening("gen-done"))
    append(backend, record("gen-done"))
    backend.restart()
    assert backend.run(backend.ledger.check()).open_records == 1
    assert backend.run(backend.ledger.recover(now_us=77)) == 1
    assert backend.run(backend.ledger.recover(now_us=78)) == 0
    row = backend.run(backend.ledger.get("org_a", "gen-full"))
    assert row is not None
    assert row.record == Record(opening=FULL.opening, completed_at_us=77, status=Status.INTERRUPTED, http_status=None)
    assert row.record.usage_source is UsageSource.NONE
    assert sorted(ids(backend)) == ["gen-done", "gen-full"]
    assert_sound(backend)


@pytest.mark.parametrize(("asked_bytes", "tokens"), [(0, 0), (1, 1), (4_001, 1_001)])
def test_an_interrupted_request_is_estimated_from_what_was_asked(
    backend: Backend, asked_bytes: int, tokens: int
) -> None:
    backend.ledger.open(opening("gen-1", asked_bytes=asked_bytes, routed_model="openai/ft:gpt/7"))
    backend.restart()
    assert backend.run(backend.ledger.recover(now_us=77)) == 1
    row = backend.run(backend.ledger.get("org_a", "gen-1"))
    assert row is not None
    assert row.record == Record(
        opening=opening("gen-1"),
        completed_at_us=77,
        status=Status.INTERRUPTED,
        http_status=None,
        model="openai/ft:gpt/7",
        provider="openai",
        usage=Usage(input_tokens=tokens),
        usage_source=UsageSource.ESTIMATED,
        cost=None,
        attempts=1,
    )
    assert_sound(backend)


def test_a_record_keeps_nothing_of_what_was_noted_for_a_sudden_end(backend: Backend) -> None:
    noted = opening("gen-1", asked_bytes=5, routed_model="openai/gpt-5.4")
    backend.ledger.open(noted)
    append(backend, record("gen-1", of=noted))
    row = backend.run(backend.ledger.get("org_a", "gen-1"))
    assert row is not None
    assert row.record.opening == opening("gen-1")


def test_what_this_process_has_open_is_not_recovered(backend: Backend) -> None:
    backend.ledger.open(opening("gen-1"))
    assert backend.run(backend.ledger.recover(now_us=77)) == 0
    append(backend, record("gen-1"))
    assert ids(backend, statuses=("success",)) == ["gen-1"]


def test_to_tell_of_a_dead_process_that_left_nothing_changes_nothing(backend: Backend) -> None:
    backend.ledger.open(opening("gen-1"))
    assert backend.run(backend.ledger.recover(now_us=77, dead=("nobody", ""))) == 0
    append(backend, record("gen-1"))
    assert ids(backend, statuses=("success",)) == ["gen-1"]


def test_a_record_closed_after_its_recovery_changes_nothing(backend: Backend) -> None:
    backend.ledger.open(opening("gen-1"))
    backend.restart()
    assert backend.run(backend.ledger.recover(now_us=77)) == 1
    append(backend, record("gen-1"))
    assert ids(backend, statuses=("interrupted",)) == ["gen-1"]
    assert_sound(backend)


def test_an_intent_that_comes_after_its_record_is_void(backend: Backend) -> None:
    append(backend, record("gen-1"))
    backend.ledger.open(opening("gen-1"))
    backend.restart()
    assert backend.run(backend.ledger.recover(now_us=77)) == 0
    assert ids(backend, statuses=("success",)) == ["gen-1"]


def test_an_intent_is_remembered_as_it_came_first(backend: Backend) -> None:
    backend.ledger.open(opening("gen-1", user="first"))
    append(backend, record("gen-x"))
    backend.ledger.open(opening("gen-1", user="second"))
    backend.restart()
    assert backend.run(backend.ledger.recover(now_us=77)) == 1
    assert ids(backend, users=("first",)) == ["gen-1"]


# ---------------------------------------------------------------- pages


def test_every_user_keeps_its_own_identity(backend: Backend) -> None:
    append(backend, *(record(f"gen-{place}", opened={"user": user}) for place, user in enumerate(USERS)))
    append(backend, record("gen-none", opened={"user": None}))
    for place, user in enumerate(USERS):
        assert ids(backend, users=(user,)) == [f"gen-{place}"]
    assert ids(backend, unattributed=True) == ["gen-none"]
    assert ids(backend, users=("",), unattributed=True) == ["gen-none", "gen-0"]
    rows = summary(backend, Dimension.USER).rows
    assert [row.group[0] for row in rows] == [None, *sorted(USERS)]


def test_pages_follow_each_other_in_both_directions_without_gap_or_overlap(backend: Backend) -> None:
    records = [
        record(f"gen-{n:02}", opened={"created_at_us": NOON_US + n // 3, "user": f"u{n % 4}"}) for n in range(20)
    ]
    append(backend, *records)
    expected = [each.opening.id for each in records]
    for descending in (False, True):
        for users in ((), ("u0", "u3"), ("u0", "u1", "u2", "u3")):
            query = ActivityQuery(scope=SCOPE, filters=Filters(users=users), descending=descending, limit=3)
            seen = []
            while True:
                page = backend.run(backend.ledger.page(query))
                seen += [row.record.opening.id for row in page.rows]
                if page.next_cursor is None:
                    break
                query = replace(query, after=page.next_cursor)
            mine = [each.opening.id for each in records if not users or each.opening.user in users]
            assert seen == (mine[::-1] if descending else mine)
    assert expected == sorted(expected)


def test_a_full_last_page_has_no_next_one(backend: Backend) -> None:
    append(backend, record("gen-1"), record("gen-2"))
    page = backend.run(backend.ledger.page(ActivityQuery(scope=SCOPE, limit=2)))
    assert (len(page.rows), page.next_cursor) == (2, None)


def test_a_cursor_stays_right_while_records_arrive(backend: Backend) -> None:
    append(backend, *(record(f"gen-{n}", opened={"created_at_us": NOON_US + n}) for n in range(4)))
    first = backend.run(backend.ledger.page(ActivityQuery(scope=SCOPE, limit=2)))
    append(backend, record("gen-9", opened={"created_at_us": NOON_US + 9}))
    rest = backend.run(backend.ledger.page(ActivityQuery(scope=SCOPE, limit=2, after=first.next_cursor)))
    assert [row.record.opening.id for row in (*first.rows, *rest.rows)] == ["gen-3", "gen-2", "gen-1", "gen-0"]


FILTERS = [
    ({"models": ("openai/gpt-5.4",)}, "ab"),
    ({"models": ("fast",)}, "ac"),
    ({"models": ("fast", "openai/gpt-5.4")}, "abc"),
    ({"models": ("unheard of",)}, ""),
    ({"providers": ("anthropic",)}, "c"),
    ({"statuses": ("rejected", "upstream_error")}, "bd"),
    ({"endpoints": ("/v1/messages",)}, "c"),
    ({"key_hashes": ("key-b", "unheard of")}, "d"),
    ({"workspace_ids": ("ws_b",)}, "c"),
    ({"session_ids": ("s", "\x00")}, "bc"),
    ({"tags": ("x",)}, "ab"),
    ({"tags": ("y", "z")}, "bc"),
    ({"start_us": NOON_US + 1}, "bcd"),
    ({"end_us": NOON_US + 1}, "a"),
    ({"start_us": NOON_US + 1, "end_us": NOON_US + 3}, "bc"),
    ({"start_us": NOON_US + 3, "end_us": NOON_US}, ""),
    ({"users": ("alice",), "statuses": ("success",)}, "a"),
    ({"users": ("alice", "bob"), "tags": ("y",)}, "b"),
    ({"users": ("nobody",)}, ""),
    ({"users": ("nobody", "bob")}, "d"),
    ({"unattributed": True}, "c"),
]

LETTERS = (
    record("a", opened={"requested_model": "fast", "tags": ("x",)}),
    record(
        "b", opened={"created_at_us": NOON_US + 1, "session_id": "s", "tags": ("x", "y")}, status=Status.UPSTREAM_ERROR
    ),
    record(
        "c",
        opened={
            "created_at_us": NOON_US + 2,
            "user": None,
            "workspace_id": "ws_b",
            "endpoint": "/v1/messages",
            "requested_model": "fast",
            "session_id": "\x00",
            "tags": ("z",),
        },
        model="anthropic/claude",
        provider="anthropic",
    ),
    record(
        "d",
        opened={"created_at_us": NOON_US + 3, "user": "bob", "key_hash": "key-b", "requested_model": None},
        status=Status.REJECTED,
        model=None,
        provider=None,
    ),
)


@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=str)
def test_filters_choose(backend: Backend, filters: dict[str, Any], expected: str) -> None:
    append(backend, *LETTERS)
    assert "".join(ids(backend, descending=False, **filters)) == expected
    assert summary(backend, **filters).totals.requests == len(expected)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (SCOPE, "abcd"),
        (replace(SCOPE, workspace_id="ws_b"), "c"),
        (replace(SCOPE, key_hash="key-b"), "d"),
        (replace(SCOPE, key_hash="key-a", workspace_id="ws_a"), "ab"),
        (replace(SCOPE, key_hash="key-none"), ""),
        (replace(SCOPE, workspace_id="ws_none"), ""),
        (Scope(organization_id="org_b", key_hash="key-a"), ""),
    ],
    ids=str,
)
def test_a_scope_hides_everything_else(backend: Backend, scope: Scope, expected: str) -> None:
    append(backend, *LETTERS, record("e", opened={"organization_id": "org_b", "key_hash": "key-c"}))
    assert "".join(ids(backend, scope=scope, descending=False)) == expected
    assert "".join(ids(backend, scope=scope, descending=False, users=("alice", "bob"), unattributed=True)) == expected
    totals = backend.run(backend.ledger.summary(SummaryQuery(scope=scope))).totals
    assert totals.requests == len(expected)


def test_updated_since_goes_by_the_time_of_writing(backend: Backend) -> None:
    append(backend, record("gen-1", opened={"created_at_us": NOON_US + 5}))
    backend.clock.now_us += 10
    append(backend, record("gen-2", opened={"created_at_us": NOON_US}))
    backend.clock.now_us -= 100  # a clock that goes back does not hide a record
    append(backend, record("gen-3"))
    assert sorted(ids(backend, updated_since_us=backend.clock() + 100)) == ["gen-2", "gen-3"]
    assert ids(backend, updated_since_us=backend.clock() + 101) == []
    assert len(ids(backend, updated_since_us=0)) == 3


def test_what_is_written_later_is_not_among_what_was_written_until_then(backend: Backend) -> None:
    assert backend.run(backend.ledger.written_until()) is None
    append(backend, record("gen-1"))
    until_us = backend.run(backend.ledger.written_until())
    assert until_us == backend.clock()
    backend.clock.now_us += 10
    append(backend, record("gen-2", opened={"created_at_us": NOON_US - 1}))
    assert sorted(ids(backend)) == ["gen-1", "gen-2"]
    assert ids(backend, written_until_us=until_us) == ["gen-1"]
    assert ids(backend, written_until_us=until_us, users=("alice",)) == ["gen-1"]
    assert ids(backend, written_until_us=until_us - 1) == []
    backend.clock.now_us -= 100
    append(backend, record("gen-3"))
    assert backend.run(backend.ledger.written_until()) == until_us + 10
    assert sorted(ids(backend, written_until_us=until_us + 10)) == ["gen-1", "gen-2", "gen-3"]


def test_an_adjustment_is_written_too(backend: Backend) -> None:
    append(backend, record("gen-1"))
    backend.clock.now_us += 10
    assert adjust(backend, adjustment("adj-1", "gen-1", 1)) == 1
    assert backend.run(backend.ledger.written_until()) == backend.clock()


def test_a_page_names_the_key_of_each_record(backend: Backend) -> None:
    backend.run(backend.directory.add_key(key("a", name="prod", creator="mem_1"), secret="s"))
    append(backend, record("gen-1"), record("gen-2", opened={"key_hash": "key-b"}))
    page = backend.run(backend.ledger.page(ActivityQuery(scope=SCOPE)))
    assert [(row.key_name, row.creator) for row in page.rows] == [("", None), ("prod", "mem_1")]


# ---------------------------------------------------------------- sums


def test_sums_keep_unknown_and_zero_apart(backend: Backend) -> None:
    append(
        backend,
        ZEROS,
        BARE,
        FULL,
        record("gen-dark", usage=Usage(), cost=None, status=Status.UPSTREAM_ERROR),
        record("gen-unpriced", cost=None, latency_us=100, usage=Usage(output_tokens=3)),
    )
    assert summary(backend).totals == Totals(
        requests=5,
        errors=3,
        prompt_tokens=36,
        completion_tokens=33,
        cached_tokens=11,
        reasoning_tokens=12,
        total_tokens=69,
        cost=Picodollars(2**63 - 1),
        requests_without_usage=1,
        requests_without_price=1,
        latency_us=115,
        requests_with_latency=3,
        users=2,
    )
    assert_sound(backend)


def test_sums_of_costs_are_exact_beyond_64_bits(backend: Backend) -> None:
    largest = Picodollars(2**63 - 1)
    append(backend, *(record(f"gen-{n}", cost=largest) for n in range(40)), record("gen-x", cost=Picodollars(-7)))
    assert summary(backend).totals.cost == 40 * largest - 7
    assert summary(backend, Dimension.HOUR, Dimension.USER).totals.cost == 40 * largest - 7
    start = NOON_US - NOON_US % HOUR_US
    spent = backend.run(backend.ledger.spending("key-a", day_us=start, week_us=start, month_us=start))
    assert spent.total == spent.daily == 40 * largest - 7
    assert_sound(backend)


def test_rows_are_in_the_order_of_their_values_and_none_comes_first(backend: Backend) -> None:
    append(backend, *LETTERS)
    rows = summary(backend, Dimension.USER, Dimension.STATUS).rows
    assert [row.group for row in rows] == [
        (None, "success"),
        ("alice", "success"),
        ("alice", "upstream_error"),
        ("bob", "rejected"),
    ]
    assert [row.totals.users for row in rows] == [0, 1, 1, 1]


def test_a_summary_may_have_any_number_of_dimensions(backend: Backend) -> None:
    """The API allows three; OpenAI's shapes need a time and more."""
    append(backend, record("gen-1"), record("gen-2", opened={"user": None}, model=None), record("gen-3"))
    group_by = (
        Dimension.DAY,
        Dimension.API_KEY,
        Dimension.MODEL,
        Dimension.WORKSPACE,
        Dimension.USER,
        Dimension.ENDPOINT,
    )
    rows = summary(backend, *group_by).rows
    day, path = "2026-09-21T00:00:00Z", "/v1/chat/completions"
    assert [(row.group, row.totals.requests) for row in rows] == [
        ((day, "key-a", None, "ws_a", None, path), 1),
        ((day, "key-a", "openai/gpt-5.4", "ws_a", "alice", path), 2),
    ]


@pytest.mark.parametrize("dimension", [one for one in Dimension if one is not Dimension.TAG])
def test_rows_add_up_to_the_totals(backend: Backend, dimension: Dimension) -> None:
    append(backend, *LETTERS, FULL, BARE, ZEROS)
    answer = summary(backend, dimension)
    assert sum(row.totals.cost for row in answer.rows) == answer.totals.cost
    assert sum(row.totals.requests for row in answer.rows) == answer.totals.requests == 7
    assert answer.totals.users == 3


def test_nothing_sums_up_to_nothing(backend: Backend) -> None:
    nothing = Summary(rows=(), totals=Totals(), as_of_us=backend.clock())
    assert summary(backend) == nothing
    append(backend, record("gen-1"))
    for group_by in permutations((Dimension.USER, Dimension.DAY), 2):
        assert summary(backend, *group_by, users=("nobody",)) == nothing
    assert summary(backend, statuses=("rejected",)) == nothing


def test_a_record_counts_once_under_each_of_its_tags(backend: Backend) -> None:
    append(backend, *LETTERS, record("e", opened={"tags": ("x", "x", "")}, cost=Picodollars(7)))
    answer = summary(backend, Dimension.TAG)
    assert {row.group[0]: row.totals.requests for row in answer.rows} == {None: 1, "": 1, "x": 3, "y": 1, "z": 1}
    assert answer.totals.requests == 5
    assert answer.totals.cost == 4 * 1_234_500_000 + 7
    assert [row.group for row in summary(backend, Dimension.TAG, Dimension.STATUS, tags=("y",)).rows] == [
        ("x", "upstream_error"),
        ("y", "upstream_error"),
    ]


def test_only_the_first_rows_are_told_and_the_others_are_added_up(backend: Backend) -> None:
    append(
        backend,
        *(
            record(f"gen-{user}-{n}", opened={"user": user}, cost=Picodollars(cost))
            for user, cost in (("a", 5), ("b", 9), ("c", 5), ("d", 5), (None, 1))
            for n in range(2)
        ),
    )
    query = SummaryQuery(scope=SCOPE, group_by=(Dimension.USER,), order=Order(by="cost", descending=True), limit=2)
    answer = backend.run(backend.ledger.summary(query))
    # Of equal ones those with the lesser name.
    assert [row.group for row in answer.rows] == [("b",), ("a",)]
    assert answer.groups == 5
    assert answer.other is not None
    assert (answer.other.groups, answer.other.users, answer.other.totals.cost) == (3, 2, 22)
    assert answer.totals.cost == 50
    everything = backend.run(backend.ledger.summary(replace(query, limit=5)))
    assert everything.other is None
    assert [row.group[0] for row in everything.rows] == ["b", "a", "c", "d", None]
    first = backend.run(backend.ledger.summary(replace(query, order=None, limit=1)))
    assert [row.group[0] for row in first.rows] == [None]


def test_users_are_counted_only_when_they_are_asked_for(backend: Backend) -> None:
    append(backend, *LETTERS)
    query = SummaryQuery(scope=SCOPE, group_by=(Dimension.STATUS,), metrics=frozenset({"cost"}))
    answer = backend.run(backend.ledger.summary(query))
    assert {row.totals.users for row in answer.rows} == {answer.totals.users} == {None}
    ordered = replace(query, order=Order(by="users", descending=True))
    assert backend.run(backend.ledger.summary(ordered)).totals.users == 2


def test_percentiles_are_the_nearest_rank_of_every_record(backend: Backend) -> None:
    append(
        backend,
        *(record(f"gen-{n:02}", opened={"user": f"u{n % 2}"}, latency_us=n) for n in range(1, 21)),
        record("gen-none", latency_us=None),
    )
    query = SummaryQuery(
        scope=SCOPE,
        group_by=(Dimension.USER, Dimension.DAY),
        metrics=frozenset({"latency_ms_p50", "latency_ms_p95"}),
        order=Order(by="latency_ms_p95", descending=True),
    )
    answer = backend.run(backend.ledger.summary(query))
    assert [(row.group[0], row.totals.latency_us_p50, row.totals.latency_us_p95) for row in answer.rows] == [
        ("u0", 10, 20),
        ("u1", 9, 19),
        ("alice", None, None),
    ]
    assert (answer.totals.latency_us_p50, answer.totals.latency_us_p95) == (10, 19)
    assert summary(backend).totals.latency_us_p50 is None


def test_a_range_may_begin_and_end_at_any_instant(backend: Backend) -> None:
    quarter = 900_000_000
    start = NOON_US - NOON_US % quarter
    # Thirds of quarters of an hour: in the same one, in the next one, and with one and two whole ones between them.
    times = [start + n * quarter // 3 for n in range(-2, 7)]
    append(backend, *(record(f"gen-{at}", opened={"created_at_us": at}) for at in times))
    ranges = [(first, beyond) for first in (*times, None) for beyond in (*times, times[0] + 1, times[-1] + 1, None)]
    # Half of them with groups and half without: each takes its time where there is a server to ask.
    for (first, beyond), group_by in zip(ranges, cycle([(), (Dimension.HOUR,)]), strict=False):
        expected = [at for at in times if (first is None or at >= first) and (beyond is None or at < beyond)]
        answer = summary(backend, *group_by, start_us=first, end_us=beyond)
        assert answer.totals.requests == len(expected)


def test_a_day_of_a_zone_may_have_23_or_25_hours(backend: Backend) -> None:
    for start_us, hours, day in (
        (1_774_738_800_000_000, 23, "2026-03-29T00:00:00+01:00"),
        (1_792_879_200_000_000, 25, "2026-10-25T00:00:00+02:00"),
    ):
        records = [
            record(f"gen-{day}-{n:02}", opened={"created_at_us": start_us + n * HOUR_US, "user": f"u{n % 2}"})
            for n in range(-1, hours + 1)
        ]
        append(backend, *records)
        span = {"start_us": start_us - HOUR_US, "end_us": start_us + (hours + 1) * HOUR_US}
        rows = summary(backend, Dimension.DAY, timezone="Europe/Berlin", **span).rows
        assert [row.totals.requests for row in rows] == [1, hours, 1]
        assert (rows[1].group, rows[1].totals.users) == ((day,), 2)
        assert len(summary(backend, Dimension.HOUR, timezone="Europe/Berlin", **span).rows) == hours + 2


def test_buckets_begin_where_the_zone_says(backend: Backend) -> None:
    # 2027-01-15T08:00:00Z is a Friday.
    at = 1_800_000_000_000_000
    append(backend, record("gen-1", opened={"created_at_us": at}))
    for timezone, dimension, expected in (
        ("UTC", Dimension.WEEK, "2027-01-11T00:00:00Z"),
        ("UTC", Dimension.MONTH, "2027-01-01T00:00:00Z"),
        ("Asia/Kathmandu", Dimension.HOUR, "2027-01-15T13:00:00+05:45"),
        ("Asia/Kolkata", Dimension.DAY, "2027-01-15T00:00:00+05:30"),
        ("America/New_York", Dimension.DAY, "2027-01-15T00:00:00-05:00"),
        ("Pacific/Kiritimati", Dimension.DAY, "2027-01-15T00:00:00+14:00"),
    ):
        assert summary(backend, dimension, timezone=timezone).rows[0].group == (expected,)


def test_an_unknown_time_zone_is_a_value_error(backend: Backend) -> None:
    with pytest.raises(ValueError):
        summary(backend, Dimension.DAY, timezone="Mars/Olympus")


def test_several_summaries_are_of_one_state_of_the_ledger(backend: Backend) -> None:
    dimensions = [(), (Dimension.USER,), (Dimension.MODEL, Dimension.DAY), (Dimension.HOUR,)] * 3
    questions = [SummaryQuery(scope=SCOPE, group_by=each) for each in dimensions]

    closed = 0

    async def ask_while_records_arrive() -> list[Sequence[Summary]]:
        nonlocal closed
        found = []
        for _ in range(4):
            asking = asyncio.ensure_future(backend.ledger.summaries(questions))
            for _ in range(30):
                await asyncio.sleep(0)
                await backend.ledger.close(record(f"gen-{closed}", opened={"user": str(closed % 20)}))
                closed += 1
            found.append(await asking)
        return found

    for answers in backend.run(ask_while_records_arrive()):
        assert len(answers) == len(questions)
        assert {each.totals for each in answers} == {answers[0].totals}
    last = backend.run(backend.ledger.summaries(questions[:3]))
    assert list(last) == [backend.run(backend.ledger.summary(each)) for each in questions[:3]]
    assert last[0].totals.requests == closed


# ---------------------------------------------------------------- spending


def test_spending_is_known_since_each_start(backend: Backend) -> None:
    start = NOON_US - NOON_US % HOUR_US
    for number, at in enumerate((0, start - 3 * HOUR_US, start - 2 * HOUR_US, start - 1, start, start + HOUR_US)):
        append(backend, record(f"gen-{number}", opened={"created_at_us": at}, cost=Picodollars(10**number)))
    append(backend, record("gen-other", opened={"key_hash": "key-b"}), record("gen-free", cost=None))
    spent = backend.run(
        backend.ledger.spending("key-a", day_us=start, week_us=start - 2 * HOUR_US, month_us=start - 3 * HOUR_US)
    )
    assert spent == Spending(
        total=Picodollars(111_111),
        daily=Picodollars(110_000),
        weekly=Picodollars(111_100),
        monthly=Picodollars(111_110),
    )


def test_a_key_without_records_has_spent_nothing(backend: Backend) -> None:
    nothing = Picodollars(0)
    spent = backend.run(backend.ledger.spending("key-none", day_us=0, week_us=0, month_us=0))
    assert spent == Spending(total=nothing, daily=nothing, weekly=nothing, monthly=nothing)


def test_a_key_was_used_last_when_its_last_request_began(backend: Backend) -> None:
    def used(*key_hashes: str) -> dict[str, int]:
        return {name: at - NOON_US for name, at in backend.run(backend.ledger.last_used(key_hashes)).items()}

    assert used("key-a") == {}
    append(backend, record("gen-1"), record("gen-2", opened={"created_at_us": NOON_US + 5}))
    append(backend, record("gen-3", opened={"created_at_us": NOON_US + 3}, cost=None))
    append(backend, record("gen-b", opened={"key_hash": "key-b", "created_at_us": NOON_US - 9 * HOUR_US, "user": None}))
    append(backend, record("gen-2", opened={"created_at_us": NOON_US + 7}))
    assert used("key-a", "key-b", "key-none", "key-a") == {"key-a": 5, "key-b": -9 * HOUR_US}
    late = {"key_hash": "key-b", "created_at_us": NOON_US + 2 * HOUR_US}
    append(backend, record("gen-refused", opened=late, status=Status.REJECTED, cost=None))
    adjust(backend, adjustment("adj-1", "gen-1", 1))
    backend.restart()
    assert used("key-b") == {"key-b": 2 * HOUR_US}
    assert used("key-a") == {"key-a": 5}
    assert_sound(backend)


def test_spending_is_asked_for_since_whole_hours(backend: Backend) -> None:
    with pytest.raises(ValueError):
        backend.run(backend.ledger.spending("key-a", day_us=1, week_us=0, month_us=0))
