"""What is said of one user comes before what is said of all; blocking keeps its first time."""

from arouter.domain.guardrails import UserRules, blocked, unblocked
from arouter.domain.limits import NO_LIMITS, Budget, Limits
from arouter.domain.money import Picodollars


def test_limits_go_over_others_one_by_one() -> None:
    every = Limits(budget=Budget(limit=Picodollars(5)), requests_per_minute=3, concurrent_requests=1)
    one = Limits(budget=Budget(limit=Picodollars(50)), tokens_per_day=7, concurrent_requests=0)
    assert one.over(every) == Limits(
        budget=Budget(limit=Picodollars(50)), requests_per_minute=3, tokens_per_day=7, concurrent_requests=0
    )
    assert NO_LIMITS.over(every) == every == every.over(NO_LIMITS)


def test_a_user_is_blocked_since_the_first_time() -> None:
    rules = UserRules(organization_id="org_1", user="u", limits=Limits(requests_per_day=1))
    once = blocked(rules, "fraud", now_us=5)
    assert (once.blocked, once.reason, once.blocked_at_us) == (True, "fraud", 5)
    twice = blocked(once, None, now_us=9)
    assert (twice.reason, twice.blocked_at_us, twice.updated_at_us) == (None, 5, 9)
    free = unblocked(twice, now_us=10)
    assert (free.blocked, free.reason, free.blocked_at_us, free.limits) == (False, None, None, rules.limits)
    assert not free.says_nothing
    assert unblocked(UserRules(organization_id="org_1", user="u"), now_us=1).says_nothing
