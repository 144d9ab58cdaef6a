"""Which groups may be among the first of a summary: the others need no names and no Python objects."""

import numpy as np

from arouter.domain.activity import Dimension, SummaryQuery
from arouter.store.sqlite.columns.adding import Added
from arouter.store.sqlite.columns.blocks import Column
from arouter.store.sqlite.rollups import ROLLUP_SUMS

_LARGEST_UNITS = 2**63 // 1_000_000 - 2
_ROUNDED_US = 2
"""A mean is rounded to the microsecond: so much more or less may be equal."""


def leading(added: Added, query: SummaryQuery) -> Column:
    """Their places: at least the first `limit` in the query's order, and all that may be equal to the last of them."""
    everything = np.arange(len(added))
    if query.limit is None or query.order is None or len(added) <= query.limit:
        return everything
    if query.order.by in [dimension.value for dimension in query.group_by]:
        return everything
    values = _values(added, query)
    if values is None:
        return everything
    known = everything if values[1] is None else np.flatnonzero(values[1])
    if len(known) < query.limit:
        return everything
    numbers = values[0][known]
    if query.order.descending:
        last = np.partition(numbers, len(numbers) - query.limit)[len(numbers) - query.limit]
        highest: Column = known[numbers >= last - values[2]]
        return highest
    last = np.partition(numbers, query.limit - 1)[query.limit - 1]
    lowest: Column = known[numbers <= last + values[2]]
    return lowest


def _values(added: Added, query: SummaryQuery) -> tuple[Column, Column | None, float] | None:
    """What is ordered by, where it is known (None: everywhere), and by how much equal ones may differ. None if these
    numbers cannot be compared here."""
    assert query.order is not None
    by = query.order.by
    sums = dict(zip(ROLLUP_SUMS, added.sums, strict=True))
    if by == "cost":
        units, rest = sums["cost_units"], sums["cost_rest"]
        if np.abs(units).max() > _LARGEST_UNITS or np.abs(rest).max() > 2**61:
            return None
        whole = np.abs(units) + np.abs(rest) // 1_000_000 + 1
        if whole.max() > _LARGEST_UNITS:
            return None
        return units * 1_000_000 + rest, None, 0
    if by == "mean_latency_ms":
        measured = sums["requests_with_latency"]
        means = sums["latency_us"] / np.maximum(measured, 1)
        return means, measured > 0, _ROUNDED_US
    if by == "users":
        if Dimension.USER not in query.group_by or added.user is None:
            return None
        return (added.keys[added.user] > 0).astype(np.int64), None, 0
    return sums[by], None, 0
