"""The record: what the ledger remembers of one request. One for every authenticated request, whatever its end."""

from enum import StrEnum

from arouter.domain.attempt import Attempt
from arouter.domain.money import Picodollars
from arouter.domain.usage import NOTHING_REPORTED, Usage
from arouter.domain.usage import UsageSource as UsageSource
from arouter.domain.value import value


class Status(StrEnum):
    SUCCESS = "success"
    UPSTREAM_ERROR = "upstream_error"
    """The provider failed, before or in the middle of the answer."""
    CLIENT_DISCONNECT = "client_disconnect"
    """The client left before the end of the answer."""
    REJECTED = "rejected"
    """A rule refused it, or it was malformed; `error_code` says which. Nothing was spent."""
    INTERRUPTED = "interrupted"
    """The gateway died while it ran."""


@value(frozen=True, slots=True, kw_only=True)
class Opening:
    """What is known when a request is admitted. Times are microseconds since the epoch."""

    id: str
    """Ours; `gen-…`. The record's identity."""
    request_id: str
    created_at_us: int
    organization_id: str
    workspace_id: str
    key_hash: str
    user: str | None
    """The end user, byte for byte; None is no user, which is not the empty string."""
    endpoint: str
    """The path without prefix aliases: `/v1/chat/completions`."""
    requested_model: str | None
    streamed: bool
    session_id: str | None = None
    tags: tuple[str, ...] = ()
    app_url: str | None = None
    app_title: str | None = None
    asked_bytes: int | None = None
    """The size of the messages that the model reads. This and the next are noted with the intent, for the record of a
    request whose process dies; records do not keep them."""
    routed_model: str | None = None
    """`provider/model` as it is asked first."""
    on_own_key: bool = False
    """It is asked so with a key of the organization's own; noted with the intent, too."""


@value(frozen=True, slots=True, kw_only=True)
class Record:
    """A request and its end."""

    opening: Opening
    completed_at_us: int
    status: Status
    http_status: int | None
    """What the client was answered; None if the answer never began."""
    model: str | None = None
    """`provider/model` as it was routed; None if it never was."""
    provider: str | None = None
    upstream_model: str | None = None
    """The provider's own name of the model that answered."""
    upstream_id: str | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    service_tier: str | None = None
    """What it was served with, where the provider says so: its price depends on it."""
    usage: Usage = NOTHING_REPORTED
    raw_usage: bytes | None = None
    """The provider's usage object as JSON."""
    usage_source: UsageSource = UsageSource.NONE
    cost: Picodollars | None = None
    """Of all attempts; None where the price of anything that was used is not known."""
    rated_cost: Picodollars | None = None
    """By our rate card, also where the provider's own figure took precedence."""
    reported_cost: Picodollars | None = None
    """By the provider, where it reports one."""
    price_source: str | None = None
    """`operator`, `provider`, `genai-prices`."""
    price_version: str | None = None
    is_byok: bool = False
    """The provider was asked last with a key of the organization's own, and charges that account."""
    latency_us: int | None = None
    time_to_first_token_us: int | None = None
    attempts: int = 0
    """How many times a provider was asked."""
    tried: tuple[Attempt, ...] = ()
    """All of them, in order, where the record alone does not tell it: where there was more than one."""
