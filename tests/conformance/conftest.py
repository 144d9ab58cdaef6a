"""Every test of the suites runs once for each backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.backends import BACKENDS, Backend


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made = BACKENDS[request.param](tmp_path)
    yield made
    made.stop()
