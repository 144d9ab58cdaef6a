"""The prices are read beside the start, and a wrong one of the operator's stops it."""

from datetime import UTC, datetime
from threading import Thread

import pytest

from arouter.settings import Dollars, Price, SettingsError
from arouter.wiring.late_prices import LatePrices

AT = datetime(2026, 11, 22, tzinfo=UTC)


def test_nothing_is_read_before_it_is_asked_for() -> None:
    prices = LatePrices({})
    assert not prices.loaded
    card = prices("openai", "gpt-4o-mini", AT)
    assert card is not None
    assert card.source == "genai-prices"
    assert prices.loaded


def test_several_threads_read_one_book() -> None:
    prices = LatePrices({})
    read: list[object] = []
    threads = [Thread(target=lambda: read.append(prices.load())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read) == 4
    assert len({id(book) for book in read}) == 1


def test_the_operators_prices_are_read_at_once() -> None:
    prices = LatePrices({"openai/gpt-4o": Price(input=Dollars("1"), output=Dollars("2"))})
    assert prices.loaded
    card = prices("openai", "gpt-4o", AT)
    assert card is not None
    assert card.source == "operator"


def test_a_price_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SettingsError, match="openai/gpt-4o"):
        LatePrices({"openai/gpt-4o": Price(input=Dollars("much"))})


def test_the_models_are_those_of_the_providers() -> None:
    listed = LatePrices({}).models(("sandbox",), AT)
    assert {model.owned_by for model in listed} == {"sandbox"}
