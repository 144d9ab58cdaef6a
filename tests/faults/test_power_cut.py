"""What a loss of power may leave of the log: a shorter one, or one whose last page is torn.

With `synchronous=FULL` an acknowledged commit is in the log and synced, so a disk that keeps its word loses none. To
cut the log here is to play a disk that lies: whatever is left must be a sound ledger that holds the first so many
records, and nothing else.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from arouter.domain.record import Record
from tests.conformance.backends import sqlite
from tests.conformance.samples import NOON_US, append, record
from tests.faults.ledgers import contents

BATCHES = 40
IN_EACH = 5
CUTS = 12
FRAME_BYTES = 24 + 4096


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its log as they are on disk while the process lives, every record acknowledged."""
    folder = tmp_path_factory.mktemp("written")
    backend = sqlite(folder)
    for batch in range(BATCHES):
        append(backend, *(numbered(batch * IN_EACH + n) for n in range(IN_EACH)))
    copy = folder / "copy"
    copy.mkdir()
    for name in ("arouter.db", "arouter.db-wal"):
        shutil.copy(folder / name, copy / name)
    backend.stop()
    return copy


def numbered(number: int) -> Record:
    return record(f"gen-{number:05}", opened={"created_at_us": NOON_US + number})


def after_the_cut(written: Path, folder: Path, spoil: Callable[[Path], None]) -> int:
    """How many records are left, which must be the first ones, in a sound ledger."""
    for name in ("arouter.db", "arouter.db-wal"):
        shutil.copy(written / name, folder / name)
    spoil(folder / "arouter.db-wal")
    found = contents(folder / "arouter.db", "org_a")
    assert (found.report.problems, found.report.open_records) == ((), 0)
    assert [each.opening.id for each in found.records] == [f"gen-{n:05}" for n in range(len(found.records))]
    assert len(found.records) % IN_EACH == 0
    return len(found.records)


def test_everything_acknowledged_is_in_the_untouched_files(written: Path, tmp_path: Path) -> None:
    assert after_the_cut(written, tmp_path, lambda log: None) == BATCHES * IN_EACH


def test_a_shorter_log_leaves_the_first_records_and_a_sound_ledger(written: Path, tmp_path: Path) -> None:
    size = (written / "arouter.db-wal").stat().st_size
    left = []
    for cut, at in enumerate(sorted(random.randrange(size) for _ in range(CUTS))):
        folder = tmp_path / str(cut)
        folder.mkdir()
        left.append(after_the_cut(written, folder, lambda log, at=at: truncate(log, at)))  # type: ignore[misc]
    assert left == sorted(left)


@pytest.mark.parametrize("garbage", [b"\x00", b"\xff", None], ids=["zeros", "ones", "noise"])
def test_a_torn_last_page_takes_its_own_commit_only(written: Path, tmp_path: Path, garbage: bytes | None) -> None:
    def tear(log: Path) -> None:
        half = FRAME_BYTES // 2
        data = random.randbytes(half) if garbage is None else garbage * half
        with log.open("r+b") as file:
            file.seek(-half, 2)
            file.write(data)

    assert after_the_cut(written, tmp_path, tear) in ((BATCHES - 1) * IN_EACH, BATCHES * IN_EACH)


def truncate(log: Path, size: int) -> None:
    with log.open("r+b") as file:
        file.truncate(size)
