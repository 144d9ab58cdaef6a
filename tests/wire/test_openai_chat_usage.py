"""The usage object: OpenAI's counts, and money to the last digit."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage

from arouter.domain.money import Picodollars, to_text
from arouter.domain.usage import Usage
from arouter.wire.openai_chat.usage import extend_usage, usage_json
from tests.wire.openai_schemas import validator
from tests.wire.strategies import usages

MONEY = st.none() | st.integers(0, 10**19).map(Picodollars)
ABOUT_A_DOLLAR = (st.sampled_from([None, 0, 1, 10**11, 10**12 - 1, 10**12]) | st.integers(1, 10**12)).map(
    lambda amount: None if amount is None else Picodollars(amount)
)


def told(usage: Usage, cost: int | None = None) -> dict[str, Any]:
    written = usage_json(usage, cost=None if cost is None else Picodollars(cost))
    return msgspec.json.decode(written, type=dict[str, Any])


def test_everything_known_is_told() -> None:
    usage = Usage(
        input_tokens=10,
        input_audio_tokens=2,
        input_image_tokens=3,
        input_video_tokens=4,
        cache_read_tokens=60,
        cache_read_audio_tokens=5,
        cache_write_tokens=6,
        cache_write_1h_tokens=7,
        output_tokens=80,
        output_audio_tokens=8,
        output_image_tokens=9,
        reasoning_tokens=30,
    )
    written = usage_json(
        usage,
        cost=Picodollars(1_234_500_000),
        prompt_cost=Picodollars(1_000_000_000),
        completion_cost=Picodollars(234_500_000),
        upstream_cost=Picodollars(0),
    )
    assert written == (
        b'{"prompt_tokens":97,"completion_tokens":97,"total_tokens":194,'
        b'"prompt_tokens_details":{"cached_tokens":65,"cache_write_tokens":13,"audio_tokens":7,"image_tokens":3,'
        b'"video_tokens":4},"completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":8,"image_tokens":9},'
        b'"cost":0.0012345,"cost_details":{"upstream_inference_cost":0,"prompt_cost":0.001,'
        b'"completion_cost":0.0002345}}'
    )


def test_the_unknown_is_null_or_absent_and_never_zero() -> None:
    assert told(Usage()) == {
        "prompt_tokens": None,
        "completion_tokens": None,
        "total_tokens": None,
        "cost": None,
        "cost_details": {"upstream_inference_cost": None, "prompt_cost": None, "completion_cost": None},
    }


def test_a_reported_zero_is_a_zero() -> None:
    usage = told(Usage(input_tokens=0, cache_read_tokens=0, output_tokens=0, reasoning_tokens=0), cost=0)
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"], usage["cost"]) == (0, 0, 0, 0)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0}


@given(usages())
def test_a_usage_whose_totals_are_known_is_openais(usage: Usage) -> None:
    written = told(usage)
    if usage.prompt_tokens is not None and usage.completion_tokens is not None:
        validator("CompletionUsage").validate(written)
        CompletionUsage.model_validate(written)


@given(MONEY)
def test_the_cost_is_written_to_the_last_digit(cost: Picodollars | None) -> None:
    written = msgspec.json.decode(usage_json(Usage(), cost=cost), type=dict[str, msgspec.Raw])
    assert bytes(written["cost"]).decode() == ("null" if cost is None else to_text(cost))


# ---------------------------------------------------------------- an upstream's own usage


def test_an_upstreams_usage_is_kept_and_the_cost_added() -> None:
    raw = b'{"prompt_tokens":1, "x_time": 0.10000, "details": {"a" :[1,  2]}, "completion_tokens":2}'
    assert extend_usage(raw, cost=Picodollars(5), prompt_cost=Picodollars(2), completion_cost=Picodollars(3)) == (
        b'{"prompt_tokens":1,"x_time":0.10000,"details":{"a" :[1,  2]},"completion_tokens":2,'
        b'"cost":0.000000000005,"cost_details":'
        b'{"upstream_inference_cost":null,"prompt_cost":0.000000000002,"completion_cost":0.000000000003}}'
    )


@pytest.mark.parametrize("space", [b" ", b"\n", b"\r\n", b"\r", b"\t"])
def test_white_space_between_its_members_goes_unless_it_is_plain(space: bytes) -> None:
    spaced, plain = (b'{"prompt_tokens":1,%b"completion_tokens":2}' % between for between in (space, b""))
    extended = extend_usage(plain, cost=Picodollars(5))
    assert extend_usage(spaced, cost=Picodollars(5)) == extended
    assert extend_usage(plain, cost=Picodollars(5), is_plain=True) == extended
    assert extend_usage(spaced, cost=Picodollars(5), is_plain=True) == extended.replace(b",", b"," + space, 1)


def test_an_upstreams_own_cost_moves_aside() -> None:
    raw = b'{"cost":8.60e-05,"cost_details":{"upstream_inference_cost":null,"upstream_inference_prompt_cost":9.2e-06}}'
    assert extend_usage(raw, cost=None) == (
        b'{"cost":null,"cost_details":{"upstream_inference_cost":8.60e-05,'
        b'"upstream_inference_prompt_cost":9.2e-06,"prompt_cost":null,"completion_cost":null}}'
    )


def test_what_the_upstream_says_of_its_own_upstream_stays_where_it_has_no_cost() -> None:
    raw = b'{"cost":null,"cost_details":{"upstream_inference_cost":0.5}}'
    assert msgspec.json.decode(extend_usage(raw, cost=None))["cost_details"]["upstream_inference_cost"] == 0.5


@pytest.mark.parametrize("details", [b"null", b"3", b"[]", b'"x"'])
def test_cost_details_of_another_type_are_replaced(details: bytes) -> None:
    extended = msgspec.json.decode(extend_usage(b'{"cost_details":' + details + b"}", cost=None))
    assert extended["cost_details"]["prompt_cost"] is None


@given(ABOUT_A_DOLLAR, ABOUT_A_DOLLAR, ABOUT_A_DOLLAR)
def test_its_costs_are_written_to_the_last_digit(
    cost: Picodollars | None, prompt_cost: Picodollars | None, completion_cost: Picodollars | None
) -> None:
    raw = b'{"prompt_tokens":1}'
    extended = extend_usage(raw, cost=cost, prompt_cost=prompt_cost, completion_cost=completion_cost)
    whole, prompt, completion = (
        "null" if amount is None else to_text(amount) for amount in (cost, prompt_cost, completion_cost)
    )
    assert extended.decode() == (
        f'{{"prompt_tokens":1,"cost":{whole},"cost_details":{{"upstream_inference_cost":null,'
        f'"prompt_cost":{prompt},"completion_cost":{completion}}}}}'
    )


@pytest.mark.parametrize("raw", [b"null", b"[]", b"", b"{", b"3", b'{"prompt_tokens":1'])
def test_what_is_no_object_is_no_usage(raw: bytes) -> None:
    with pytest.raises(ValueError):
        extend_usage(raw, cost=None)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"prompt_tokens":1,"completion_tokens":2}',
        b'{"prompt_tokens":1,"details":{"cached_tokens":0}}',
        b"{}",
        b'{"c\\u006fst":1.5}',
        b'{"cost_details":{"upstream_inference_cost":0.1}}',
        b'{"note":"\\"cost\\": 1"}',
    ],
)
def test_the_quick_way_says_what_the_general_one_says(raw: bytes) -> None:
    extended = msgspec.json.decode(extend_usage(raw, cost=Picodollars(5), prompt_cost=Picodollars(2)))
    told = msgspec.json.decode(raw)
    details = told.get("cost_details", {})
    expected = {
        **told,
        "cost": 5e-12,
        "cost_details": {
            "upstream_inference_cost": told.get("cost", details.get("upstream_inference_cost")),
            "prompt_cost": 2e-12,
            "completion_cost": None,
        },
    }
    assert extended == expected
