"""Processes that keep, book, fail and die in any order: each record that was acknowledged is booked once, those of a
pair in their order, nobody ever looks in vain, and an intent is remembered until its record is there."""

import tempfile

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from arouter.store.sqlite.arrival_files import has_groups_above
from arouter.store.sqlite.arrivals import read_without_writing
from arouter.store.sqlite.connections import connect_reader
from tests.sqlite_file import make_database
from tests.store.kept_files import Keeper, booked, booked_through, failing_disk, opened

FAULTS = st.sampled_from(["none", "none", "none", "writes", "half", "syncs"])
SIZES = st.sampled_from([0, 0, 1, 40, 5_000])


class Processes(RuleBasedStateMachine):
    """Beside one database."""

    living = Bundle("living")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = make_database(self.folder.name)
        self.reader = connect_reader(self.path)
        self.faulty = failing_disk()
        self.disk = self.faulty.__enter__()
        self.count = 0
        self.alive = 0
        self.of_pair: dict[int, list[str]] = {}
        """What each pair kept, in order: it was acknowledged."""
        self.told: set[str] = set()
        """What was acknowledged."""
        self.intents: dict[int, list[str]] = {}
        """What runs at each pair's process, in order: its intent is on disk, and its record did not come."""
        self.opened: set[str] = set()
        """All whose intent is on disk."""
        self.begun: set[str] = set()
        """All of which there is one, even if the disk took it and did not say so."""
        self.views: list[tuple[dict[int, int], bool]] = []
        """What views of the database say of the pairs, and whether they miss anything that was acknowledged then."""

    def teardown(self) -> None:
        self.disk.heal()
        last = Keeper(self.path)
        for _ in range(3):
            last.book()
        last.end()
        ids = booked(self.path)
        assert len({*ids}) == len(ids)
        assert self.told <= {*ids}
        assert self.opened - {*ids} <= {*opened(self.path)} <= self.begun - {*ids}
        self._in_order(ids)
        self.reader.close()
        self.faulty.__exit__(None, None, None)
        self.folder.cleanup()

    def _in_order(self, ids: list[str]) -> None:
        place = {each: no for no, each in enumerate(ids)}
        for kept in self.of_pair.values():
            places = [place[each] for each in kept if each in place]
            assert places == sorted(places)

    def _keep(self, process: Keeper, size: int, records: int = 1, intents: int = 0, end: int = 0) -> None:
        """New records, with those of the `end` oldest requests of this process that run, and some new intents."""
        new = [f"gen-{self.count + each}" for each in range(records + intents)]
        self.count += len(new)
        running = self.intents[process.no]
        ids, begun = [*new[:records], *running[:end]], new[records:]
        kept = process.keep(*ids, opened=begun, error_code="x" * size)
        del running[:end]
        self.begun |= {*begun}
        if kept:
            self.of_pair[process.no] += ids
            self.told |= {*ids}
            running += begun
            self.opened |= {*begun}

    def _fail(self, fault: str) -> None:
        self.disk.heal()
        self.disk.writes = fault != "writes"
        self.disk.writes_half = fault == "half"
        self.disk.syncs = fault != "syncs"

    @precondition(lambda self: self.alive < 3)
    @rule(target=living)
    def start(self) -> Keeper:
        process = Keeper(self.path).claim()
        self.of_pair[process.no] = []
        self.intents[process.no] = []
        self.alive += 1
        return process

    @rule(process=living, size=SIZES, records=st.integers(1, 3), fault=FAULTS)
    def keep(self, process: Keeper, size: int, records: int, fault: str) -> None:
        self._fail(fault)
        self._keep(process, size, records)
        self.disk.heal()

    @rule(process=living, records=st.integers(0, 1), intents=st.integers(1, 2), end=st.integers(0, 2), fault=FAULTS)
    def begin_and_end(self, process: Keeper, records: int, intents: int, end: int, fault: str) -> None:
        """Requests that take long."""
        self._fail(fault)
        self._keep(process, 0, records, intents, end)
        self.disk.heal()

    @rule(process=living, size=SIZES, times=st.integers(2, 5))
    def keep_often(self, process: Keeper, size: int, times: int) -> None:
        for _ in range(times):
            self._keep(process, size)

    @rule(
        process=living,
        others=st.lists(st.tuples(living, SIZES, FAULTS), max_size=3),
        fails=st.sampled_from([False, False, True]),
        behind=FAULTS,
    )
    def book(self, process: Keeper, others: list[tuple[Keeper, int, str]], fails: bool, behind: str) -> None:
        """Records arrive before it is committed, and the disk may be another one when that is noted in the files."""

        def meanwhile() -> None:
            for other, size, fault in others:
                self._fail(fault)
                self._keep(other, size)
            self._fail(behind)

        self.told |= {*process.book(meanwhile=meanwhile, fails=fails)}
        self.disk.heal()

    @rule(process=consumes(living))
    def die(self, process: Keeper) -> None:
        process.end()
        self.alive -= 1

    @rule(process=consumes(living))
    def end(self, process: Keeper) -> None:
        process.book()
        process.book()
        process.end_in_peace()
        self.alive -= 1

    @invariant()
    def no_view_is_believed_complete_that_misses_anything(self) -> None:
        there = {*booked(self.path)}
        self.views = [*self.views[-8:], (booked_through(self.path), not self.told <= there)]
        for pairs, misses in self.views:
            if misses:
                assert any(has_groups_above(self.path, no, through) for no, through in pairs.items())

    @invariant()
    def who_reads_without_writing_sees_all(self) -> None:
        ids = read_without_writing(
            self.reader, lambda view: [str(each) for (each,) in view.execute("SELECT id FROM records ORDER BY seq")]
        )
        assert len({*ids}) == len(ids)
        assert self.told <= {*ids}
        self._in_order(ids)


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
