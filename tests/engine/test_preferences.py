"""The `provider` object, as clients write it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.errors import InvalidRequest
from arouter.engine.preferences import MOST_NAMES, NO_PREFERENCES, MaxPrice, Preferences, read_preferences

DOLLAR = 10**24
"""Per million tokens, in quectodollars for one."""


def read(said: object) -> Preferences:
    return read_preferences(msgspec.Raw(msgspec.json.encode(said)))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, {}),
        (None, {}),
        ({"order": ["Groq", "together"]}, {"order": ("groq", "together")}),
        ({"only": ["a"], "ignore": ["B"]}, {"only": ("a",), "ignore": ("b",)}),
        ({"only": None, "order": []}, {}),
        ({"allow_fallbacks": False}, {"allow_fallbacks": False}),
        ({"allow_fallbacks": None}, {}),
        ({"require_parameters": True, "zdr": True}, {"require_parameters": True, "zdr": True}),
        ({"data_collection": "deny"}, {"denies_collection": True}),
        ({"data_collection": "allow"}, {}),
        ({"sort": "price"}, {"sort": "price"}),
        ({"sort": {"by": "latency", "partition": "none"}}, {"sort": "latency", "across_models": True}),
        ({"sort": {"by": "throughput", "partition": "model"}}, {"sort": "throughput"}),
        ({"quantizations": ["fp8"]}, {"quantizations": ("fp8",)}),
        ({"enforce_distillable_text": True}, {"distillable": True}),
        ({"preferred_min_throughput": 50, "preferred_max_latency": {"p90": 3}}, {}),
    ],
)
def test_what_is_said_is_meant(said: object, meant: dict[str, Any]) -> None:
    assert read(said) == Preferences(**meant)


def test_nothing_said_is_no_preference() -> None:
    assert read_preferences(None) is NO_PREFERENCES
    assert read({}) is NO_PREFERENCES


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"prompt": 1, "completion": "2.5"}, MaxPrice(prompt=DOLLAR, completion=25 * DOLLAR // 10)),
        ({"prompt": 0.1}, MaxPrice(prompt=DOLLAR // 10)),
        ({"request": 0.01, "prompt": None}, MaxPrice(request=10**28)),
        ({"prompt": 0}, MaxPrice(prompt=0)),
    ],
)
def test_prices_are_exact(said: object, meant: MaxPrice) -> None:
    assert read({"max_price": said}).max_price == meant


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ([], "provider"),
        ("groq", "provider"),
        ({"onyl": ["groq"]}, "provider.onyl"),
        ({"only": "groq"}, "provider.only"),
        ({"order": [1]}, "provider.order"),
        ({"ignore": ["x"] * (MOST_NAMES + 1)}, "provider.ignore"),
        ({"zdr": "yes"}, "provider.zdr"),
        ({"data_collection": "maybe"}, "provider.data_collection"),
        ({"sort": "exacto"}, "provider.sort"),
        ({"sort": {"by": "price", "partition": "all"}}, "provider.sort"),
        ({"max_price": 1}, "provider.max_price"),
        ({"max_price": {"prompt": -1}}, "provider.max_price.prompt"),
        ({"max_price": {"prompt": "NaN"}}, "provider.max_price.prompt"),
        ({"max_price": {"prompt": "1e999999"}}, "provider.max_price.prompt"),
        ({"max_price": {"prompt": "1e-999999"}}, "provider.max_price.prompt"),
        ({"max_price": {"prompt": True}}, "provider.max_price"),
        ({"max_price": {"image": 1}}, "provider.max_price.image"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_its_name(said: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(said)
    assert refused.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ("order", "only", "allow_fallbacks", "zdr", "sort", "max_price", "data_collection", "quantizations", "x")


def blamed(raw: msgspec.Raw) -> str:
    """What is to blame if it cannot be read; `provider` if it can."""
    try:
        read_preferences(raw)
    except InvalidRequest as refused:
        return str(refused.param)
    return "provider"


@given(said=st.dictionaries(st.sampled_from(MEMBERS), JSON | st.just({"prompt": "1e5"})) | JSON)
def test_whatever_is_said_is_read_or_refused(said: object) -> None:
    assert blamed(msgspec.Raw(msgspec.json.encode(said))).startswith("provider")


@given(raw=st.binary(max_size=30))
def test_bytes_that_are_no_json_are_refused_too(raw: bytes) -> None:
    assert blamed(msgspec.Raw(raw)).startswith("provider")
