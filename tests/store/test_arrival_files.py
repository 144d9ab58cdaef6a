"""The files in which records wait: what is kept is found again, by whoever looks, whatever a disk does, and whenever a
process ends."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from arouter.store.sqlite.arrival_files import (
    MOST_UNBOOKED,
    Packed,
    groups_above,
    has_groups_above,
    paths_of,
)
from arouter.store.sqlite.arrivals import read_without_writing
from arouter.store.sqlite.checks import check_ledger
from arouter.store.sqlite.connections import connect_reader, transaction
from arouter.store.sqlite.prepared import pack
from tests.store.kept_files import (
    FailingDisk,
    Keeper,
    booked,
    booked_through,
    failing_disk,
    files_of,
    numbers,
    prepared,
    waits,
)


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    with failing_disk() as made:
        yield made


# ---------------------------------------------------------------- what is kept is found


@pytest.mark.parametrize("durable", [True, False])
def test_what_is_kept_is_read_back_in_order(path: str, durable: bool) -> None:
    keeper = Keeper(path, durable=durable).claim()
    groups = [[prepared(f"gen-{no}-{each}") for each in range(1 + no)] for no in range(3)]
    waiting = [keeper.files.keep(some, pack(some), 10 + no) for no, some in enumerate(groups)]
    assert waiting == [(1, 1), (2, 3), (3, 6)]
    assert keeper.files.unbooked == (3, 6)
    assert groups_above(path, keeper.no, 0) == [Packed(1 + no, 10 + no, pack(some)) for no, some in enumerate(groups)]
    assert numbers(path, keeper.no, 2) == [3]
    assert [has_groups_above(path, keeper.no, above) for above in range(4)] == [True, True, True, False]
    keeper.end()


def test_nothing_is_kept_before_the_pair_is_there_nor_behind_its_end(path: str) -> None:
    keeper = Keeper(path)
    assert not keeper.keep("gen-1")
    with transaction(keeper.connection):
        keeper.files.claim(keeper.connection, keeper.owner)
        assert not keeper.keep("gen-2")
    keeper.files.committed()
    assert keeper.keep("gen-3")
    no = keeper.no
    keeper.end()
    assert not keeper.keep("gen-4")
    assert numbers(path, no) == [1]


def test_a_pair_whose_claim_failed_leaves_nothing_behind(path: str, tmp_path: Path) -> None:
    keeper = Keeper(path)
    keeper.connection.execute("BEGIN IMMEDIATE")
    keeper.files.claim(keeper.connection, keeper.owner)
    keeper.connection.execute("ROLLBACK")
    keeper.files.forget()
    assert [each.name for each in tmp_path.glob("*-arrivals-*")] == []
    assert booked_through(path) == {}
    assert keeper.files.no is None


def test_files_are_readable_by_their_owner_alone(path: str, keeper: Keeper) -> None:
    before = os.umask(0)
    try:
        other = Keeper(path).claim()
    finally:
        os.umask(before)
    found = files_of(path, other.no) + files_of(path, keeper.no)
    assert [stat.S_IMODE(each.stat().st_mode) for each in found] == [0o600] * 4
    other.end()


def test_files_are_beside_the_database_and_not_beside_a_link_to_it(path: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link.db").symlink_to(path)
    by_link = Keeper(elsewhere / "link.db").claim()
    by_link.keep("gen-1")
    assert len(files_of(path, by_link.no)) == 2
    assert [each.name for each in elsewhere.glob("*-arrivals-*")] == []
    other = Keeper(path)
    other.book()
    assert booked(path) == ["gen-1"]
    other.end()
    by_link.end()


def test_no_more_wait_than_so_many_and_who_comes_then_is_booked_at_once(keeper: Keeper, path: str) -> None:
    some = [prepared("gen-1")] * (MOST_UNBOOKED - 1)
    assert keeper.files.keep(some, b"many", 1) == (1, MOST_UNBOOKED - 1)
    assert not keeper.keep("gen-2", "gen-3")
    assert keeper.keep("gen-4")
    assert not keeper.keep("gen-5")
    taken, through = keeper.files.take(0)
    assert ([group.no for group in taken], through) == ([1, 2], 2)
    keeper.files.booked(through)
    assert keeper.files.unbooked == (0, 0)
    assert keeper.keep("gen-6")
    assert numbers(path, keeper.no, through) == [3]


# ---------------------------------------------------------------- what a dying process leaves


GROUPS = (b"", b"r", b"records", b"\0" * 40)


def a_file(path: str, sizes: tuple[bytes, ...] = GROUPS) -> tuple[Path, int, list[int]]:
    """The first file of a dead process, the number of its pair, and where each of its groups ends."""
    keeper = Keeper(path).claim()
    ends = [0]
    for packed in sizes:
        assert keeper.files.keep([prepared("gen-1")], packed, 7) is not None
        ends.append(ends[-1] + 32 + len(packed))
    no = keeper.no
    keeper.end()
    return files_of(path, no)[0], no, ends


def test_a_file_that_ends_anywhere_has_all_groups_before(path: str) -> None:
    file, no, ends = a_file(path)
    whole = file.read_bytes()[: ends[-1]]
    for size in range(len(whole), -1, -1):
        file.write_bytes(whole[:size])
        assert numbers(path, no) == [each for each in range(1, len(ends)) if ends[each] <= size]
        # A process that dies leaves zeros behind what it wrote, since the file grows before.
        file.write_bytes(whole[:size] + bytes(500))
        expected = [each for each in range(1, len(ends)) if not any(whole[size : ends[each]])]
        assert numbers(path, no) == expected


def test_a_group_of_which_any_byte_is_wrong_is_none_and_the_others_are(path: str) -> None:
    file, no, ends = a_file(path)
    whole = file.read_bytes()
    for place in range(ends[-1]):
        hit = sum(end <= place for end in ends)
        # The last one may as well be one that was never written to its end.
        there = [(each, each != hit) for each in range(1, len(ends) - (hit == len(ends) - 1))]
        for wrong in (whole[place] ^ 1, whole[place] ^ 0x80, 255 - whole[place]):
            spoiled = bytearray(whole)
            spoiled[place] = wrong
            file.write_bytes(spoiled)
            assert [(group.no, group.is_whole) for group in groups_above(path, no, 0)] == there


def test_groups_of_another_pair_count_for_nothing(path: str) -> None:
    file, no, _ = a_file(path)
    other, other_no, _ = a_file(path)
    shutil.copyfile(file, other)
    assert numbers(path, other_no) == []
    assert numbers(path, no) == [1, 2, 3, 4]


# ---------------------------------------------------------------- rounds


def test_others_arrive_in_the_other_file_while_the_first_is_booked(keeper: Keeper, path: str) -> None:
    first, second = files_of(path, keeper.no)
    keeper.keep("gen-1")
    before = first.read_bytes()
    keeper.book(meanwhile=lambda: keeper.keep("gen-2"))
    assert booked(path) == ["gen-1"]
    assert booked_through(path) == {keeper.no: 1}
    assert second.stat().st_size > 0
    assert numbers(path, keeper.no, 1) == [2]
    assert before != first.read_bytes(), "it tells of what was booked"
    keeper.book()
    assert booked(path) == ["gen-1", "gen-2"]
    assert not waits(path)


def test_files_stay_small_however_many_rounds(keeper: Keeper, path: str) -> None:
    for no in range(60):
        assert keeper.keep(f"gen-{no}", error_code="x" * 20_000)
        keeper.book()
    assert sum(each.stat().st_size for each in files_of(path, keeper.no)) < 1_000_000
    assert len(booked(path)) == 60


def test_a_round_never_yields_a_group_of_an_earlier_one(path: str) -> None:
    """Groups of equal length, so that what is overwritten stands exactly behind what was written."""
    for rounds in range(1, 5):
        for kept in range(1, 4):
            keeper = Keeper(path).claim()
            no = keeper.no
            last = 0
            for count in [4] * rounds + [kept]:
                through = last
                keeper.files.booked(keeper.files.take(through)[1])
                for _ in range(count):
                    last += 1
                    assert keeper.files.keep([prepared("gen-1")], b"same", last) is not None
            keeper.end()
            assert groups_above(path, no, through) == [
                Packed(each, each, b"same") for each in range(through + 1, last + 1)
            ]


def test_groups_of_an_earlier_round_are_none_also_if_the_database_forgot_that_they_were_booked(path: str) -> None:
    """As with the power, where it is not asked to be durable."""
    keeper = Keeper(path).claim()
    no = keeper.no
    for _ in range(4):
        keeper.files.keep([prepared("gen-1")], b"same", 1)
    keeper.files.booked(keeper.files.take(0)[1])
    keeper.files.keep([prepared("gen-1")], b"same", 1)
    keeper.files.booked(keeper.files.take(4)[1])
    keeper.files.keep([prepared("gen-1")], b"same", 1)
    keeper.end()
    assert [group.no for group in groups_above(path, no, 0) if group.records] == [6]


def test_a_transaction_that_fails_leaves_what_waits(keeper: Keeper, path: str) -> None:
    keeper.keep("gen-1")
    keeper.book(meanwhile=lambda: keeper.keep("gen-2"), fails=True)
    keeper.keep("gen-3")
    keeper.book(meanwhile=lambda: keeper.keep("gen-4"), fails=True)
    assert booked(path) == []
    assert numbers(path, keeper.no) == [1, 2, 3, 4]
    keeper.keep("gen-5")
    keeper.book()
    assert booked(path) == [f"gen-{no}" for no in range(1, 6)]
    assert keeper.files.unbooked == (0, 0)


def test_what_another_process_booked_is_not_booked_again(keeper: Keeper, path: str) -> None:
    other = Keeper(path)
    keeper.keep("gen-1")
    keeper.keep("gen-2")
    other.book(meanwhile=lambda: keeper.keep("gen-3"))
    assert booked(path) == ["gen-1", "gen-2"]
    keeper.keep("gen-4")
    keeper.book()
    other.book()
    assert booked(path) == ["gen-1", "gen-2", "gen-3", "gen-4"]
    assert booked_through(path) == {keeper.no: 4}
    other.end()


def test_groups_are_booked_in_their_order_also_if_the_clock_is_set_back(keeper: Keeper, path: str) -> None:
    """So of one that comes twice the first one counts."""
    keeper.at_us = 100
    keeper.keep("gen-1", http_status=200)
    keeper.at_us = 50
    keeper.keep("gen-1", http_status=500)
    keeper.keep("gen-2")
    keeper.book()
    assert booked(path) == ["gen-1", "gen-2"]
    assert keeper.connection.execute("SELECT http_status FROM records WHERE id = 'gen-1'").get == 200


# ---------------------------------------------------------------- a disk that fails

FAULTS = ({"writes": False}, {"writes_half": True}, {"syncs": False})


def spoil(disk: FailingDisk, fault: dict[str, bool]) -> None:
    for name, value in fault.items():
        setattr(disk, name, value)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_kept_is_not_acknowledged_and_nothing_is_until_all_is_booked(
    keeper: Keeper, path: str, disk: FailingDisk, fault: dict[str, bool]
) -> None:
    keeper.keep("gen-1")
    spoil(disk, fault)
    assert not keeper.keep("gen-2")
    disk.heal()
    assert not keeper.keep("gen-3"), "behind what may not be there"
    keeper.book()
    assert booked(path) == ["gen-1", "gen-2", "gen-3"]
    assert keeper.keep("gen-4")
    keeper.book()
    assert booked(path) == ["gen-1", "gen-2", "gen-3", "gen-4"]
    assert not waits(path)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kept_before", [0, 1])
def test_what_is_acknowledged_behind_a_failure_is_seen_by_others(
    keeper: Keeper, path: str, disk: FailingDisk, fault: dict[str, bool], kept_before: int
) -> None:
    """A failure while others are booked must not make a gap that hides what comes behind it."""
    acknowledged = ["gen-1"]
    keeper.keep("gen-1")

    def meanwhile() -> None:
        if kept_before:
            assert keeper.keep("gen-2")
            acknowledged.append("gen-2")
        spoil(disk, fault)
        assert not keeper.keep("gen-failed")
        disk.heal()

    keeper.book(meanwhile=meanwhile)
    if keeper.keep("gen-3"):
        acknowledged.append("gen-3")
    with closing(connect_reader(path)) as reader:
        read = read_without_writing(
            reader, lambda view: [each for (each,) in view.execute("SELECT id FROM records ORDER BY seq")]
        )
    assert [each for each in read if each != "gen-failed"] == acknowledged
    other = Keeper(path)
    other.book()
    assert [each for each in booked(path) if each != "gen-failed"] == acknowledged
    keeper.book()
    assert sorted(booked(path)) == sorted(
        [*acknowledged, *(["gen-3"] if "gen-3" not in acknowledged else []), "gen-failed"]
    )
    other.end()


@pytest.mark.parametrize("fault", FAULTS)
def test_an_older_view_is_told_also_if_nothing_can_be_written_behind_the_booking(
    keeper: Keeper, path: str, disk: FailingDisk, fault: dict[str, bool]
) -> None:
    keeper.keep("gen-1")
    keeper.keep("gen-2")
    keeper.book(meanwhile=lambda: spoil(disk, fault))
    assert [has_groups_above(path, keeper.no, above) for above in range(2)] == [True, True]


@pytest.mark.parametrize("dies", [True, False])
def test_a_gap_is_read_past_only_once_its_owner_is_dead(path: str, dies: bool) -> None:
    """While it lives the group may be on its way; then it was none."""
    keeper = Keeper(path).claim()
    no = keeper.no
    for each in range(1, 4):
        keeper.files.keep([prepared("gen-1")], b"r", each)
    first, second = paths_of(path, no)
    one, two, three = (Path(first).read_bytes()[at : at + 33] for at in (0, 33, 66))
    Path(second).write_bytes(three)
    Path(first).write_bytes(one + bytes(99))
    if dies:
        keeper.end()
    assert numbers(path, no) == ([1, 3] if dies else [1])
    Path(first).write_bytes(one + two)
    assert numbers(path, no) == [1, 2, 3]
    if not dies:
        keeper.end()


# ---------------------------------------------------------------- a file that was damaged


@pytest.mark.parametrize("harmed", [{1}, {3}, {2, 3}, {1, 4}], ids=str)
@pytest.mark.parametrize("place", [0, 8, 24, 28, 32, -1], ids=lambda place: f"at {place}")
def test_damage_costs_the_groups_that_it_hits_and_is_kept_and_told(path: str, harmed: set[int], place: int) -> None:
    file, no, ends = a_file(path, tuple(pack([prepared(f"gen-{each}")]) for each in range(1, 6)))
    found = bytearray(file.read_bytes())
    for each in harmed:
        found[ends[each] - 1 if place < 0 else ends[each - 1] + place] ^= 0xFF
    file.write_bytes(found)
    with closing(connect_reader(path)) as reader:
        seen = read_without_writing(reader, lambda view: view.execute("SELECT count(*) FROM records").get)
    assert seen == 5 - len(harmed)
    other = Keeper(path)
    other.book()
    assert booked(path) == [f"gen-{each}" for each in range(1, 6) if each not in harmed]
    stretches = [{*harmed}] if harmed != {1, 4} else [{1}, {4}]
    aside = [packed for (packed,) in other.connection.execute("SELECT records FROM arrivals_set_aside ORDER BY no")]
    assert aside == [bytes(found[ends[min(some) - 1] : ends[max(some)]]) for some in stretches]
    problems = [problem for problem in check_ledger(other.connection, path).problems if "damaged" in problem]
    assert len(problems) == len(stretches)
    # They are gone once that is committed, and it is told again for as long as nobody has looked at it.
    other.book()
    assert files_of(path, no) == []
    assert booked_through(path) == {}
    other.end()


def test_damage_in_the_files_of_a_process_that_lives_is_its_own(keeper: Keeper, path: str) -> None:
    """It has its records in memory, and books them."""
    for each in range(1, 4):
        keeper.keep(f"gen-{each}")
    file = Path(paths_of(path, keeper.no)[0])
    found = bytearray(file.read_bytes())
    found[40] ^= 0xFF
    file.write_bytes(found)
    other = Keeper(path)
    other.book()
    assert booked(path) == []
    keeper.book()
    assert booked(path) == ["gen-1", "gen-2", "gen-3"]
    assert other.connection.execute("SELECT count(*) FROM arrivals_set_aside").get == 0
    other.end()
