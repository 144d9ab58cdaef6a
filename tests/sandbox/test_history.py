"""A pretend history is the same for the same seed, looks like a real one, and costs what its usage costs."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.activity import ActivityQuery, Scope
from arouter.domain.ids import RANDOM_BYTES, generation_id
from arouter.domain.price import Rate, RateCard, price, rate_from_text
from arouter.domain.record import Record, Status
from arouter.domain.usage import Usage, UsageSource
from arouter.domain.windows import DAY_US
from arouter.engine.billing import Billing
from arouter.engine.repricing import Repricing
from arouter.providers.usage import anthropic_usage, gemini_usage, openai_usage_from_json
from arouter.sandbox.history.columns import Day, History
from arouter.sandbox.history.population import APPLICATIONS, MODELS, WORKSPACES, Model, Owner, Plan
from arouter.sandbox.history.prices import UNKNOWN, RateTable
from arouter.sandbox.history.records import records_of
from arouter.settings import Settings
from arouter.store.limits import check_record
from arouter.store.memory import MemoryStore
from arouter.wiring.prices import read_prices
from arouter.wiring.providers import vendor_of

START_US = 20_600 * DAY_US
OWNER = Owner(
    organization_id="org_1",
    workspace_ids=tuple(f"ws_{number}" for number in range(WORKSPACES)),
    key_hashes=tuple(f"{number:064x}" for number in range(len(APPLICATIONS))),
)
HOUR_US = 3_600_000_000
PROVIDERS = sorted({model.provider for model in MODELS})
PRICES = read_prices({})


def listed(model: Model, at_us: int) -> RateCard | None:
    """As the price lists have it."""
    return PRICES(model.provider, model.name, datetime.fromtimestamp(at_us / 1_000_000, UTC))


def plan(*, seed: int = 1, days: int = 30, users: int = 300, records: int = 12_000) -> Plan:
    return Plan(seed=seed, start_us=START_US, days=days, users=users, records=records)


def made(history: History) -> Iterator[Record]:
    for day in history:
        yield from records_of(history, day, OWNER)


@pytest.fixture(scope="module")
def history() -> History:
    return History(plan(), listed)


@pytest.fixture(scope="module")
def records(history: History) -> list[Record]:
    return list(made(history))


# ---------------------------------------------------------------- the same again


def test_equal_plans_make_equal_records_and_another_seed_others(records: list[Record]) -> None:
    assert list(made(History(plan(), listed))) == records
    assert list(made(History(plan(seed=2), listed))) != records


def test_a_day_depends_on_its_number_alone(history: History, records: list[Record]) -> None:
    alone = History(plan(), listed)
    day = list(records_of(alone, alone.day(17), OWNER))
    assert len(day) == history.records_on(17) > 100
    assert day == [one for one in records if (one.opening.created_at_us - START_US) // DAY_US == 17]


@pytest.mark.parametrize("wrong", [{"days": 0}, {"users": 0}, {"records": 0}, {"seed": -1}])
def test_a_plan_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one day"):
        plan(**wrong)


def test_a_history_begins_with_a_day() -> None:
    with pytest.raises(ValueError, match="start of a day"):
        replace(plan(), start_us=START_US + 1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 20), st.integers(1, 50), st.integers(1, 400))
def test_there_are_as_many_as_were_asked_for_and_all_can_be_stored(seed: int, days: int, users: int, size: int) -> None:
    small = plan(seed=seed, days=days, users=users, records=size)
    found = list(made(History(small, listed)))
    assert len(found) == len({one.opening.id for one in found}) == size
    created = [one.opening.created_at_us for one in found]
    assert created == sorted(created)
    assert small.start_us <= created[0]
    assert created[-1] < small.end_us
    for one in found:
        check_record(one)
        assert one.completed_at_us >= one.opening.created_at_us


def test_an_id_is_one_of_the_gateway_and_tells_its_time(records: list[Record]) -> None:
    for one in records[:500]:
        random = bytes.fromhex("0" + one.opening.id[-17:])
        assert len(random) == RANDOM_BYTES
        assert generation_id(one.opening.created_at_us, random) == one.opening.id


# ---------------------------------------------------------------- what it costs


def test_every_cost_is_that_of_the_usage(records: list[Record]) -> None:
    for one in records:
        card = None
        if one.usage_source in (UsageSource.PROVIDER, UsageSource.PARTIAL):
            assert one.model is not None
            model = next(model for model in MODELS if model.id == one.model)
            card = listed(model, one.opening.created_at_us)
        assert one.cost == one.rated_cost == (None if card is None else price(card, one.usage).cost)
        assert one.price_source == (None if card is None else card.source)
        assert one.price_version == (None if card is None else card.version)


def test_to_bill_it_again_changes_nothing(records: list[Record]) -> None:
    async def bill_again() -> tuple[int, int]:
        store = MemoryStore(clock=lambda: plan().end_us)
        for one in records:
            await store.ledger.close(one)
        repricing = Repricing(
            store.ledger,
            Billing(PRICES),
            vendor_of=lambda name: vendor_of(Settings(), name),
            now_us=lambda: plan().end_us,
        )
        outcomes = await repricing.run(ActivityQuery(scope=Scope(organization_id="org_1")), dry=True)
        return outcomes.total.records, outcomes.total.changed

    assert asyncio.run(bill_again()) == (len(records), 0)


RATES = st.integers(0, 10**8).map(lambda picodollars: picodollars * 10**18)


@st.composite
def cards(draw: st.DrawFn) -> RateCard | None:
    if draw(st.integers(0, 4)) == 0:
        return None
    starts = draw(st.lists(st.integers(100, 20_000), max_size=2, unique=True).map(sorted))
    rates: dict[str, Rate | None] = {
        meter: Rate(base=draw(RATES), tiers=tuple((start, draw(RATES)) for start in starts))
        for meter in ("input_tokens", "output_tokens", *draw(st.sets(st.sampled_from(("cache_read_tokens",)))))
    }
    return RateCard(source="operator", version="1", rates=rates)


@settings(max_examples=20, deadline=None)
@given(st.lists(cards(), min_size=len(MODELS), max_size=len(MODELS)), st.integers(0, 99))
def test_columns_cost_what_single_records_cost_at_any_prices(found: list[RateCard | None], seed: int) -> None:
    by_id = {model.id: card for model, card in zip(MODELS, found, strict=True)}
    for one in made(History(plan(seed=seed, days=2, users=40, records=300), lambda model, at_us: by_id[model.id])):
        used = one.usage_source in (UsageSource.PROVIDER, UsageSource.PARTIAL)
        card = by_id[one.model] if used and one.model is not None else None
        assert one.cost == (None if card is None else price(card, one.usage).cost)


@pytest.mark.parametrize(
    ("rates", "match"),
    [
        ({"input_tokens": Rate(base=1)}, "whole number"),
        ({"input_tokens": Rate(base=0), "requests": Rate(base=0)}, "by reasoning or by request"),
    ],
)
def test_a_price_that_cannot_be_computed_exactly_is_refused(rates: dict[str, Rate], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        RateTable([RateCard(source="operator", version="1", rates=rates)])


def test_the_prices_of_the_lists_are_there_but_for_the_model_in_house() -> None:
    without = [model.id for model in MODELS if listed(model, START_US) is None]
    assert without == ["vllm/in-house-summarizer"]
    assert rate_from_text("2", 10**6) == listed(MODELS[3], START_US).rates["input_tokens"].base  # type: ignore[union-attr]


# ---------------------------------------------------------------- what it looks like


def test_columns_and_records_tell_the_same(history: History, records: list[Record]) -> None:
    days = list(history)
    for meter in (field.name for field in fields(Usage)):
        told = [getattr(one.usage, meter) for one in records]
        if any(count is not None for count in told):
            columns = [day.spent.meters[meter] for day in days]
            assert sum(int(column[column != UNKNOWN].sum()) for column in columns) == sum(filter(None, told))
    assert sum(int(day.cost[day.cost != UNKNOWN].sum()) for day in days) == sum(one.cost or 0 for one in records)


def test_raw_usage_is_read_as_the_usage_by_the_readers_of_the_gateway(records: list[Record]) -> None:
    dialects = {model.id: model.dialect for model in MODELS}
    seen: Counter[str] = Counter()
    for one in records:
        if one.raw_usage is None or one.model is None:
            continue
        dialect = dialects[one.model]
        seen[dialect] += 1
        if dialect == "openai":
            read = openai_usage_from_json(one.raw_usage)
        else:
            raw = msgspec.json.decode(one.raw_usage)
            read = anthropic_usage(raw) if dialect == "anthropic" else gemini_usage(raw)
        assert read.prompt_tokens == one.usage.prompt_tokens
        assert read.completion_tokens == one.usage.completion_tokens
        assert (read.cached_tokens or 0) == (one.usage.cached_tokens or 0)
        assert (read.cache_write_tokens or 0) == (one.usage.cache_write_tokens or 0)
        assert (read.reasoning_tokens or 0) == (one.usage.reasoning_tokens or 0)
    assert set(seen) == {"openai", "anthropic", "google"}


def test_a_few_users_and_models_make_most_of_it(records: list[Record]) -> None:
    users = Counter(one.opening.user for one in records if one.opening.user is not None)
    top = sum(count for _, count in users.most_common(len(users) // 10))
    assert 0.4 < top / len(records) < 0.95
    assert len(users) > 150
    models = Counter(one.model for one in records)
    assert len(models) > 15
    assert models.most_common(1)[0][1] > 3 * len(records) / len(models) / 2


def test_things_go_wrong_now_and_then(records: list[Record]) -> None:
    statuses = Counter(one.status for one in records)
    assert statuses[Status.SUCCESS] > 0.95 * len(records)
    for status in (Status.REJECTED, Status.UPSTREAM_ERROR, Status.CLIENT_DISCONNECT):
        assert 0.002 < statuses[status] / len(records) < 0.04
    for one in records:
        match one.status:
            case Status.REJECTED:
                assert (one.model, one.attempts, one.cost) == (None, 0, None)
                assert one.usage == Usage()
                assert one.error_code is not None
            case Status.UPSTREAM_ERROR:
                assert one.model is not None
                assert (one.attempts, len(one.tried), one.cost) == (2, 2, None)
                assert one.error_code is not None
            case Status.CLIENT_DISCONNECT:
                assert one.opening.streamed
                assert one.usage_source is UsageSource.PARTIAL
            case Status.INTERRUPTED:
                assert one.http_status is None
                assert one.cost is None
            case Status.SUCCESS:
                assert one.http_status == 200
                assert one.usage_source is UsageSource.PROVIDER


def test_it_has_all_that_records_can_have(records: list[Record]) -> None:
    assert any(one.opening.user is None for one in records)
    assert any(one.opening.tags for one in records)
    assert any(one.is_byok for one in records)
    assert any(one.status is Status.SUCCESS and one.cost is None for one in records)
    assert any(len(one.tried) == 2 and one.model != one.opening.requested_model for one in records)
    assert any(one.opening.request_id != one.opening.id for one in records)
    assert {one.opening.key_hash for one in records} == set(OWNER.key_hashes)
    assert {one.opening.workspace_id for one in records} == set(OWNER.workspace_ids)
    assert len({one.opening.endpoint for one in records}) == 4
    sessions = Counter(one.opening.session_id for one in records if one.opening.session_id is not None)
    assert max(sessions.values()) > 3


def test_it_grows_and_rests_at_the_weekend(history: History) -> None:
    sizes = [history.records_on(number) for number in range(28)]
    assert sum(sizes[21:]) > 1.2 * sum(sizes[:7])
    # 1970-01-01 was a Thursday.
    weekdays = [(START_US // DAY_US + 3 + number) % 7 for number in range(28)]
    at_weekends = [size for size, weekday in zip(sizes, weekdays, strict=True) if weekday > 4]
    assert sum(at_weekends) / len(at_weekends) < 0.7 * sum(sizes) / len(sizes)


def test_a_customer_and_two_models_come_later(records: list[Record]) -> None:
    def first(condition: list[Record]) -> float:
        return (condition[0].opening.created_at_us - START_US) / DAY_US / 30

    late = next(number for number, application in enumerate(APPLICATIONS) if application.begins)
    assert first([one for one in records if one.opening.key_hash == OWNER.key_hashes[late]]) >= 0.55
    for model in MODELS:
        if model.released:
            assert first([one for one in records if one.model == model.id]) >= model.released


@pytest.fixture(scope="module")
def long() -> list[Day]:
    return list(History(plan(days=80, users=500, records=300_000), listed))


def test_now_and_then_an_agent_runs_away_with_ever_longer_prompts(long: list[Day]) -> None:
    loops = [(day, np.flatnonzero(day.asked.looping >= 0)) for day in long]
    loops = [(day, places) for day, places in loops if len(places) >= 8]
    assert 2 <= len(loops) < 40
    early = late = 0.0
    for day, places in loops:
        assert len(set(day.asked.user[places].tolist())) == 1
        assert APPLICATIONS[int(day.asked.application[places[0]])].name == "coding agents"
        assert np.ptp(day.asked.created_at_us[places]) < DAY_US / 8
        counts = [day.spent.meters[name] for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens")]
        prompts = np.sum([np.maximum(count[places], 0) for count in counts], axis=0)
        early += float(np.median(prompts[: len(places) // 2]))
        late += float(np.median(prompts[len(places) // 2 :]))
    assert late > 1.2 * early


def test_now_and_then_a_provider_is_away_for_some_hours(long: list[Day]) -> None:
    bad = set()
    for day in long:
        hours = (day.asked.created_at_us - START_US) // HOUR_US
        providers = np.array([PROVIDERS.index(model.provider) for model in MODELS])[day.asked.model]
        for hour in np.unique(hours).tolist():
            for number in range(len(PROVIDERS)):
                there = (hours == hour) & (providers == number)
                if there.sum() >= 30 and np.mean(day.ended.attempts[there] == 2) > 0.3:
                    bad.add((day.number, number))
    assert 1 <= len(bad) < 20
    assert len({day for day, _ in bad}) == len(bad)


def test_users_come_and_go(long: list[Day]) -> None:
    first, last = ({user for day in days for user in day.asked.user.tolist()} for days in (long[:20], long[-20:]))
    assert len(first - last) > 20
    assert len(last - first) > 20
