"""What waits in a folder, told from beside."""

import asyncio
from pathlib import Path

from arouter.store.journal.file import JournalFile, SetAside
from arouter.store.journal.looking import Waiting, everything_set_aside, look
from tests.conformance.samples import opening, record
from tests.store.journal.unsteady import Process, Weather, new_store, unsteady

NOTHING = Waiting(journals=0, unreadable=0, records=0, openings=0, set_aside=0, oldest_us=None, bytes=0)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert look(tmp_path / "none") == NOTHING
    assert list(everything_set_aside(tmp_path / "none")) == []


def test_the_living_and_the_dead_are_counted_and_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    dead = JournalFile(str(tmp_path / "journal-7.db"))
    refused = SetAside(id="gen-x", at_us=3, reason="never", body="{}")
    with dead.transaction():
        dead.append("gen-0", "{}", closed_at_us=5, known=False)
        dead.set_aside([refused])
    dead.close()
    (tmp_path / "journal-8.db").write_bytes(b"no database at all" * 100)

    async def work() -> None:
        process = Process(tmp_path, unsteady(new_store()))
        await process.start()
        process.inner.weather = Weather.REFUSED
        process.ledger.open(opening("gen-runs"))
        await asyncio.sleep(0.1)
        await process.ledger.close(record("gen-1"))
        found = look(tmp_path)
        assert (found.journals, found.unreadable) == (3, 1)
        assert (found.records, found.openings, found.set_aside, found.oldest_us) == (2, 1, 1, 5)
        assert found.bytes > 0
        assert list(everything_set_aside(tmp_path)) == [refused]
        await process.die()

    asyncio.run(work())
