"""The sums that a FOCUS table is made of, from columns of activity records.

Needs the extra `analytics`, as `activity_columns` does.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from arouter.domain.record import Status
from arouter.wire.focus import DAY_US, Group, Sums

_GROUP = ("organization_id", "workspace_id", "api_key_hash", "user", "model", "provider")
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")


def sums_of(batch: pa.RecordBatch) -> Iterator[tuple[Group, str, Sums]]:
    """A batch of `activity_columns.SCHEMA` in ascending order: sums by group with the keys' names, days ascending."""
    total = batch.column("total_tokens")
    unpriced = pc.and_(batch.column("cost").is_null(), pc.greater(total.fill_null(0), 0))
    rejected = pc.equal(batch.column("status").cast(pa.utf8()), Status.REJECTED.value)
    table = pa.table(
        {
            "day": pc.divide(batch.column("created_at").cast(pa.int64()), DAY_US),
            **{name: batch.column(name).cast(pa.utf8()) for name in (*_GROUP, "api_key_name")},
            "is_byok": batch.column("is_byok"),
            **{name: batch.column(name) for name in (*_TOKENS, "cost")},
            "without_usage": pc.and_not(total.is_null(), rejected).cast(pa.int64()),
            "without_price": unpriced.cast(pa.int64()),
        }
    )
    sums = table.group_by(["day", *_GROUP, "api_key_name", "is_byok"], use_threads=False).aggregate(
        [([], "count_all"), *((name, "sum") for name in (*_TOKENS, "cost", "without_usage", "without_price"))]
    )
    for row in sums.sort_by("day").to_pylist():
        cost = row["cost_sum"]
        yield (
            Group(
                day=row["day"],
                organization_id=row["organization_id"],
                workspace_id=row["workspace_id"],
                key_hash=row["api_key_hash"],
                user=row["user"],
                model=row["model"],
                provider=row["provider"],
                is_byok=row["is_byok"],
            ),
            row["api_key_name"],
            Sums(
                requests=row["count_all"],
                **{name: row[f"{name}_sum"] or 0 for name in _TOKENS},
                cost=0 if cost is None else int(cost.scaleb(12)),
                requests_without_usage=row["without_usage_sum"],
                requests_without_price=row["without_price_sum"],
            ),
        )
