"""What a client says about who may answer: the `provider` object, as OpenRouter has it.

https://openrouter.ai/docs/guides/routing/provider-selection

What is a condition is kept or refused, never ignored: an unknown member may be a misspelt one, and a prompt would go
where it must not. What is a wish (`preferred_…`) may be ignored, and is.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, TypeVar

import msgspec

from arouter.domain.errors import InvalidRequest
from arouter.domain.price import TOKENS_PER_PRICE, rate_from_decimal
from arouter.domain.value import value

Sort = Literal["price", "latency", "throughput"]
T = TypeVar("T")

MOST_NAMES = 64
_WISHES = ("preferred_min_throughput", "preferred_max_latency")
_PRICED_PER: Mapping[str, int] = MappingProxyType(
    {"prompt": TOKENS_PER_PRICE, "completion": TOKENS_PER_PRICE, "request": 1}
)
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@value(frozen=True, slots=True, kw_only=True)
class MaxPrice:
    """The most that may be paid, in quectodollars for one token or request; None: whatever it is."""

    prompt: int | None = None
    completion: int | None = None
    request: int | None = None


@value(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The `provider` object, read. Names of providers are in lower case."""

    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    """Empty: all."""
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    denies_collection: bool = False
    zdr: bool = False
    distillable: bool = False
    quantizations: tuple[str, ...] = ()
    """Empty: all."""
    sort: Sort | None = None
    across_models: bool = False
    """To be sorted whatever their model, and not one model after the other."""
    max_price: MaxPrice | None = None

    @property
    def unknowable(self) -> str | None:
        """A condition of which nobody here knows whether it is met."""
        if self.distillable:
            return "enforce_distillable_text"
        return "quantizations" if self.quantizations else None


NO_PREFERENCES = Preferences()


class _SortObject(msgspec.Struct):
    by: Sort | None = None
    partition: Literal["model", "none"] | None = None


_object = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_flag = msgspec.json.Decoder(bool | None).decode
_names = msgspec.json.Decoder(list[str] | None).decode
_collection = msgspec.json.Decoder(Literal["allow", "deny"] | None).decode
_sort = msgspec.json.Decoder(Sort | _SortObject | None).decode
_prices = msgspec.json.Decoder(dict[str, Decimal | None] | None).decode


def read_preferences(raw: msgspec.Raw | None) -> Preferences:
    """The `provider` object of a request. InvalidRequest, naming the member, for what cannot be followed."""
    if raw is None:
        return NO_PREFERENCES
    said = _read("provider", _object, raw, "an object")
    told: dict[str, object] = {}
    for name, member in (said or {}).items():
        reader = _READERS.get(name)
        if reader is None:
            raise InvalidRequest(
                f"There is no preference 'provider.{name}'. Known: {', '.join(sorted(_READERS))}.",
                code="unknown_parameter",
                param=f"provider.{name}",
            )
        told.update(reader(f"provider.{name}", member))
    return Preferences(**told) if told else NO_PREFERENCES  # type: ignore[arg-type]  # each reader knows its field


def _read(param: str, decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, wanted: str) -> T:
    try:
        return decode(raw)
    except _MALFORMED as exc:
        raise InvalidRequest(
            f"Invalid value for '{param}': expected {wanted}.", code="invalid_value", param=param
        ) from exc


# ---------------------------------------------------------------- the members


def _reads_flag(field: str, *, otherwise: bool = False) -> Callable[[str, msgspec.Raw], dict[str, object]]:
    def read(param: str, raw: msgspec.Raw) -> dict[str, object]:
        said = _read(param, _flag, raw, "a boolean")
        return {field: otherwise if said is None else said}

    return read


def _reads_names(field: str) -> Callable[[str, msgspec.Raw], dict[str, object]]:
    def read(param: str, raw: msgspec.Raw) -> dict[str, object]:
        said = _read(param, _names, raw, "an array of strings") or ()
        if len(said) > MOST_NAMES:
            raise InvalidRequest(f"{param} takes at most {MOST_NAMES} names.", code="invalid_value", param=param)
        return {field: tuple(name.lower() for name in said)}

    return read


def _read_collection(param: str, raw: msgspec.Raw) -> dict[str, object]:
    return {"denies_collection": _read(param, _collection, raw, "allow or deny") == "deny"}


def _read_sort(param: str, raw: msgspec.Raw) -> dict[str, object]:
    said = _read(param, _sort, raw, "price, latency or throughput, or an object with `by` and `partition`")
    if isinstance(said, _SortObject):
        return {"sort": said.by, "across_models": said.partition == "none"}
    return {"sort": said}


def _read_max_price(param: str, raw: msgspec.Raw) -> dict[str, object]:
    said = _read(param, _prices, raw, "an object of prices in dollars")
    if said is None:
        return {"max_price": None}
    return {"max_price": MaxPrice(**{name: _rate(f"{param}.{name}", name, price) for name, price in said.items()})}


def _rate(param: str, name: str, dollars: Decimal | None) -> int | None:
    if name not in _PRICED_PER:
        raise InvalidRequest(
            f"'{param}' is a price that cannot be compared. Known: {', '.join(_PRICED_PER)}.",
            code="unknown_parameter",
            param=param,
        )
    if dollars is None:
        return None
    try:
        return rate_from_decimal(dollars, _PRICED_PER[name])
    except ValueError as exc:
        raise InvalidRequest(f"Invalid value for '{param}': {exc}.", code="invalid_value", param=param) from exc


def _ignore(param: str, raw: msgspec.Raw) -> dict[str, object]:
    return {}


_READERS: Mapping[str, Callable[[str, msgspec.Raw], dict[str, object]]] = MappingProxyType(
    {
        "order": _reads_names("order"),
        "only": _reads_names("only"),
        "ignore": _reads_names("ignore"),
        "allow_fallbacks": _reads_flag("allow_fallbacks", otherwise=True),
        "require_parameters": _reads_flag("require_parameters"),
        "data_collection": _read_collection,
        "zdr": _reads_flag("zdr"),
        "enforce_distillable_text": _reads_flag("distillable"),
        "quantizations": _reads_names("quantizations"),
        "sort": _read_sort,
        "max_price": _read_max_price,
        **dict.fromkeys(_WISHES, _ignore),
    }
)
