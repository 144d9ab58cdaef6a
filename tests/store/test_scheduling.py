"""A thread with long work that nobody waits for does not interrupt others."""

import os
import sys
import threading

import pytest

from arouter.store.sqlite.scheduling import let_others_go_on


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing changes")
def test_it_is_said_of_the_calling_thread_alone() -> None:
    found = []

    def work() -> None:
        let_others_go_on()
        found.append(os.sched_getscheduler(0))

    before = os.sched_getscheduler(0)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [os.SCHED_BATCH]
    assert os.sched_getscheduler(0) == before
