"""The operator's own prices, and the list of models."""

from datetime import UTC, datetime

import pytest

from arouter.domain.price import price
from arouter.domain.usage import Usage
from arouter.providers.prices import PriceBook
from arouter.settings import Dollars, Price, SettingsError
from arouter.wiring.prices import SANDBOX_MODELS, Prices, list_models, operator_prices

AT = datetime(2026, 11, 22, tzinfo=UTC)
USAGE = Usage(input_tokens=1000, cache_read_tokens=1000, output_tokens=1000)


def _cost(stated: Price) -> int | None:
    card = PriceBook(operator=operator_prices({"local/m": stated}), providers=[]).card("local", "m", AT)
    assert card is not None
    return price(card, USAGE).cost


def test_a_price_is_dollars_for_a_million_tokens() -> None:
    assert _cost(Price(input=Dollars("1"), output=Dollars("2"), cache_read=Dollars("0.1"))) == 3_100_000_000


def test_cached_input_without_a_price_of_its_own_costs_what_input_does() -> None:
    assert _cost(Price(input=Dollars("1"), output=Dollars("2"))) == 4_000_000_000


def test_a_price_of_zero_is_a_price() -> None:
    assert _cost(Price(input=Dollars("0"), output=Dollars("0"))) == 0


@pytest.mark.parametrize("text", ["abc", "-1", "nan", "1e40"])
def test_what_is_no_price_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^prices\.local/m: "):
        operator_prices({"local/m": Price(input=Dollars(text))})


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("", None),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T12:00:00", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01T12:00:00+02:00", datetime(2026, 1, 1, 10, tzinfo=UTC)),
    ],
)
def test_a_price_holds_from_an_instant_on(text: str, since: datetime | None) -> None:
    (stated,) = operator_prices({"local/m": Price(input=Dollars("1"), effective_from=text)})
    assert stated.effective_from == since


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "2026-1-1"])
def test_what_is_no_instant_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^prices\.local/m: "):
        operator_prices({"local/m": Price(input=Dollars("1"), effective_from=text)})


def test_the_sandbox_is_free_unless_the_operator_says_otherwise() -> None:
    free = Prices(PriceBook(providers=[]))("sandbox", "sandbox-echo", AT)
    assert free is not None
    assert (free.source, price(free, USAGE).cost) == ("sandbox", 0)
    stated = operator_prices({"sandbox/sandbox-echo": Price(input=Dollars("1"))})
    card = Prices(PriceBook(operator=stated, providers=[]))("sandbox", "sandbox-echo", AT)
    assert card is not None
    assert card.source == "operator"
    assert Prices(PriceBook(providers=[]))("openai", "x", AT) is None


def test_the_models_are_those_of_the_configured_providers() -> None:
    book = PriceBook(operator=operator_prices({"local/m": Price(input=Dollars("1"))}))
    listed = list_models(book, ("openai", "sandbox", "local"), AT)
    ids = {model.id for model in listed}
    assert {f"sandbox/{name}" for name in SANDBOX_MODELS} <= ids
    assert "local/m" in ids
    assert {model.owned_by for model in listed} == {"openai", "sandbox", "local"}
    assert not {name for name in ids if name.startswith("sandbox/")} & {
        m.id for m in list_models(book, ("openai",), AT)
    }
    (local,) = (model for model in listed if model.id == "local/m")
    assert local.pricing == {"input_tokens": "0.000001"}
