"""One gateway for all SDKs, before a sandbox that plays OpenAI, Anthropic and Google, and a process for each SDK."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import Sandbox
from tests.acceptance.gateway import Gateway, running_gateway
from tests.sandbox.conftest import running
from tests.sdks.clients import COMMANDS, Client
from tests.sdks.script import Script, running_script

Scripts = Callable[[Client], Script]


@pytest.fixture(scope="session")
def vendors() -> Iterator[Sandbox]:
    """Speaks for all three."""
    with running(Behaviour()) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def gateway(vendors: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that takes the sandbox for all three."""
    providers = {
        "openai": {"api_key": "key-of-openai", "base_url": vendors.url + "/v1"},
        "anthropic": {"api_key": "key-of-anthropic", "base_url": vendors.url},
        "google": {"api_key": "key-of-google", "base_url": vendors.url},
    }
    with running_gateway(tmp_path_factory.mktemp("gateway"), providers) as started:
        yield started


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripts]:
    """The process in which an SDK runs: started when it is first needed, and kept."""
    started: dict[str, Script] = {}
    with ExitStack() as processes:

        def script_of(client: Client) -> Script:
            if client.script not in started:
                folder = tmp_path_factory.mktemp(client.script)
                command = COMMANDS[client.script]()
                started[client.script] = processes.enter_context(running_script(command, folder))
            return started[client.script]

        yield script_of
