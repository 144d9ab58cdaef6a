"""How long the storage may be away."""

from arouter.domain.errors import StorageUnavailable
from arouter.store.journal.file import Held
from arouter.store.journal.outage import Outage

EMPTY = Held()
FAILURE = StorageUnavailable("no room", detail="why")


def test_requests_begin_for_as_long_as_the_bound_says() -> None:
    outage = Outage(limit_s=300.0)
    assert outage.refusal(EMPTY, None, 1_000_000.0) is None
    assert outage.begin(1000.0)
    assert not outage.begin(1200.0), "it has begun already"
    assert outage.refusal(EMPTY, None, 1299.9) is None
    refusal = outage.refusal(EMPTY, None, 1300.0)
    assert refusal is not None
    assert (refusal.code, refusal.message) == (
        "storage_unavailable",
        "The storage has been away for more than 300 seconds. Ask again later.",
    )
    assert outage.end(1310.0) == 310.0
    assert outage.end(1311.0) is None
    assert outage.refusal(EMPTY, None, 1_000_000.0) is None
    assert outage.begin(2000.0)
    assert outage.refusal(EMPTY, None, 2299.0) is None, "each outage has its own"


def test_a_journal_that_takes_nothing_matters_only_while_the_storage_is_away() -> None:
    outage = Outage(limit_s=300.0)
    assert outage.refusal(EMPTY, FAILURE, 0.0) is None
    outage.begin(0.0)
    refusal = outage.refusal(EMPTY, FAILURE, 0.0)
    assert refusal is not None
    assert refusal.detail == "why"


def test_a_full_journal_refuses_until_it_is_delivered() -> None:
    outage = Outage(limit_s=300.0, most_bytes=100)
    assert outage.refusal(Held(bytes=99), None, 0.0) is None
    assert outage.refusal(Held(bytes=100), None, 0.0) is not None
