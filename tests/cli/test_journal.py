"""`arouter db journal`: what waits for a database that nobody reaches."""

import json
from pathlib import Path

import pytest

from arouter.store.journal.file import JournalFile, SetAside, write_record
from tests.cli.process import refused, succeeded, told
from tests.conformance.samples import record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a gateway was whose database cannot be reached."""
    (tmp_path / "arouter.toml").write_text('[storage]\nurl = "postgresql://arouter@127.0.0.1:1/arouter"\n')
    return tmp_path


def fill(folder: Path) -> None:
    (folder / "arouter-journal").mkdir()
    file = JournalFile(str(folder / "arouter-journal" / "journal-1.db"))
    with file.transaction():
        for number in range(3):
            one = record(f"gen-{number}")
            file.append(one.opening.id, write_record(one), closed_at_us=1_790_000_000_000_000 + number, known=False)
        bad = write_record(record("gen-bad"))
        file.set_aside([SetAside(id="gen-bad", at_us=1_790_000_000_000_000, reason="too large", body=bad)])
    file.close()


def test_what_waits_is_told_without_the_database(folder: Path) -> None:
    assert told("db", "journal", cwd=folder)["records"] == 0
    fill(folder)
    waiting = told("db", "journal", cwd=folder)
    assert waiting["path"] == str(folder / "arouter-journal")
    assert (waiting["journals"], waiting["records"], waiting["set_aside"], waiting["running"]) == (1, 3, 1, 0)
    assert waiting["oldest_at"] == "2026-09-21T14:13:20Z"
    assert "3 records, the first since 2026-09-21T14:13:20Z; 1 that the database refused for good" in succeeded(
        "db", "journal", cwd=folder
    )


def test_what_was_set_aside_is_written_whole(folder: Path) -> None:
    fill(folder)
    (line,) = succeeded("db", "journal", "--set-aside", cwd=folder).splitlines()
    one = json.loads(line)
    assert (one["id"], one["reason"], one["at"]) == ("gen-bad", "too large", "2026-09-21T14:13:20Z")
    assert one["record"]["cost"] == 1_234_500_000


def test_a_database_in_a_file_has_no_journal(tmp_path: Path) -> None:
    assert "there is no journal" in refused("db", "journal", cwd=tmp_path)
