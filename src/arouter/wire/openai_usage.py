"""Sums in the shapes of OpenAI's usage and costs API: `GET /v1/organization/usage/…` and `…/costs`.

A field that was not grouped by is null, and so is what the ledger does not sum: tokens written to a cache, and those
of sound. `user`, `requests_without_usage` and `requests_without_price` are ours.
Source: openai-openapi, the schemas UsageResponse, UsageCompletionsResult and CostsResult.
"""

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import msgspec

from arouter.domain.activity import Totals
from arouter.domain.endpoint_kinds import EndpointKind
from arouter.wire.numbers import Dollars, exact_dollars

_SECOND_US = 1_000_000
_CURSOR = "page_"


class UsageGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Whose figures these are, as far as the request grouped by it."""

    project_id: str | None = None
    """A workspace."""
    user_id: str | None = None
    """The member who made the key."""
    api_key_id: str | None = None
    """The key's hash."""
    user: str | None = None
    """The end user of the requests."""


class CompletionsResult(UsageGroup, frozen=True, kw_only=True):
    """Tokens and requests. Tokens count what is known: `requests_without_usage` are missing from them."""

    object: Literal["organization.usage.completions.result"] = "organization.usage.completions.result"
    input_tokens: int
    output_tokens: int
    input_cached_tokens: int
    input_cache_write_tokens: int | None = None
    input_uncached_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    num_model_requests: int
    requests_without_usage: int
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None


class InputResult(UsageGroup, frozen=True, kw_only=True):
    """Of embeddings or moderations."""

    object: Literal["organization.usage.embeddings.result", "organization.usage.moderations.result"]
    input_tokens: int
    num_model_requests: int
    requests_without_usage: int
    model: str | None = None


class Amount(msgspec.Struct, frozen=True):
    """US dollars, with their exact digits."""

    value: Dollars
    currency: Literal["usd"] = "usd"


class CostsResult(UsageGroup, frozen=True, kw_only=True):
    """What is known to have been spent: `requests_without_price` are missing from it. A line item is a model."""

    object: Literal["organization.costs.result"] = "organization.costs.result"
    amount: Amount
    line_item: str | None = None
    quantity: float | None = None
    quantity_unit: str | None = None
    requests_without_price: int


class CompletionsBucket(msgspec.Struct, frozen=True, kw_only=True):
    """A range of Unix seconds, half-open. Without requests it has no results."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[CompletionsResult]


class InputBucket(msgspec.Struct, frozen=True, kw_only=True):
    """A range of Unix seconds, half-open. Without requests it has no results."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[InputResult]


class CostsBucket(msgspec.Struct, frozen=True, kw_only=True):
    """A range of Unix seconds, half-open. Without requests it has no results."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[CostsResult]


class CompletionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets in the order of time. `next_page` is null on the last page."""

    object: Literal["page"] = "page"
    data: list[CompletionsBucket]
    has_more: bool
    next_page: str | None


class InputPage(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets in the order of time. `next_page` is null on the last page."""

    object: Literal["page"] = "page"
    data: list[InputBucket]
    has_more: bool
    next_page: str | None


class CostsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Buckets in the order of time. `next_page` is null on the last page."""

    object: Literal["page"] = "page"
    data: list[CostsBucket]
    has_more: bool
    next_page: str | None


Group = Mapping[str, str | bool | None]
"""Fields of a result that were grouped by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageBucket:
    """What a bucket is written from. Times are microseconds since the epoch, at whole seconds."""

    start_us: int
    end_us: int
    groups: Sequence[tuple[Group, Totals]]


@dataclass(frozen=True, slots=True)
class PageCursor:
    """Where the next page begins, and where the last one ends."""

    start_us: int
    end_us: int

    def to_text(self) -> str:
        """Opaque, safe in a URL."""
        packed = struct.pack(">qq", self.start_us, self.end_us)
        return _CURSOR + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> "PageCursor":
        """ValueError if `text` is no such cursor."""
        try:
            data = text.removeprefix(_CURSOR) + "=="
            return cls(*struct.unpack(">qq", base64.b64decode(data, altchars=b"-_", validate=True)))
        except (binascii.Error, struct.error, UnicodeError) as exc:
            raise ValueError("not a page") from exc


def encode_usage(kind: EndpointKind, buckets: Sequence[UsageBucket], next_page: PageCursor | None) -> bytes:
    """A page of `GET /v1/organization/usage/{kind}`."""
    if kind is EndpointKind.COMPLETIONS:
        completions = [
            CompletionsBucket(**_range(bucket), results=[_completions(*each) for each in bucket.groups])
            for bucket in buckets
        ]
        return msgspec.json.encode(CompletionsPage(data=completions, **_rest(next_page)))
    inputs = [
        InputBucket(**_range(bucket), results=[_input(kind, *each) for each in bucket.groups]) for bucket in buckets
    ]
    return msgspec.json.encode(InputPage(data=inputs, **_rest(next_page)))


def encode_costs(buckets: Sequence[UsageBucket], next_page: PageCursor | None) -> bytes:
    """A page of `GET /v1/organization/costs`."""
    costs = [CostsBucket(**_range(bucket), results=[_costs(*each) for each in bucket.groups]) for bucket in buckets]
    return msgspec.json.encode(CostsPage(data=costs, **_rest(next_page)))


def _completions(group: Group, totals: Totals) -> CompletionsResult:
    return CompletionsResult(
        input_tokens=totals.prompt_tokens,
        output_tokens=totals.completion_tokens,
        input_cached_tokens=totals.cached_tokens,
        num_model_requests=totals.requests,
        requests_without_usage=totals.requests_without_usage,
        **group,  # type: ignore[arg-type]  # the names are those of the fields
    )


def _input(kind: EndpointKind, group: Group, totals: Totals) -> InputResult:
    return InputResult(
        object=f"organization.usage.{kind.value}.result",  # type: ignore[arg-type]  # one of the two
        input_tokens=totals.prompt_tokens,
        num_model_requests=totals.requests,
        requests_without_usage=totals.requests_without_usage,
        **group,  # type: ignore[arg-type]
    )


def _costs(group: Group, totals: Totals) -> CostsResult:
    return CostsResult(
        amount=Amount(exact_dollars(totals.cost)),
        requests_without_price=totals.requests_without_price,
        **group,  # type: ignore[arg-type]
    )


class _Range(TypedDict):
    start_time: int
    end_time: int


def _range(bucket: UsageBucket) -> _Range:
    return _Range(start_time=bucket.start_us // _SECOND_US, end_time=bucket.end_us // _SECOND_US)


class _Rest(TypedDict):
    has_more: bool
    next_page: str | None


def _rest(next_page: PageCursor | None) -> _Rest:
    return _Rest(has_more=next_page is not None, next_page=None if next_page is None else next_page.to_text())
