"""The garbage collector, told what a gateway is like.

What is made at the start (code, settings, prices, the API's document) stays until the end: a hundred thousand objects,
which every full collection would walk through while all requests wait, 70 to 130 ms each time. A request leaves next
to nothing that needs the collector: its objects go when it does, by their counts.
"""

import gc
from typing import Final

THRESHOLDS: Final = (10_000, 20, 50)
"""Objects more than before until the young are looked at, and how often that is until the older ones are. Ten thousand
are half a millisecond."""


def settle_heap() -> None:
    """Let the collector forget what is there, and look less often. To be called when everything has started.

    Nothing is collected first: that would be such a pause, for some thousand objects.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
