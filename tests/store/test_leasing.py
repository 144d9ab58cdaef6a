"""What becomes of leases that are renewed: whoever decides, a limit holds."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from arouter.domain.counters import MINUTE_US, NEVER_US, Counter, Meter
from arouter.domain.guardrails import Target
from arouter.store.base import LeaseWanted
from arouter.store.leasing import Lease, Renewal, counter_of, posts, text_of, units_of

COUNTERS = st.builds(
    Counter,
    meter=st.sampled_from(Meter),
    scope=st.sampled_from([target for target in Target if target is not Target.EVERY_USER]),
    organization_id=st.text(),
    scope_id=st.text(),
    start_us=st.integers(0, NEVER_US),
    end_us=st.integers(0, NEVER_US),
)
UNITS = st.integers(0, 100)
LIMITS = st.sampled_from([50, 100])
OWNERS = st.integers(1, 3)
LEASES = st.builds(Lease, UNITS, st.booleans(), st.booleans(), st.integers(0, 2_000_000))
ONE = Counter(meter=Meter.COST, scope=Target.KEY, organization_id="org_a", scope_id="key", start_us=0, end_us=NEVER_US)
WANTED = st.builds(
    LeaseWanted,
    counter=st.just(ONE),
    limit=LIMITS,
    keep=UNITS,
    need=UNITS,
    least=UNITS,
    greedy=st.booleans(),
    recall=st.booleans(),
)


@given(COUNTERS)
def test_a_counter_has_a_name_of_its_own(counter: Counter) -> None:
    assert counter_of(text_of(counter)) == counter
    assert "\x00" not in text_of(counter)


@given(st.dictionaries(st.tuples(OWNERS, LIMITS), LEASES), st.lists(WANTED, min_size=1, max_size=4), UNITS)
def test_whoever_is_granted_anything_leaves_the_limit_whole(
    before: dict[tuple[int, int], Lease], wanted: list[LeaseWanted], posted: int
) -> None:
    leases = {text_of(ONE): dict(before)}
    renewal = Renewal(
        1, wanted, [text_of(ONE)] * len(wanted), posted={text_of(ONE): posted}, leases=leases, now_us=2_000_000
    )
    last, told = wanted[-1], renewal.leased[-1]
    assert not told.granted or posted + units_of(leases[text_of(ONE)]) <= last.limit
    # What is to be written makes of the leases before those that were decided with.
    written = {key: lease.units for key, lease in before.items()}
    written |= {(row.owner_no, row.most): row.units for row in renewal.renewed}
    for text, limit in renewal.ended:
        assert text == text_of(ONE)
        written.pop((1, limit), None)  # one that was both given and ended in this renewal was never there
    assert written == {key: lease.units for key, lease in leases[text_of(ONE)].items()}
    assert renewal.in_the_way <= {owner_no for owner_no, _ in before} - {1}


def test_a_lease_that_is_given_back_twice_at_once_is_gone() -> None:
    leases = {text_of(ONE): {(1, 50): Lease(30, exact=False, recalled=False, renewed_at_us=0)}}
    given_back = LeaseWanted(counter=ONE, limit=50, keep=0, need=0, least=0, greedy=False, recall=False)
    renewal = Renewal(1, [given_back] * 2, [text_of(ONE)] * 2, posted={}, leases=leases, now_us=1)
    assert (renewal.ended, renewal.renewed, leases) == ([(text_of(ONE), 50)], [], {text_of(ONE): {}})


def test_only_what_is_neither_in_the_ledger_nor_given_back_is_posted_beside() -> None:
    minute = replace(ONE, meter=Meter.TOKENS, end_us=MINUTE_US)
    assert posts(minute)
    assert not posts(replace(minute, meter=Meter.CONCURRENT))
    assert not posts(ONE)
