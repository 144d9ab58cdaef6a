"""A PostgreSQL database for each test, in one server for all."""

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer, shared_server


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    return shared_server()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.new_database()
    yield url
    postgres_server.drop_database(url)
