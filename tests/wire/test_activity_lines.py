"""A batch is written as its rows are, to the byte."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.activity import ActivityRow
from arouter.domain.money import LARGEST
from arouter.wire import activity_csv, activity_json, activity_lines
from arouter.wire.activity_columns import columns_of
from arouter.wire.column_numbers import quoted_instants
from arouter.wire.instants import write_instant
from tests.wire.activity_rows import ATTEMPTS, LATEST_US, ROWS, TEXTS, row


def both(rows: list[ActivityRow]) -> None:
    batch = columns_of(rows)
    assert bytes(activity_lines.encode_lines(batch)) == activity_json.encode_lines(rows)
    assert bytes(activity_lines.encode_rows(batch)) == activity_csv.encode_rows(rows)


@given(ROWS)
@settings(deadline=None)
def test_whatever_is_recorded(rows: list[ActivityRow]) -> None:
    both(rows)


@given(st.lists(TEXTS | st.none(), min_size=1, max_size=4), TEXTS, st.lists(TEXTS, max_size=2).map(tuple))
@settings(deadline=None, max_examples=300)
def test_texts(texts: list[str | None], always: str, tags: tuple[str, ...]) -> None:
    """Each column of texts that do not repeat is looked at as a whole: some need escapes, some do not."""
    both(
        [
            row(number, id=always, session_id=text, upstream_id=text, user=text, tags=tags, key_name=always)
            for number, text in enumerate(texts)
        ]
    )


@pytest.mark.parametrize("text", ["", '"', "\\", "\x00", "\n", "\r\n", "=1", "'=1", "a=1", "\x7f", "é", "\u2028", "🚀"])
def test_a_text_that_is_hard_to_carry(text: str) -> None:
    both([row(session_id=text, id=text, upstream_id=text, user=text, tags=(text, "b"), error_code=text)])
    both([row(session_id=text, id=text, upstream_id=None), row(session_id=None, id="a", upstream_id="b")])


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-LARGEST, LARGEST) | st.integers(0, 10**13), st.none() | st.integers(0, 10**12)
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(deadline=None, max_examples=300)
def test_amounts_and_durations(numbers: list[tuple[int | None, int | None]]) -> None:
    both([row(cost=cost, latency_us=latency, time_to_first_token_us=latency) for cost, latency in numbers])


@pytest.mark.parametrize("cost", [0, 1, -1, 999, 10**12 - 1, 10**12, 10**12 + 1, 10**15, -(10**12), LARGEST, -LARGEST])
def test_amounts_at_the_edges(cost: int) -> None:
    both([row(cost=cost)])
    both([row(cost=cost), row(cost=None), row(cost=5 * 10**11)])


@given(st.lists(st.lists(ATTEMPTS, max_size=2).map(tuple), min_size=1, max_size=4))
@settings(deadline=None)
def test_attempts(tried: list[tuple[object, ...]]) -> None:
    both([row(number, tried=attempts) for number, attempts in enumerate(tried)])


def test_many_rows_whose_columns_are_written_together() -> None:
    """More different values than are written as one part, and fewer."""
    both(
        [
            row(
                number,
                user=None if number % 7 == 0 else f"user {number % 1500}",
                key_name=f"key{number % 40}",
                endpoint=f"/v1/{number % 50}",
                error_code=None if number % 3 else "timeout",
                tags=("a",) * (number % 3),
                http_status=None if number % 11 == 0 else 200 + number % 300,
                cost=None if number % 5 == 0 else number * 10**9,
            )
            for number in range(3000)
        ]
    )


@pytest.mark.parametrize("awkward", ["", '"quoted"', "=1", "é"])
def test_many_different_values(awkward: str) -> None:
    """So many that they are not listed: texts of one length or not, some of them awkward, and counts."""
    both(
        [
            row(
                number,
                user=f"{awkward}{number:04d}" if number % 400 else None,
                session_id=f"{number:08d}{awkward if number == 7 else ''}",
                upstream_id=f"{number:08d}",
                http_status=None if number % 3 else number,
                created_at_us=number * 43_200_000_001,
            )
            for number in range(600)
        ]
    )


@given(st.lists(st.integers(0, LATEST_US), min_size=1, max_size=5))
def test_instants(times_us: list[int]) -> None:
    written = quoted_instants(np.array(times_us, dtype=np.int64))
    assert [bytes(one) for one in written] == [f'"{write_instant(time_us)}"'.encode() for time_us in times_us]


def test_a_slice_of_a_batch() -> None:
    rows = [row(n, session_id=f"s{n}" if n % 2 else None, tags=(str(n),), cost=None if n % 3 else n) for n in range(20)]
    part = columns_of(rows).slice(7, 9)
    assert bytes(activity_lines.encode_lines(part)) == activity_json.encode_lines(rows[7:16])
    assert bytes(activity_lines.encode_rows(part)) == activity_csv.encode_rows(rows[7:16])


def test_a_dictionary_may_know_more_than_a_batch_has() -> None:
    rows = [row(n, user=f"u{n}") for n in range(50)]
    part = columns_of(rows).slice(40, 3)
    assert bytes(activity_lines.encode_lines(part)) == activity_json.encode_lines(rows[40:43])


def test_nothing_is_nothing() -> None:
    assert bytes(activity_lines.encode_lines(columns_of([]))) == b""
    assert bytes(activity_lines.encode_rows(columns_of([]))) == b""
