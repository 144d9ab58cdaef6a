"""What is known of a route when somebody is to be chosen."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arouter.engine.preferences import MaxPrice
from arouter.engine.standing import Offer, hashed, offer_of, place
from tests.engine.samples import DOLLARS, card

LABELS = st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=8, unique=True)


# ---------------------------------------------------------------- luck


def winner(conversation: bytes, labels: list[str], weights: dict[str, int] | None = None) -> str:
    return min(labels, key=lambda label: place((weights or {}).get(label, 1), hashed(conversation, label)))


@given(conversation=st.binary(), labels=LABELS, data=st.data())
def test_a_conversation_stays_where_it_is_when_others_go_or_come(
    conversation: bytes, labels: list[str], data: st.DataObject
) -> None:
    chosen = winner(conversation, labels)
    others = data.draw(st.lists(st.sampled_from(labels), unique=True))
    left = [label for label in labels if label == chosen or label in others]
    assert winner(conversation, left) == chosen
    assert winner(conversation, list(reversed(labels))) == chosen


@pytest.mark.parametrize("weights", [{"a": 1, "b": 1}, {"a": 3, "b": 1}, {"a": 1, "b": 2, "c": 7}])
def test_weights_are_honoured_by_chance_and_by_conversations(weights: dict[str, int]) -> None:
    draws, random = 20_000, Random(7)
    by_chance = dict.fromkeys(weights, 0)
    by_conversation = dict.fromkeys(weights, 0)
    for number in range(draws):
        by_chance[min(weights, key=lambda label: place(weights[label], 1 - random.random()))] += 1
        by_conversation[winner(b"%d" % number, list(weights), weights)] += 1
    for label, weight in weights.items():
        share = weight / sum(weights.values())
        assert by_chance[label] / draws == pytest.approx(share, abs=0.015)
        assert by_conversation[label] / draws == pytest.approx(share, abs=0.015)


@given(conversation=st.binary(), label=st.text())
def test_a_draw_can_be_placed(conversation: bytes, label: str) -> None:
    drawn = hashed(conversation, label.encode(errors="replace").decode())
    assert 0 < drawn <= 1
    assert place(1, drawn) >= 0
    assert place(0, drawn) == math.inf, "only when the others fail"


# ---------------------------------------------------------------- prices


def test_an_offer_is_what_the_card_says_for_a_request_of_that_size() -> None:
    assert offer_of(card(input=2, output=10), 5) == Offer(prompt=2 * DOLLARS, completion=10 * DOLLARS, request=0)
    assert offer_of(card(requests=7), 5) == Offer(prompt=2 * DOLLARS, completion=10 * DOLLARS, request=7 * DOLLARS)


def test_a_card_without_a_price_for_tokens_is_no_offer() -> None:
    priceless = card()
    rates = {name: rate for name, rate in priceless.rates.items() if name != "output_tokens"}
    assert offer_of(type(priceless)(source="x", version="1", rates=rates), 5) is None


@pytest.mark.parametrize(
    ("most", "within"),
    [
        (MaxPrice(), True),
        (MaxPrice(prompt=2, completion=10, request=1), True),
        (MaxPrice(prompt=1), False),
        (MaxPrice(completion=9), False),
        (MaxPrice(request=0), False),
    ],
)
def test_a_limit_may_be_reached_and_not_passed(most: MaxPrice, within: bool) -> None:
    assert Offer(prompt=2, completion=10, request=1).within(most) is within


def test_only_what_costs_nothing_at_all_is_free() -> None:
    assert Offer(prompt=0, completion=0, request=0).is_free
    assert not Offer(prompt=0, completion=0, request=1).is_free
    assert Offer(prompt=2, completion=3, request=4).whole(10) == 54
