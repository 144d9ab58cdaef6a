"""Records as columns: the types that are promised, and every value as the record has it."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.activity import ActivityRow
from arouter.domain.attempt import Attempt
from arouter.domain.usage import Usage, UsageSource
from arouter.wire.activity_columns import (
    DOLLARS,
    SCHEMA,
    columns_of,
    decimals_to_units,
    tried_column,
    units_to_decimals,
)
from arouter.wire.activity_json import COLUMNS, activity_record
from arouter.wire.attempts_json import AttemptRecord
from tests.wire.activity_rows import ROWS, row

UNITS = st.integers(-(2**63), 2**63 - 1)


def test_the_columns_are_the_fields_in_their_order() -> None:
    assert tuple(SCHEMA.names) == COLUMNS


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("id", "string"),
        ("user", "dictionary<values=string, indices=int32, ordered=0>"),
        ("created_at", "timestamp[us, tz=UTC]"),
        ("prompt_tokens", "int64"),
        ("cost", "decimal128(38, 12)"),
        ("latency_ms", "decimal128(18, 3)"),
        ("tags", "list<item: string>"),
        ("is_byok", "bool"),
    ],
)
def test_types_are_what_is_promised(name: str, kind: str) -> None:
    assert str(SCHEMA.field(name).type) == kind


def test_a_field_without_a_value_is_promised_only_where_there_always_is_one() -> None:
    always = {field.name for field in SCHEMA if not field.nullable}
    assert {"id", "created_at", "api_key_name", "tags", "tried", "attempts"} <= always
    assert not {"user", "model", "cost", "http_status", "latency_ms", "prompt_tokens"} & always


@given(ROWS)
@settings(deadline=None)
def test_every_value_is_the_records(rows: list[ActivityRow]) -> None:
    batch = columns_of(rows)
    batch.validate(full=True)
    assert batch.schema.equals(SCHEMA)
    shown = batch.to_pylist()
    assert [_read_back(one) for one in shown] == [
        _read_back(msgspec.structs.asdict(activity_record(one))) for one in rows
    ]


def _read_back(value: object) -> object:
    """Numbers as decimals, times as text, sequences as lists: the same for columns and for the list of activity."""
    if isinstance(value, list | tuple):
        return [_read_back(one) for one in value]
    if isinstance(value, AttemptRecord):
        return _read_back(msgspec.structs.asdict(value))
    if isinstance(value, dict):
        return {name: _read_back(one) for name, one in value.items()}
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, msgspec.Raw):
        return Decimal(bytes(value).decode())
    return Decimal(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def test_no_rows_are_a_batch_too() -> None:
    assert columns_of([]).schema.equals(SCHEMA)
    assert columns_of([]).num_rows == 0


def test_attempts_are_structs() -> None:
    attempt = Attempt(
        provider="groq",
        model="llama",
        http_status=None,
        error_code="upstream_timeout",
        latency_us=1_500,
        usage=Usage(input_tokens=7),
        usage_source=UsageSource.PARTIAL,
    )
    assert tried_column([(), (attempt, replace(attempt, deployment="eu"))]).to_pylist() == [
        [],
        [
            {
                "provider": "groq",
                "deployment": deployment,
                "model": "llama",
                "http_status": None,
                "error_code": "upstream_timeout",
                "latency_ms": Decimal("1.500"),
                "prompt_tokens": 7,
                "completion_tokens": None,
                "usage_source": "partial",
                "cost": None,
                "is_byok": False,
            }
            for deployment in (None, "eu")
        ],
    ]


@given(st.lists(st.none() | UNITS), st.integers(0, 3))
@settings(deadline=None)
def test_units_come_back(units: list[int | None], offset: int) -> None:
    unknown = np.array([one is None for one in units], dtype=bool)
    known = np.array([0 if one is None else one for one in units], dtype=np.int64)
    decimals = units_to_decimals(known, DOLLARS, unknown)
    assert [None if one is None else int(one.scaleb(12)) for one in decimals.to_pylist()] == units
    assert decimals_to_units(decimals.slice(offset)).tolist() == known[offset:].tolist()


def test_what_64_bits_do_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="proportion"):
        decimals_to_units(pa.array([Decimal(10**8)], DOLLARS))


def test_the_cost_is_exact() -> None:
    batch = columns_of([row(cost=2**63 - 1), row(cost=1), row(cost=None)])
    assert batch.column("cost").to_pylist() == [Decimal("9223372.036854775807"), Decimal("0.000000000001"), None]
