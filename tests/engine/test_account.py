"""What a request's bookkeeping becomes: a record with every field, whatever happened."""

from dataclasses import replace

from arouter.domain.attempt import Attempt
from arouter.domain.errors import InvalidRequest, UpstreamFailed
from arouter.domain.money import Picodollars
from arouter.domain.record import Record, Status, UsageSource
from arouter.domain.usage import Usage
from arouter.engine.account import Account
from arouter.engine.billing import Bill
from arouter.engine.exchange import RelayExchange
from arouter.providers.told import Told
from tests.engine.samples import call, opening, route

USAGE = Usage(input_tokens=100, output_tokens=20)
BILL = Bill(
    usage=USAGE,
    usage_source=UsageSource.PROVIDER,
    cost=Picodollars(400),
    prompt_cost=Picodollars(200),
    completion_cost=Picodollars(200),
    rated_cost=Picodollars(400),
    reported_cost=Picodollars(300),
    price_source="operator",
    price_version="always",
)


def asked(account: Account, told: Told, at_us: int) -> None:
    """A provider is asked, and has told this much."""
    one = route("openai/gpt-5.4")
    relayed = call().ingress.relay(call(), one, None)
    assert relayed is not None
    exchange = RelayExchange(call(), one, *relayed)
    exchange.told = told
    account.asks(one, exchange, at_us)


def test_a_request_that_was_refused_has_the_record_of_one_that_asked_nobody() -> None:
    account = Account(opening(), started_us=5)
    account.error = InvalidRequest("No.")
    account.http_status = 400
    assert account.record(now_us=70, monotonic_us=12) == Record(
        opening=opening(),
        completed_at_us=70,
        status=Status.REJECTED,
        http_status=400,
        error_code="invalid_request",
        latency_us=7,
    )


def test_a_whole_answer_is_told_with_all_that_is_known_of_it() -> None:
    account = Account(opening(), started_us=5)
    told = Told(
        upstream_id="chatcmpl-1",
        upstream_model="gpt-5.4-2026-08-06",
        finish_reason="stop",
        service_tier="flex",
        usage=USAGE,
        raw_usage=b"{}",
    )
    asked(account, told, 6)
    account.first_us, account.http_status, account.is_byok = 8, 200, True
    whole = Record(
        opening=opening(),
        completed_at_us=70,
        status=Status.SUCCESS,
        http_status=200,
        model="openai/gpt-5.4",
        provider="openai",
        upstream_model="gpt-5.4-2026-08-06",
        upstream_id="chatcmpl-1",
        finish_reason="stop",
        service_tier="flex",
        usage=USAGE,
        raw_usage=b"{}",
        usage_source=UsageSource.PROVIDER,
        cost=BILL.cost,
        rated_cost=BILL.rated_cost,
        reported_cost=BILL.reported_cost,
        price_source="operator",
        price_version="always",
        is_byok=True,
        latency_us=7,
        time_to_first_token_us=3,
        attempts=1,
    )
    assert account.record(BILL, now_us=70, monotonic_us=12) == whole
    account.gone = True
    assert account.record(BILL, now_us=70, monotonic_us=12) == replace(whole, status=Status.CLIENT_DISCONNECT)


def test_attempts_are_told_where_there_was_more_than_one() -> None:
    account = Account(opening(), started_us=0)
    asked(account, Told(), 10)
    account.upstream_status = 500
    account.fails(UpstreamFailed("No."), 13)
    asked(account, Told(), 20)
    account.error = UpstreamFailed("Neither.")
    made = account.record(now_us=0, monotonic_us=25)
    first = Attempt(
        provider="openai",
        deployment=None,
        model="gpt-5.4",
        http_status=500,
        error_code="upstream_error",
        latency_us=3,
    )
    assert (made.status, made.attempts, made.error_code) == (Status.UPSTREAM_ERROR, 2, "upstream_error")
    assert made.tried == (first, replace(first, http_status=None, latency_us=5))
