"""A gateway for each test."""

from collections.abc import Iterator

import pytest

from tests.web.api.gateway import Gateway


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running
