"""Credits in a file: what is changed in them behind the gateway's back is found."""

from pathlib import Path

import apsw
import pytest

from tests.conformance.backends import sqlite
from tests.conformance.samples import append, record
from tests.conformance.test_credits import add, entry


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE credits SET amount = amount + 1 WHERE id = 'crd_1'", "The credit crd_1 of org_a is not what"),
        ("UPDATE credits SET amount = amount + 1 WHERE id = 'crd_1'", "do not add up"),
        ("UPDATE credits SET description = 'x' WHERE id = 'crd_0'", "The credit crd_0 of org_a is not what"),
        ("UPDATE credits SET organization_id = 'org_b' WHERE id = 'crd_1'", "The credits of org_b are in no pool"),
        ("DELETE FROM credits WHERE id = 'crd_1'", "The credit crd_1 of org_a is in the audit log, and is missing"),
        ("UPDATE credit_pools SET total = total + 1", "do not add up"),
        ("DELETE FROM credit_pools", "The credits of org_a are in no pool"),
        (
            "INSERT INTO credits (id, organization_id, created_at_us, kind, amount, description)"
            " VALUES ('crd_9', 'org_a', 1, 'gift', 1, 'mine')",
            "The credit crd_9 of org_a is not what the audit log says",
        ),
    ],
)
def test_the_check_finds_what_was_changed(tmp_path: Path, tampering: str, told: str) -> None:
    backend = sqlite(tmp_path)
    try:
        append(backend, record("gen-1", cost=3))
        add(backend, entry())
        assert backend.run(backend.ledger.check()).problems == ()
        apsw.Connection(str(tmp_path / "arouter.db")).execute(tampering)
        assert told in "\n".join(backend.run(backend.ledger.check()).problems)
    finally:
        backend.stop()
