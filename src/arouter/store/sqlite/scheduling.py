"""How the operating system shares processors among threads."""

import os
import sys
from contextlib import suppress


def let_others_go_on() -> None:
    """Have the calling thread not interrupt another one when it is woken: it begins when a processor is free, or when
    the other one's time is over. For a thread with long work that nobody waits for. Where the system has no such thing,
    or does not allow it, nothing changes."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
