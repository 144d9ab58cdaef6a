"""Records expire day by day: their sums stay, what is left is proven, and nobody gets a part for the whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from arouter.domain.activity import Dimension, Filters, Scope, SummaryQuery
from arouter.domain.audit import OPERATOR, AuditAction, AuditQuery
from arouter.domain.errors import InvalidRequest
from arouter.store.base import Home
from arouter.store.sqlite.sealed import DAY_US
from tests.conformance.backends import Backend, file_of, sqlite
from tests.conformance.samples import NOON_US, SCOPE, adjust, adjustment, append, ids, key
from tests.conformance.test_credits import add, balance, entry
from tests.store.test_sealing import DAY, at, problems, seal, store_of


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = sqlite(tmp_path)
    yield made
    made.stop()


def expire(backend: Backend, days: int | None, now_us: int) -> tuple[int, int]:
    expired = backend.run(store_of(backend).archive.expire(default_days=days, now_us=now_us))
    assert expired is not None
    return expired.days, expired.records


def organization(backend: Backend) -> None:
    """Records belong to organizations that are in the directory."""
    apsw.Connection(file_of(backend)).execute(
        "INSERT INTO organizations (id, created_at_us) VALUES ('org_a', 0), ('org_b', 0)"
    )


@pytest.mark.parametrize("sealed", [True, False])
def test_records_expire_day_by_day_and_their_sums_stay(backend: Backend, sealed: bool) -> None:
    organization(backend)
    backend.run(backend.directory.add_key(key("a"), secret="s"))
    old = [at(number, is_byok=number % 2 == 0, opened={"tags": ("x",)}) for number in range(39)]
    old.append(at(39, opened={"key_hash": "key-b"}))
    new = [at(86_400 + number) for number in range(30)]
    append(backend, *old, *new)
    adjust(backend, adjustment("adj-1", old[3].opening.id, 5))
    if sealed:
        seal(backend)
    asked = SummaryQuery(scope=SCOPE, group_by=(Dimension.DAY, Dimension.MODEL))
    before = backend.run(backend.ledger.summary(asked))
    own = backend.run(backend.ledger.byok_spending("key-a", day_us=0, week_us=0, month_us=0))
    used = backend.run(backend.ledger.last_used(["key-a", "key-b"]))
    assert used == {"key-a": new[-1].opening.created_at_us, "key-b": old[-1].opening.created_at_us}
    assert expire(backend, 10, (DAY + 11) * DAY_US) == (1, 40)
    assert expire(backend, 10, (DAY + 11) * DAY_US) == (0, 0)
    assert ids(backend, descending=False) == [each.opening.id for each in new]
    assert backend.run(backend.ledger.get("org_a", old[0].opening.id)) is None
    assert adjust(backend, adjustment("adj-2", old[0].opening.id, 5)) == 0
    assert backend.run(backend.ledger.summary(asked)).rows == before.rows
    assert backend.run(backend.ledger.byok_spending("key-a", day_us=0, week_us=0, month_us=0)) == own
    assert backend.run(backend.ledger.last_used(["key-a", "key-b"])) == used
    assert backend.run(store_of(backend).status()).records == 30
    assert problems(backend) == ()


@pytest.mark.parametrize("sealed", [True, False])
def test_the_balance_of_credits_stays(backend: Backend, sealed: bool) -> None:
    organization(backend)
    append(backend, at(1), at(2, cost=5))
    add(backend, entry(amount=100))
    append(backend, at(3, cost=7), at(86_400, cost=11))
    if sealed:
        seal(backend)
    assert balance(backend) == 82
    assert expire(backend, 10, (DAY + 11) * DAY_US) == (1, 3)
    assert balance(backend) == 82
    assert problems(backend) == ()


def test_a_late_record_of_an_expired_day_is_there_until_the_next_time(backend: Backend) -> None:
    organization(backend)
    append(backend, at(1), at(86_400))
    assert expire(backend, 1, (DAY + 2) * DAY_US) == (1, 1)
    append(backend, at(2))
    assert ids(backend) == [at(86_400).opening.id, at(2).opening.id]
    assert problems(backend) == ()
    assert expire(backend, 1, (DAY + 2) * DAY_US) == (1, 1)
    assert ids(backend) == [at(86_400).opening.id]
    assert problems(backend) == ()


def test_a_summary_that_needs_expired_records_names_the_first_whole_day(backend: Backend) -> None:
    organization(backend)
    append(backend, at(1, opened={"user": "alice"}), at(86_400, opened={"user": "alice"}))
    expire(backend, 1, (DAY + 2) * DAY_US)

    def totals(**filters: Any) -> int:
        query = SummaryQuery(scope=SCOPE, filters=Filters(**filters))
        return backend.run(backend.ledger.summary(query)).totals.requests

    with pytest.raises(InvalidRequest, match=r"2026-09-22T00:00:00Z.*session_id") as refused:
        totals(session_ids=("s",))
    assert refused.value.code == "records_expired"
    with pytest.raises(InvalidRequest, match="quarter of an hour"):
        totals(start_us=NOON_US - 1)
    assert totals(session_ids=("s",), start_us=(DAY + 1) * DAY_US) == 0
    assert totals(users=("alice",)) == totals() == 2


def test_an_organization_may_keep_its_records_longer_or_shorter(backend: Backend) -> None:
    organization(backend)
    append(backend, at(1), at(2, opened={"organization_id": "org_b"}))
    archive = store_of(backend).archive
    now_us = (DAY + 20) * DAY_US
    assert backend.run(archive.retention_days("org_a")) is None
    backend.run(archive.set_retention_days("org_a", 30))
    assert backend.run(archive.retention_days("org_a")) == 30
    assert expire(backend, 10, now_us) == (1, 1)
    assert (len(ids(backend)), len(ids(backend, scope=Scope(organization_id="org_b")))) == (1, 0)
    backend.run(archive.set_retention_days("org_a", None))
    assert expire(backend, None, now_us) == (0, 0)
    assert expire(backend, 10, now_us) == (1, 1)
    assert problems(backend) == ()


def test_an_expired_day_that_was_changed_shows(backend: Backend) -> None:
    organization(backend)
    append(backend, at(1), at(2))
    expire(backend, 1, (DAY + 9) * DAY_US)
    assert problems(backend) == ()
    apsw.Connection(file_of(backend)).execute("UPDATE expired_days SET requests = 1")
    told = "\n".join(problems(backend))
    assert "sums by quarter of an hour differ" in told
    assert "2 records are not there, and 1 have expired" in told


def test_how_long_records_are_kept_is_noted_in_the_audit_log(backend: Backend) -> None:
    home = Home(organization_id="org_a", workspace_id="ws_a", secret=bytes(32))
    backend.run(backend.directory.home(home, now_us=1))
    archive = store_of(backend).archive
    for days in (30, None):
        backend.run(archive.set_retention_days("org_a", days))
    backend.run(archive.set_retention_days("org_unknown", 30))
    found = backend.run(backend.directory.audit_page(AuditQuery(organization_id="org_a", limit=2)))
    assert [(one.action, one.target_id, one.actor) for one in found] == [
        (AuditAction.UPDATE_ORGANIZATION, "org_a", OPERATOR)
    ] * 2
    assert [(one.before, one.after) for one in found] == [
        ('{"retention_days":30}', '{"retention_days":null}'),
        ('{"retention_days":null}', '{"retention_days":30}'),
    ]
    assert backend.run(backend.directory.audit_page(AuditQuery(organization_id="org_unknown"))) == ()
