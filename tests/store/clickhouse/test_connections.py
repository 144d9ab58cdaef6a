"""Where ClickHouse is: addresses that can be, passwords that do not show, and servers that are away."""

import asyncio
import socket

import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.clickhouse.conditions import text
from arouter.store.clickhouse.connections import Address, Connections
from tests.conformance.backends import inside


@pytest.mark.parametrize(
    "url", ["http://clickhouse", "http://[::1]:8123", "https://a.example:8443/", "chdb:", "chdb:/x"]
)
def test_addresses(url: str) -> None:
    Address(url=url).check()


@pytest.mark.parametrize("url", ["", "clickhouse:8123", "ftp://x", "http://", "http://x:99999", "http://x:0"])
def test_what_is_no_address_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        Address(url=url).check()


def test_a_password_belongs_into_its_own_setting_and_never_shows() -> None:
    with pytest.raises(ValueError, match="settings of their own") as refused:
        Address(url="http://me:hunter2@x:8123").check()
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(Address(url="http://x", user="me", password="hunter2"))


def test_a_server_that_is_away_is_storage_that_is_not_available() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        connections = Connections(Address(url=f"http://127.0.0.1:{taken.getsockname()[1]}"), threads=1)
        with pytest.raises(StorageUnavailable):
            asyncio.run(connections.run(lambda client: client.query("SELECT 1", {})))
        connections.close()


@pytest.mark.parametrize("value", ["", "'", "\\", "a\x00b", "ü🙂", "'); DROP TABLE records; --", "{x:String}", "%s"])
def test_any_text_is_a_text_in_a_statement(value: str) -> None:
    ((found,),) = asyncio.run(inside().run(lambda client: client.query(f"SELECT {text(value)}", {})))
    assert found == value
