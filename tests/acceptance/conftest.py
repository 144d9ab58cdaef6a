"""One gateway for the tests of clients: three providers of three dialects, all played by the sandbox."""

from collections.abc import Iterator

import pytest

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import Sandbox
from tests.acceptance.client import Client
from tests.acceptance.gateway import Gateway, running_gateway
from tests.acceptance.replay import Replay, running_replay
from tests.acceptance.stored import Stored, stored_in
from tests.sandbox.conftest import running


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    """Speaks for OpenAI, Anthropic and Google."""
    with running(Behaviour()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def three_dialects(vendors: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that takes the sandbox for all three."""
    providers = {
        "openai": {"api_key": "key-of-openai", "base_url": vendors.url + "/v1"},
        "anthropic": {"api_key": "key-of-anthropic", "base_url": vendors.url},
        "google": {"api_key": "key-of-google", "base_url": vendors.url},
    }
    with running_gateway(tmp_path_factory.mktemp("three"), providers) as started:
        yield started


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway without any setting: its own sandbox is its only provider."""
    with running_gateway(tmp_path_factory.mktemp("alone")) as started:
        yield started


@pytest.fixture(scope="module")
def caller(alone: Gateway) -> Iterator[Client]:
    """With the first live key of the gateway that is alone."""
    with alone.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    """A provider that says what was recorded."""
    with running_replay() as server:
        yield server


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[Client]:
    """Of the module's own gateway."""
    with gateway.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def stored(gateway: Gateway) -> Iterator[Stored]:
    """The database of the module's own gateway."""
    with stored_in(gateway.database) as opened:
        yield opened
