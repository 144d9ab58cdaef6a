"""The garbage collector forgets what stays, and goes on finding what does not."""

import gc
import subprocess
import sys
import weakref

SCRIPT = """
import gc
from arouter.wiring.heap import THRESHOLDS, settle_heap
kept = [{} for _ in range(1000)]
settle_heap()
assert gc.get_freeze_count() > 1000
assert gc.get_threshold() == THRESHOLDS
assert not any(one is kept[0] for one in gc.get_objects())
"""


def test_what_is_there_is_not_looked_at_again() -> None:
    """In a process of its own: it cannot be taken back."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)


class Node:
    def __init__(self) -> None:
        self.me = self


def test_a_cycle_that_comes_later_is_found() -> None:
    gc.freeze()
    try:
        gone = weakref.ref(Node())
        gc.collect()
        assert gone() is None
    finally:
        gc.unfreeze()
