"""Pages over a long past: looked for in longer and longer stretches, each record is found once and in order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from arouter.domain.activity import ActivityQuery, Filters
from arouter.store.clickhouse.copier import Copier
from arouter.store.clickhouse.reader import ClickHouseReader
from tests.conformance.backends import Backend, inside, memory
from tests.conformance.samples import NOON_US, SCOPE, append, record
from tests.store.clickhouse.engine import new_place

MINUTE_US = 60_000_000
AGES = (0, 0, 1, 14, 15, 16, 239, 240, 241, 500, 4_319, 4_320, 5_000, 57_600, 60_000, 200_000)
"""In minutes: within, at and beyond the ends of the stretches."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, ClickHouseReader]]:
    """A ledger and its copy."""
    ledger = memory(Path(tmp_path_factory.mktemp("ledger")))
    append(
        ledger,
        *(
            record(
                f"gen-{number:02}",
                opened={"created_at_us": NOON_US - age * MINUTE_US, "user": f"user-{number % 3}"},
            )
            for number, age in enumerate(AGES)
        ),
    )
    copier = Copier(inside(), new_place(), ledger.store.feed)
    ledger.run(copier.step())
    yield ledger, ClickHouseReader(inside(), copier, ledger.directory)
    ledger.stop()


@pytest.mark.parametrize("descending", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(users=("user-0", "user-2")),
        Filters(users=("nobody", "no-one")),
        Filters(start_us=NOON_US - 300 * MINUTE_US),
        Filters(end_us=NOON_US - 240 * MINUTE_US),
        Filters(start_us=NOON_US - 5_000 * MINUTE_US, end_us=NOON_US - 15 * MINUTE_US),
        Filters(end_us=NOON_US - 300_000 * MINUTE_US),
    ],
    ids=["all", "of two", "of nobody", "since", "until", "between", "before all"],
)
def test_page_by_page_the_copy_tells_what_the_ledger_tells(
    both: tuple[Backend, ClickHouseReader], filters: Filters, limit: int, descending: bool
) -> None:
    ledger, reader = both

    async def pages() -> list[str]:
        query = ActivityQuery(scope=SCOPE, filters=filters, limit=limit, descending=descending)
        told: list[str] = []
        for _ in AGES:
            page = await reader.page(await reader.state(), query)
            assert page == await ledger.ledger.page(query)
            told += [row.record.opening.id for row in page.rows]
            if page.next_cursor is None:
                break
            query = ActivityQuery(
                scope=SCOPE, filters=filters, limit=limit, descending=descending, after=page.next_cursor
            )
        return told

    told = ledger.run(pages())
    assert len({*told}) == len(told)
