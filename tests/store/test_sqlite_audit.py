"""The audit log in a file: what is changed in it behind the gateway's back is found."""

from pathlib import Path

import apsw
import pytest

from arouter.domain.audit import Actor, ActorKind, AuditQuery
from arouter.store.base import Home
from tests.conformance.backends import Backend, sqlite
from tests.conformance.samples import key

HOME = Home(organization_id="org_a", workspace_id="ws_a", secret=bytes(32))


def made(folder: Path) -> Backend:
    backend = sqlite(folder)
    backend.run(backend.directory.home(HOME, now_us=1))
    directory = backend.directory.acting(Actor(kind=ActorKind.MEMBER, id="mem_ada", request_id="req-1"))
    for name in "abc":
        backend.run(directory.add_key(key(name), secret=name))
    return backend


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE audit SET actor_id = 'mem_eve' WHERE no = 4", "Entry 4 of the audit log of org_a is not"),
        ("UPDATE audit SET after = NULL WHERE no = 3", "Entry 3 of the audit log of org_a is not"),
        ("UPDATE audit SET at_us = at_us + 1 WHERE no = 5", "Entry 5 of the audit log of org_a is not"),
        ("UPDATE audit SET request_id = NULL WHERE no = 5", "its hash differs"),
        ("DELETE FROM audit WHERE no = 2", "Entries are missing before entry 3"),
        ("UPDATE audit SET no = 9 WHERE no = 5", "Entries are missing before entry 9"),
        ("UPDATE audit SET organization_id = 'org_b' WHERE no = 5", "the audit log of org_b"),
    ],
)
def test_the_check_finds_what_was_changed(tmp_path: Path, tampering: str, told: str) -> None:
    backend = made(tmp_path)
    try:
        assert backend.run(backend.ledger.check()).problems == ()
        apsw.Connection(str(tmp_path / "arouter.db")).execute(tampering)
        assert told in "\n".join(backend.run(backend.ledger.check()).problems)
    finally:
        backend.stop()


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    one, other = made(tmp_path), sqlite(tmp_path)
    for backend, name in ((other, "d"), (one, "e"), (other, "f")):
        backend.run(backend.directory.add_key(key(name), secret=name))
    found = one.run(one.directory.audit_page(AuditQuery(organization_id="org_a", descending=False)))
    assert [entry.no for entry in found] == list(range(1, 9))
    assert one.run(one.ledger.check()).problems == ()
    other.stop()
    one.stop()


def test_a_change_that_fails_leaves_no_entry(tmp_path: Path) -> None:
    backend = made(tmp_path)
    with pytest.raises(ValueError):
        backend.run(backend.directory.add_key(key("a"), secret="other"))
    found = backend.run(backend.directory.audit_page(AuditQuery(organization_id="org_a")))
    assert [entry.target_id for entry in found] == ["key-c", "key-b", "key-a", "ws_a", "org_a"]
    backend.stop()
