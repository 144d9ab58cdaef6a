"""The arithmetic of counters, against a reference that does one thing after the other."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.counters import MINUTE_US, NEVER_US, Allotment, Counter, Meter, Window, bounds, granted
from arouter.domain.guardrails import Target
from arouter.domain.windows import DAY_US

NOON_US = 1_790_000_000_000_000

WORKERS = 3

Step = tuple[str, int, int]
"""What happens, at which worker, with how many units."""

steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "settle", "settle", "cancel", "renew", "die"]),
        st.integers(0, WORKERS - 1),
        st.integers(0, 12),
    ),
    max_size=80,
)


class Shared:
    """A counter that several workers share, as a backend does it: one lease after the other."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.posted = 0
        self.leases = [0] * WORKERS
        self.allotments = [Allotment() for _ in range(WORKERS)]
        self.holds: list[list[int]] = [[] for _ in range(WORKERS)]
        self.overage = 0

    def renew(self, worker: int, need: int, *, greedy: bool) -> None:
        own = self.allotments[worker]
        keep, used = own.surrender()
        self.posted += used
        others = sum(self.leases) - self.leases[worker]
        room = self.limit - self.posted - keep - others
        leases = sum(1 for other, lease in enumerate(self.leases) if other != worker and lease)
        units = granted(room=room, need=need, least=need, greedy=greedy, others=leases)
        assert 0 <= units <= max(0, room)
        self.leases[worker] = keep + units
        own.renew(units, used)

    def take(self, worker: int, units: int, *, greedy: bool) -> bool:
        own = self.allotments[worker]
        if not own.take(units):
            self.renew(worker, units, greedy=greedy)
            if not own.take(units):
                self.renew(worker, 0, greedy=False)  # So little is of no use here.
                return False
        self.holds[worker].append(units)
        return True

    def settle(self, worker: int, used: int) -> None:
        held = self.holds[worker].pop(0)
        self.overage += self.allotments[worker].settle(held, used)

    def die(self, worker: int) -> None:
        """What its requests had used by then has its records; what they held is nobody's."""
        self.posted += self.allotments[worker].settled
        self.leases[worker] = 0
        self.holds[worker] = []
        self.allotments[worker] = Allotment()


def run(limit: int, done: Sequence[Step], *, greedy: bool) -> Shared:
    shared = Shared(limit)
    for what, worker, units in done:
        if what == "take":
            shared.take(worker, units + 1, greedy=greedy)
        elif what == "settle" and shared.holds[worker]:
            shared.settle(worker, units)
        elif what == "cancel" and shared.holds[worker]:
            shared.allotments[worker].give_back(shared.holds[worker].pop(0))
        elif what == "renew":
            shared.renew(worker, 0, greedy=greedy)
        elif what == "die":
            shared.die(worker)
        for own, lease in zip(shared.allotments, shared.leases, strict=True):
            assert own.lease == lease
        spent = shared.posted + sum(own.settled for own in shared.allotments)
        held = sum(own.held for own in shared.allotments)
        assert spent + held <= limit + shared.overage
    return shared


@settings(max_examples=300)
@given(st.integers(0, 60), steps, st.booleans())
def test_what_is_used_and_held_never_passes_the_limit_but_by_the_overage(
    limit: int, done: Sequence[Step], greedy: bool
) -> None:
    run(limit, done, greedy=greedy)


@given(st.integers(0, 60), steps, st.booleans())
def test_when_everything_has_ended_nothing_is_held_and_nothing_is_lost(
    limit: int, done: Sequence[Step], greedy: bool
) -> None:
    shared = run(limit, done, greedy=greedy)
    for worker in range(WORKERS):
        while shared.holds[worker]:
            shared.settle(worker, 1)
        shared.renew(worker, 0, greedy=False)
    assert sum(shared.leases) == 0
    assert all(own.lease == 0 for own in shared.allotments)
    left = max(0, limit - shared.posted)
    assert shared.take(0, left, greedy=False)
    assert not shared.take(1, 1, greedy=greedy)


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, WORKERS - 1), st.integers(1, 5)), max_size=80))
def test_in_one_window_exactly_the_configured_number_can_be_had(limit: int, asked: list[tuple[int, int]]) -> None:
    """A reference that asks at one place, without leases: with needs alone nobody is refused who fits."""
    shared, left = Shared(limit), limit
    for worker, units in asked:
        fits = units <= left
        assert shared.take(worker, units, greedy=False) == fits
        left -= units if fits else 0


ROOMS = st.integers(-10, 10**12)
NEEDS = st.integers(0, 10**6)
OTHERS = st.integers(0, 1_000)


@given(ROOMS, NEEDS, NEEDS, st.booleans(), OTHERS)
def test_a_grant_is_what_is_needed_where_it_is_there_and_never_more_than_there_is(
    room: int, one: int, other: int, greedy: bool, others: int
) -> None:
    least, need = sorted((one, other))
    units = granted(room=room, need=need, least=least, greedy=greedy, others=others)
    assert 0 <= units <= max(0, room)
    if room >= need:
        assert units >= need
    elif room < least:
        assert units == 0, "what is of no use is left to others"
    else:
        assert units == max(0, room)
    if not greedy or room < 2 * (others + 1) * need:
        assert units <= need, "nobody takes for later where little is left"


@given(st.integers(1, 10**12), NEEDS, OTHERS, OTHERS)
def test_the_more_there_are_the_less_each_takes_for_later(room: int, need: int, one: int, other: int) -> None:
    few, many = sorted((one, other))
    of_few, of_many = (granted(room=room, need=need, least=need, greedy=True, others=n) for n in (few, many))
    assert of_many <= of_few
    assert granted(room=room, need=0, least=0, greedy=True, others=0) == room // 2, "who is alone takes half"


@given(st.integers(1, 300), st.integers(1, 1_000))
def test_those_who_know_of_each_other_get_nearly_the_same_and_leave_half_for_who_comes_later(
    processes: int, needs_for_each: int
) -> None:
    """As after a recall: all of them have leases, of what runs, and each renews its own in turn."""
    whole = room = processes * needs_for_each * 1_000
    shares = []
    for _ in range(processes):
        shares.append(granted(room=room, need=1, least=1, greedy=True, others=processes - 1))
        room -= shares[-1]
    assert min(shares) >= 0.6 * max(shares) - 1
    assert room >= whole / 2
    assert sum(shares) >= 0.39 * whole - processes


@given(st.integers(1, 300))
def test_whoever_comes_last_finds_something(processes: int) -> None:
    """Each comes when all before it have leases already, and nobody gives anything back."""
    whole = room = 10**12
    for others in range(processes):
        last = room
        room -= granted(room=room, need=1, least=1, greedy=True, others=others)
    assert last >= whole * 0.56 / processes**0.5 - processes


def test_a_settled_hold_gives_back_what_it_did_not_use_and_tells_what_it_used_beyond() -> None:
    own = Allotment()
    own.renew(10, 0)
    assert own.take(6)
    assert own.settle(6, 2) == 0
    assert (own.free, own.held, own.settled) == (8, 0, 2)
    assert own.take(8)
    assert own.settle(8, 11) == 3
    assert (own.free, own.held, own.settled, own.lease) == (-3, 0, 13, 10)


@given(st.integers(0, 2**61), st.sampled_from(Window))
def test_every_instant_lies_in_its_window(at_us: int, window: Window) -> None:
    at_us %= 4 * 10**15  # to the year 2096
    start_us, end_us = bounds(window, at_us)
    assert start_us <= at_us < end_us
    assert bounds(window, start_us) == bounds(window, end_us - 1) == (start_us, end_us)
    if window is not Window.LIFETIME:
        assert bounds(window, end_us)[0] == end_us


def test_windows_have_their_lengths() -> None:
    lengths = {window: end - start for window in Window for start, end in [bounds(window, NOON_US)]}
    assert lengths == {
        Window.MINUTE: MINUTE_US,
        Window.DAY: DAY_US,
        Window.WEEK: 7 * DAY_US,
        Window.MONTH: 30 * DAY_US,  # September 2026
        Window.LIFETIME: NEVER_US,
    }


def test_what_the_ledger_knows_is_counted_there() -> None:
    def one(meter: Meter, window: Window) -> bool:
        start_us, end_us = bounds(window, NOON_US)
        return Counter(
            meter=meter,
            scope=Target.KEY,
            organization_id="org_1",
            scope_id="k",
            start_us=start_us,
            end_us=end_us,
        ).in_ledger

    assert one(Meter.COST, Window.LIFETIME)
    assert one(Meter.TOKENS, Window.DAY)
    assert not one(Meter.TOKENS, Window.MINUTE)
    assert not one(Meter.CONCURRENT, Window.LIFETIME)
