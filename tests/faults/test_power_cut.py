"""What a loss of power may leave of the log and of the files in which records arrive: shorter ones, or torn ones.

In strict mode an acknowledged record is on disk and synced, so a disk that keeps its word loses none. To cut a file
here is to play a disk that lies: whatever is left must be a sound ledger that holds the first so many records, and
nothing else.
"""

import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from arouter.domain.record import Record
from arouter.store.sqlite.connections import connect_reader
from tests.conformance.backends import sqlite
from tests.conformance.samples import NOON_US, append, ids, record
from tests.faults.ledgers import contents
from tests.sqlite_file import make_database

BATCHES = 40
IN_EACH = 5
CUTS = 12
FRAME_BYTES = 24 + 4096


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with what is beside it, as they are on disk while the process lives: every record is acknowledged,
    and all but the first ones wait in a file."""
    return written(tmp_path_factory.mktemp("arrived"), booked=False)


@pytest.fixture(scope="module")
def booked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with all of them booked, each group by itself."""
    return written(tmp_path_factory.mktemp("booked"), booked=True)


def written(folder: Path, *, booked: bool) -> Path:
    # Who reads the empty database keeps the log from being moved into it, however long this takes: what is to be cut
    # off must not be there already.
    reader = connect_reader(make_database(folder))
    reader.execute("BEGIN").fetchall()
    reader.execute("SELECT count(*) FROM records").fetchall()
    backend = sqlite(folder)
    for batch in range(BATCHES):
        append(backend, *(numbered(batch * IN_EACH + n) for n in range(IN_EACH)))
        if booked:
            assert len(ids(backend)) == (batch + 1) * IN_EACH
    copy = folder / "copy"
    copy.mkdir()
    for each in folder.glob("arouter.db*"):
        shutil.copy(each, copy)
    backend.stop()
    reader.close()
    return copy


def ends_of_groups(written: Path) -> Sequence[int]:
    """How many records there are behind each group that was acknowledged together. Mostly those that came together, but
    a busy machine may have parted them."""
    with TemporaryDirectory() as folder:
        for each in written.iterdir():
            shutil.copy(each, folder)
        path = f"{folder}/arouter.db"
        contents(Path(path), "org_a")
        with closing(connect_reader(path)) as connection:
            ends = [last_seq for (last_seq,) in connection.execute("SELECT last_seq FROM batches ORDER BY no")]
    assert ends[-1] == BATCHES * IN_EACH
    return ends


def numbered(number: int) -> Record:
    return record(f"gen-{number:05}", opened={"created_at_us": NOON_US + number})


def after_the_cut(written: Path, folder: Path, spoil: Callable[[Path], None]) -> int:
    """How many records are left, which must be the first ones, in a sound ledger."""
    for each in written.iterdir():
        shutil.copy(each, folder)
    spoil(folder)
    found = contents(folder / "arouter.db", "org_a")
    assert (found.report.problems, found.report.open_records) == ((), 0)
    assert [each.opening.id for each in found.records] == [f"gen-{n:05}" for n in range(len(found.records))]
    assert len(found.records) in (0, *ends_of_groups(written))
    return len(found.records)


def log_of(folder: Path) -> Path:
    return folder / "arouter.db-wal"


def file_of(folder: Path) -> Path:
    """The one that was used."""
    (used,) = (each for each in folder.glob("arouter.db-arrivals-*") if each.stat().st_size)
    return used


def used_bytes(file: Path) -> int:
    """Up to the zeros behind the last group."""
    return len(file.read_bytes().rstrip(b"\0"))


def test_everything_acknowledged_is_in_the_untouched_files(arrived: Path, booked: Path, tmp_path: Path) -> None:
    for place, files in enumerate((arrived, booked)):
        folder = tmp_path / str(place)
        folder.mkdir()
        assert after_the_cut(files, folder, lambda folder: None) == BATCHES * IN_EACH


def test_a_shorter_log_leaves_the_first_records_and_a_sound_ledger(booked: Path, tmp_path: Path) -> None:
    size = log_of(booked).stat().st_size
    left = after_cuts(booked, tmp_path, log_of, size)
    assert left == sorted(left)


def test_a_shorter_file_of_arrivals_leaves_the_first_of_them(arrived: Path, tmp_path: Path) -> None:
    size = used_bytes(file_of(arrived))
    left = after_cuts(arrived, tmp_path, file_of, size)
    assert left == sorted(left)
    assert {*left} <= {*ends_of_groups(arrived)[:-1]}


def after_cuts(written: Path, folder: Path, which: Callable[[Path], Path], size: int) -> list[int]:
    """How many records are left of ever longer beginnings of a file that has this size."""
    left = []
    for cut, at in enumerate(sorted(random.randrange(size) for _ in range(CUTS))):
        copy = folder / str(cut)
        copy.mkdir()
        left.append(after_the_cut(written, copy, lambda copy, at=at: truncate(which(copy), at)))  # type: ignore[misc]
    return left


@pytest.mark.parametrize("garbage", [b"\x00", b"\xff", None], ids=["zeros", "ones", "noise"])
def test_a_torn_last_page_of_the_log_takes_its_own_commit_only(
    booked: Path, tmp_path: Path, garbage: bytes | None
) -> None:
    left = after_the_cut(booked, tmp_path, lambda folder: spoil_end(log_of(folder), FRAME_BYTES // 2, garbage))
    assert (BATCHES - 1) * IN_EACH <= left <= BATCHES * IN_EACH


@pytest.mark.parametrize("garbage", [b"\x00", b"\xff", None], ids=["zeros", "ones", "noise"])
def test_a_torn_end_of_the_arrivals_takes_its_own_group_only(
    arrived: Path, tmp_path: Path, garbage: bytes | None
) -> None:
    def tear(folder: Path) -> None:
        file = file_of(folder)
        truncate(file, used_bytes(file))
        spoil_end(file, 500, garbage)

    assert after_the_cut(arrived, tmp_path, tear) == ends_of_groups(arrived)[-2]


def spoil_end(path: Path, size: int, garbage: bytes | None) -> None:
    """Overwrite the last bytes with one value, or with noise."""
    with path.open("r+b") as file:
        file.seek(-size, 2)
        file.write(random.randbytes(size) if garbage is None else garbage * size)


def truncate(log: Path, size: int) -> None:
    with log.open("r+b") as file:
        file.truncate(size)
