"""One journal: what is written is what is read, and what is counted is what is there."""

from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arouter.domain.errors import StorageUnavailable
from arouter.domain.interruption import interrupted
from arouter.domain.record import Record
from arouter.store.journal.file import Entry, Held, JournalFile, SetAside, write_record
from tests.conformance.samples import BARE, FULL, ZEROS, opening, record
from tests.store.test_sqlite_stateful import RECORDS


def entry_of(one: Record) -> Entry:
    return Entry(no=1, id=one.opening.id, known=False, body=write_record(one))


@settings(max_examples=50)
@given(RECORDS)
def test_a_record_comes_back_as_it_was(one: Record) -> None:
    assert entry_of(one).record == one


@pytest.mark.parametrize("one", [FULL, BARE, ZEROS], ids=lambda one: one.opening.id)
def test_so_do_those_with_everything_and_with_nothing(one: Record) -> None:
    assert entry_of(one).record == one


def test_a_text_that_is_not_unicode_is_no_record() -> None:
    with pytest.raises(ValueError):
        write_record(record("gen-1", model="\ud800"))


def append(file: JournalFile, name: str, at_us: int = 5, *, known: bool = False) -> None:
    file.append(name, write_record(record(name)), closed_at_us=at_us, known=known)


def test_records_are_taken_in_their_order_and_stay_until_they_are_removed(tmp_path: Path) -> None:
    file = JournalFile(str(tmp_path / "j.db"))
    with file.transaction():
        for number, name in enumerate(("b", "a", "c")):
            append(file, name, 10 + number, known=name == "a")
        append(file, "a", 99)  # it waits already
    with file.transaction():
        first = file.take(2)
        assert [(one.id, one.known) for one in first] == [("b", False), ("a", True)]
        assert [one.id for one in file.take(2, after=first[-1].no)] == ["c"]
        file.remove([first[0].no])
        assert [one.id for one in file.take(9)] == ["a", "c"]
        assert (file.held().records, file.held().oldest_us) == (2, 11)
    file.close()
    again = JournalFile(str(tmp_path / "j.db"))
    assert [one.id for one in again.take(9)] == ["a", "c"]
    again.close()


def test_an_opening_without_a_record_becomes_interrupted(tmp_path: Path) -> None:
    file = JournalFile(str(tmp_path / "j.db"))
    left = opening("gen-2", asked_bytes=400, routed_model="openai/gpt-5.4")
    with file.transaction():
        file.open([opening("gen-1"), left, opening("gen-3"), opening("gen-4", user="\ud800")])
        append(file, "gen-1")
        file.close_openings(["gen-3"])
        assert file.held().openings == 1
        assert file.interrupt(now_us=77) == 1
        assert file.held().openings == 0
        assert file.take(9)[1].record == interrupted(left, now_us=77)
    file.close()


def test_an_empty_journal_grows_again_with_what_it_holds(tmp_path: Path) -> None:
    file = JournalFile(str(tmp_path / "j.db"))
    empty = file.held()
    assert empty.is_empty
    with file.transaction():
        for number in range(500):
            append(file, f"gen-{number}")
    full = file.held()
    assert full.bytes > empty.bytes + 100_000
    with file.transaction():
        file.remove([one.no for one in file.take(500)])
    assert file.held().bytes < empty.bytes + 50_000
    assert file.held() == Held(bytes=file.held().bytes)
    file.close()


STEPS = st.lists(
    st.tuples(st.sampled_from(["append", "open", "close", "remove", "aside", "forget", "fail"]), st.integers(0, 5)),
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_what_is_counted_on_is_what_a_new_connection_counts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = str(tmp_path_factory.mktemp("journal") / "j.db")
    file = JournalFile(path)
    for step, number in steps:
        try:
            with file.transaction():
                file.held()
                change(file, step, number)
        except apsw.Error:
            assert step == "fail"
    counted = file.held()
    file.close()
    other = JournalFile(path)
    assert other.held() == counted
    other.close()


def change(file: JournalFile, step: str, number: int) -> None:
    name = f"gen-{number}"
    if step in ("append", "fail"):
        append(file, name)
    elif step == "open":
        file.open([opening(name)])
    elif step == "close":
        file.close_openings([name])
    elif step == "remove":
        file.remove([number])
    elif step == "aside":
        file.set_aside([SetAside(id=name, at_us=1, reason="why", body="{}")])
    else:
        file.forget_set_aside([name])
    if step == "fail":
        raise apsw.FullError("no room")


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    JournalFile(path).close()
    connection = apsw.Connection(path)
    connection.pragma("user_version", 2)
    connection.close()
    with pytest.raises(StorageUnavailable, match="later version"):
        JournalFile(path)
