"""Every test of the suites runs once for each backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.backends import BACKENDS, Backend

OF_THE_DIRECTORY = {
    f"tests/conformance/test_{name}.py"
    for name in ("audit", "directory", "guardrails", "organizations", "provider_keys", "sign_in")
}
WITH_ITS_LEDGER = {
    "test_a_deleted_key_is_gone_but_its_records_keep_its_name",
    "test_the_records_of_the_keys_that_one_member_made",
    "test_adjustments_are_noted_once_for_each_organization_and_transaction",
    "test_a_workspace_that_something_names_is_not_deleted",
}
"""PostgreSQL has a directory, and no ledger yet."""


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "postgres":
        file, _, test = request.node.nodeid.partition("::")
        if file not in OF_THE_DIRECTORY or test.partition("[")[0] in WITH_ITS_LEDGER:
            pytest.skip("there is no ledger in PostgreSQL yet")
    made = BACKENDS[request.param](tmp_path)
    yield made
    made.stop()
