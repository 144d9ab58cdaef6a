"""What holds for every test."""

import gc
import signal
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

# Whether a property holds does not depend on how busy the machine is: speed is for the benchmarks.
settings.register_profile("arouter", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("arouter")

TOGETHER = PurePosixPath("tests/sdks")
"""Its files share what takes minutes to install and seconds to start: one process runs all of them, and no other one
waits for it."""
FIRST = ("tests/sdks/", "tests/faults/", "tests/focus/", "tests/store/")
"""Long ones: at the end, one process would still be busy with one of them while the others have nothing left."""


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist tells no types
    """A file is run by one process, and so is `TOGETHER`."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.split("::", 1)[0])
        return str(TOGETHER if TOGETHER in file.parents else file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    return Scheduling(config, log)


def pytest_configure() -> None:
    # A shell starts what runs in the background deaf to it, and then everything that a test starts is so, too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_collection_finish() -> None:
    # The tests stay until the end: to go through them for garbage, again and again, took a minute.
    gc.freeze()
