"""The journals of one machine: each has one process, and what the dead left is found once."""

import subprocess
import sys
from pathlib import Path

import pytest

from arouter.domain.errors import StorageUnavailable
from arouter.store.journal.file import JournalFile
from arouter.store.journal.folder import Folder


def test_each_process_has_a_journal_of_its_own(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "made" / "journal")
    claims = [folder.claim() for _ in range(3)]
    for claim in claims:
        JournalFile(claim.path).close()
    assert len({claim.path for claim in claims}) == 3
    assert list(folder.orphans()) == []
    for claim in claims:
        claim.release(delete=True)
    assert sorted(path.name for path in folder.path.iterdir()) == ["claims"]


def test_a_journal_that_was_given_up_is_found_until_it_is_deleted(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    claim = folder.claim()
    JournalFile(claim.path).close()
    claim.release(delete=False)
    found = []
    for orphan in folder.orphans():
        found.append(orphan.path)
        orphan.release(delete=False)
    assert found == [claim.path]
    assert folder.claim().path != claim.path, "what it holds is not a new process's"
    for orphan in folder.orphans():
        assert list(folder.orphans()) == [], "somebody has it"
        orphan.release(delete=True)
    assert folder.journals() == []


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from arouter.store.journal.file import JournalFile\nfrom arouter.store.journal.folder import Folder\n"
        "JournalFile(Folder(Path(sys.argv[1])).claim().path)\nprint('there', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        folder = Folder(tmp_path)
        assert len(folder.journals()) == 1
        assert list(folder.orphans()) == []
        process.kill()
        process.wait()
    assert [Path(orphan.path).name for orphan in folder.orphans()] == ["journal-1.db"]


def test_one_process_at_a_time_recovers(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.recovering() as first, folder.recovering() as second:
        assert (first, second) == (True, False)
    with folder.recovering() as again:
        assert again


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="No journal can be made"):
        Folder(tmp_path / "file").claim()
