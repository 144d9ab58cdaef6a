"""A look into the database of a gateway that runs: what HTTP does not show."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arouter.domain.record import Record
from arouter.store.base import Home
from arouter.store.sqlite import SqliteStore


class Stored:
    """Reads through the store's own protocols."""

    def __init__(self, store: SqliteStore, runner: asyncio.Runner) -> None:
        self._store = store
        self._runner = runner
        nobody = Home(organization_id="", workspace_id="", secret=b"")
        self._home = runner.run(store.directory.home(nobody, now_us=0))
        assert self._home is not nobody

    def record(self, record_id: str) -> Record:
        row = self._runner.run(self._store.ledger.get(self._home.organization_id, record_id))
        assert row is not None
        return row.record

    def pseudonym(self, user: str) -> str:
        """What a provider learns of the user: by the contract, not by the gateway's code."""
        subject = self._home.organization_id.encode() + b"\0" + user.encode()
        return hmac.new(self._home.secret, subject, hashlib.sha256).hexdigest()


@contextmanager
def stored_in(database: Path) -> Iterator[Stored]:
    store = SqliteStore.open(str(database), clock=lambda: time.time_ns() // 1000)
    with asyncio.Runner() as runner:
        runner.run(store.start())
        try:
            yield Stored(store, runner)
        finally:
            runner.run(store.close())
