"""Columns of whole numbers brought into order, so that equal keys come one after the other."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from arouter.store.sqlite.archive.blocks import Numbers

_MOST: Final = 2**62
"""A key is one number below this."""
_SPARE: Final = 1 << 20
"""Values that lie so close, and no more than a few for each row, are told apart by a table, else by sorting."""


def in_order(keys: Sequence[Numbers]) -> tuple[Numbers, Numbers]:
    """The places of the rows in the order of their keys, and where in that order another key begins.

    At least one column of at least one row; less than 2^31 rows. Rows of one key come in any order.
    """
    codes, count = _ranks(keys[0])
    for key in keys[1:]:
        ranks, more = _ranks(key)
        if count * more > _MOST:
            codes, count = _ranks(codes)
        codes = codes * more + ranks
        count *= more
    order = np.argsort(codes)
    codes = codes[order]
    differs = np.ones(len(codes), np.bool_)
    np.not_equal(codes[1:], codes[:-1], out=differs[1:])
    return order, np.flatnonzero(differs)


def _ranks(values: Numbers) -> tuple[Numbers, int]:
    """For each value how many different ones are less, and how many there are."""
    least, most = int(values.min()), int(values.max())
    if most - least < 4 * len(values) + _SPARE:
        offsets = values - least
        there = np.zeros(most - least + 1, np.bool_)
        there[offsets] = True
        ranks = np.cumsum(there) - 1
        return ranks[offsets], int(ranks[-1]) + 1
    different, inverse = np.unique(values, return_inverse=True)
    return inverse.astype(np.int64, copy=False), len(different)
