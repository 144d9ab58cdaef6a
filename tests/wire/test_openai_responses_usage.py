"""The usage of an answer: exact, and silent about what is unknown."""

import msgspec
import pytest
from hypothesis import given

from arouter.domain.charge import Charge
from arouter.domain.chat import Json
from arouter.domain.money import Picodollars
from arouter.domain.usage import Usage
from arouter.wire.openai_responses.usage import usage_object
from tests.wire.openai_schemas import validator
from tests.wire.strategies import usages

NO_COST: Json = {"upstream_inference_cost": None, "prompt_cost": None, "completion_cost": None}


def written(charge: Charge) -> Json:
    return msgspec.json.decode(msgspec.json.encode(usage_object(charge)), type=Json)


def test_counts_are_told_by_openais_names() -> None:
    usage = Usage(input_tokens=10, cache_read_tokens=30, cache_write_tokens=5, output_tokens=20, reasoning_tokens=15)
    told = written(Charge(usage=usage))
    assert told == {
        "input_tokens": 45,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 5},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 15},
        "total_tokens": 65,
        "cost": None,
        "cost_details": NO_COST,
    }
    validator("ResponseUsage").validate(told)


def test_zero_is_told_and_unknown_is_null() -> None:
    told = written(Charge(usage=Usage(input_tokens=0, cache_read_tokens=0)))
    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (0, None, 0)
    assert told["input_tokens_details"] == {"cached_tokens": 0}
    assert told["output_tokens_details"] is None


@pytest.mark.parametrize(
    ("picodollars", "digits"), [(0, b"0"), (1, b"0.000000000001"), (1_234_500_000, b"0.0012345"), (None, b"null")]
)
def test_a_cost_has_all_of_its_digits(picodollars: int | None, digits: bytes) -> None:
    cost = None if picodollars is None else Picodollars(picodollars)
    charge = Charge(usage=Usage(input_tokens=1), cost=cost, completion_cost=cost)
    encoded = msgspec.json.encode(usage_object(charge))
    assert b'"cost":' + digits + b',"cost_details":' in encoded
    assert encoded.endswith(b'"prompt_cost":null,"completion_cost":' + digits + b"}}")


def test_of_a_request_of_which_nothing_is_known_there_is_no_usage() -> None:
    assert usage_object(Charge()) is None
    assert usage_object(Charge(cost=Picodollars(0))) is not None
    assert usage_object(Charge(usage=Usage(input_tokens=0))) is not None


@given(usages())
def test_any_usage_has_the_counts_of_the_ledger(usage: Usage) -> None:
    told = usage_object(Charge(usage=usage, cost=Picodollars(1)))
    assert told is not None
    assert told["input_tokens"] == usage.prompt_tokens
    assert told["output_tokens"] == usage.completion_tokens
    assert told["total_tokens"] == usage.total_tokens
