"""Counters: budgets, rates and concurrency by one primitive. Take units up to a limit; give back; settle.

A counter counts a meter (money, requests, tokens, requests that run) of a scope (an organization, a key, a user …) in a
window. What is **posted** has been used for good. Several processes share a counter by **leases**: a lease is a number
of units that one process may use without asking anybody. In that process an `Allotment` says what became of them:

    lease = free + held + settled

`held` is taken by requests that run, `settled` was used by requests that ended, and is posted by now but may be in the
lease still. A request *takes* the most that it is likely to use from `free`, and nothing else decides. When it ends it
is *settled* to what it really used: what it did not use is free again, what it used beyond is told as overage and comes
out of `free`, which may fall below zero.

    posted + all leases ≤ limit

holds whenever a lease is given (`granted`), by whomever, in one transaction. So what is settled never passes the limit
but by overages that nothing free could cover. A lease that ends with its process is worth nothing to anybody else.

Windows are fixed: a minute or a day by UTC, a week from Monday, a month from the 1st. In each window exactly the
configured number of units can be had. (A sliding rate would spread them more evenly; it cannot be leased to several
processes without giving up either exactness or a decision without asking, and its `Reset` means less to a client.)
"""

from enum import StrEnum
from functools import lru_cache

from arouter.domain.guardrails import Target
from arouter.domain.limits import LimitReset
from arouter.domain.value import value
from arouter.domain.windows import DAY_US, next_reset_us, windows_at

MINUTE_US = 60_000_000
FRESH_US = 500_000
"""So long what a process said of its lease is taken for true: twice the time in which it answers whoever asks."""
NEVER_US = 2**62
"""The end of a window that does not end."""
_MOST_BOUNDS = 64
"""Windows whose bounds are remembered: they are asked for at each first request of a user."""


class Meter(StrEnum):
    COST = "cost"
    """In picodollars."""
    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENT = "concurrent"
    """Requests that run: what is taken is given back whole."""


class Window(StrEnum):
    MINUTE = "minute"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    LIFETIME = "lifetime"


WINDOW_OF_RESET = {
    None: Window.LIFETIME,
    LimitReset.DAILY: Window.DAY,
    LimitReset.WEEKLY: Window.WEEK,
    LimitReset.MONTHLY: Window.MONTH,
}


@value(frozen=True, slots=True, kw_only=True)
class Counter:
    """What is counted, of whom, and from when to when. Times are microseconds since the epoch."""

    meter: Meter
    scope: Target
    """Never `EVERY_USER`: each user has a counter of its own."""
    organization_id: str
    scope_id: str
    """The organization's own id, or that of the workspace, member, key or user."""
    start_us: int
    end_us: int
    """`NEVER_US` for a lifetime."""

    @property
    def in_ledger(self) -> bool:
        """Whether what is posted is what the records say: true of all windows of whole days. Minutes are too short to
        be kept for ever, and what runs has no record yet."""
        return self.meter is not Meter.CONCURRENT and self.end_us - self.start_us >= DAY_US


def bounds(window: Window, at_us: int) -> tuple[int, int]:
    """The start and the end of the window that an instant lies in."""
    if window is Window.MINUTE:
        start_us = at_us - at_us % MINUTE_US
        return start_us, start_us + MINUTE_US
    if window is Window.LIFETIME:
        return 0, NEVER_US
    return _bounds_of_days(window, at_us // DAY_US)


@lru_cache(_MOST_BOUNDS)
def _bounds_of_days(window: Window, day: int) -> tuple[int, int]:
    """Of a window of whole days that a day lies in."""
    at_us = day * DAY_US
    windows = windows_at(at_us)
    start_us, reset = {
        Window.DAY: (windows.day_us, LimitReset.DAILY),
        Window.WEEK: (windows.week_us, LimitReset.WEEKLY),
        Window.MONTH: (windows.month_us, LimitReset.MONTHLY),
    }[window]
    end_us = next_reset_us(reset, at_us)
    assert end_us is not None
    return start_us, end_us


class Allotment:
    """What one process may use of a counter, and does. Mutable; plain integers, no I/O."""

    __slots__ = ("free", "lease", "settled")

    def __init__(self) -> None:
        self.lease = 0
        """What the others must leave alone: what is free, held and settled."""
        self.free = 0
        self.settled = 0

    @property
    def held(self) -> int:
        """By requests that run."""
        return self.lease - self.free - self.settled

    def take(self, units: int) -> bool:
        """Hold units, if so many are free."""
        if self.free < units:
            return False
        self.free -= units
        return True

    def give_back(self, units: int) -> None:
        """Units that were held are free again."""
        self.free += units

    def settle(self, held: int, used: int) -> int:
        """A hold becomes what was really used, of which the overage is returned: what was used beyond the hold."""
        self.settled += used
        self.free += held - used
        return max(0, used - held)

    def surrender(self) -> tuple[int, int]:
        """Before the lease is renewed: nothing is free from now on; what is held and has to be kept, and what was
        settled until now and is posted when the lease is renewed."""
        self.lease -= self.free
        self.free = 0
        return self.held, self.settled

    def renew(self, granted: int, posted: int) -> None:
        """The lease was renewed: `granted` units are free besides what is held, and of what was settled `posted` is
        posted."""
        self.lease += granted - posted
        self.settled -= posted
        self.free += granted


def granted(*, room: int, need: int, least: int, greedy: bool, others: int) -> int:
    """How many units a process gets of those that nobody has, the `room`, beside so many `others` with leases.

    What it needs now, if there is so much, else all there is, unless that is less than the `least` that is of use:
    then nothing, so that units of no use do not wander about. A `greedy` process takes more, so that it need not ask
    again: half of its even part of the room, which is half of the room while it is alone. So whoever comes later finds
    something, if less and less: the last one of n finds 0.56 / sqrt(n) of the room that the first one found. Once all
    of them are known, as after a recall, n in turn get parts of which none is less than 0.6 of another. The less there
    is the less is taken, and below 2 * n needs nothing but needs, so that nobody sits on the last units.
    """
    if room <= 0 or room < min(least, need):
        return 0
    share = room // (2 * (others + 1)) if greedy else 0
    return min(room, max(need, share))
