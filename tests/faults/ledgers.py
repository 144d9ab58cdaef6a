"""What a database holds when no gateway runs on it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from arouter.domain.activity import ActivityQuery, Scope
from arouter.domain.record import Record
from arouter.store.base import CheckReport, Home
from arouter.store.sqlite import SqliteStore

NOBODY = Home(organization_id="", workspace_id="", secret=b"")
PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    records: list[Record]
    """Oldest first."""
    report: CheckReport

    def by_id(self) -> dict[str, Record]:
        """Fails if an id is there twice."""
        found = {record.opening.id: record for record in self.records}
        assert len(found) == len(self.records)
        return found

    def by_user(self) -> dict[str | None, Record]:
        """Fails if a user has more than one record."""
        found = {record.opening.user: record for record in self.records}
        assert len(found) == len(self.records)
        return found


def contents(database: Path, organization_id: str | None = None) -> Contents:
    """Every record of an organization, else of the database's own, and what the check says."""
    return asyncio.run(_contents(database, organization_id))


async def _contents(database: Path, organization_id: str | None) -> Contents:
    store = SqliteStore.open(str(database), clock=lambda: 0)
    await store.start()
    if organization_id is None:
        organization_id = (await store.directory.home(NOBODY, now_us=0)).organization_id
    records: list[Record] = []
    after = None
    while True:
        page = await store.ledger.page(
            ActivityQuery(scope=Scope(organization_id=organization_id), descending=False, after=after, limit=PAGE)
        )
        records += [row.record for row in page.rows]
        after = page.next_cursor
        if after is None:
            break
    report = await store.ledger.check()
    await store.close()
    return Contents(records=records, report=report)
