"""A disk that is full, fails to write, fails to sync, or writes half: nothing is spent unrecorded, nothing is lost."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import faulty_disk
from tests.faults.client import Heard, ask
from tests.faults.ledgers import contents
from tests.faults.processes import Gateway, Place, place, sandbox_at, wait_until
from tests.faults.sandboxes import RunningSandbox, running_sandbox

FAULTS = (faulty_disk.FULL, faulty_disk.WRITE_ERROR, faulty_disk.SYNC_ERROR, faulty_disk.SHORT_WRITE)
SHORT = "openai/sandbox?tokens=3"
LONG = "openai/sandbox?tokens=40&token_ms=40"
RUNNING = 6
REFUSED = 20


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


async def ask_all(gateway: Gateway, model: str, users: list[str], *, stream: bool | None = None) -> dict[str, Heard]:
    """At once; streamed and not in turns, unless one is chosen."""
    async with asyncio.TaskGroup() as group:
        asking = {
            user: group.create_task(
                ask(gateway.url, gateway.live, model, stream=number % 2 == 0 if stream is None else stream, user=user)
            )
            for number, user in enumerate(users)
        }
    return {user: task.result() for user, task in asking.items()}


async def fail_under_load(gateway: Gateway, break_it: Callable[[], None], seen: Callable[[], int]) -> dict[str, Heard]:
    """Break the storage while answers are on their way; what became of them."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(ask_all(gateway, LONG, [f"running {n}" for n in range(RUNNING)]))
        await asyncio.to_thread(wait_until, lambda: seen() >= RUNNING)
        await asyncio.sleep(0.3)
        break_it()
    return running.result()


def check_broken(gateway: Gateway, sandbox: RunningSandbox, break_it: Callable[[], None]) -> None:
    """What runs gets no end, what comes is refused before any provider is asked, and whoever watches is told."""
    sandbox.forget()
    running = asyncio.run(fail_under_load(gateway, break_it, lambda: sandbox.asked))
    for answer in running.values():
        assert [error["code"] for error in answer.errors] == ["storage_unavailable"]
        assert answer.status == (200 if answer.stream else 503)
    assert gateway.ready() == 503
    assert gateway.metric("arouter_storage_up") == 0
    sandbox.forget()
    refused = asyncio.run(ask_all(gateway, SHORT, [f"refused {n}" for n in range(REFUSED)]))
    assert sandbox.asked == 0
    for answer in refused.values():
        assert (answer.status, [error["code"] for error in answer.errors]) == (503, ["storage_unavailable"])
    assert gateway.metric("arouter_records_unwritten") == RUNNING + REFUSED
    assert gateway.process.poll() is None


def check_recovered(gateway: Gateway) -> None:
    """By itself, with every record."""
    wait_until(lambda: gateway.ready() == 200)
    assert gateway.metric("arouter_records_unwritten") == 0
    assert gateway.metric("arouter_storage_up") == 1
    after = asyncio.run(ask_all(gateway, SHORT, ["after"]))
    assert after["after"].success


def check_records(database: Path) -> None:
    found = contents(database)
    records = found.by_user()
    assert found.report.problems == ()
    assert len(records) == 1 + RUNNING + REFUSED + 1
    for user, record in records.items():
        assert user is not None
        if user.startswith("refused"):
            assert (record.status, record.error_code, record.attempts) == ("rejected", "storage_unavailable", 0)
        else:
            assert (record.status, record.usage_source) == ("success", "provider")
            assert record.usage.completion_tokens == (40 if user.startswith("running") else 3)


def go_through_it(
    home: Place, gateway: Gateway, sandbox: RunningSandbox, *, break_it: Callable[[], None], mend_it: Callable[[], None]
) -> None:
    assert asyncio.run(ask_all(gateway, SHORT, ["before"]))["before"].success
    assert gateway.metric("arouter_storage_up") == 1
    check_broken(gateway, sandbox, break_it)
    mend_it()
    check_recovered(gateway)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_costs_neither_money_nor_records(sandbox: RunningSandbox, tmp_path: Path, fault: str) -> None:
    faults = tmp_path / "faults"
    faults.write_text("")
    with place(
        tmp_path,
        sandbox_at(sandbox.url),
        module="tests.faults.faulty_disk",
        environment={faulty_disk.VARIABLE: str(faults)},
    ) as home:
        gateway = home.start()
        go_through_it(
            home,
            gateway,
            sandbox,
            break_it=lambda: set_faults(faults, fault),
            mend_it=lambda: set_faults(faults),
        )
        gateway.terminate()
        assert gateway.exit_code() == 0
    check_records(gateway.database)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [faulty_disk.SYNC_ERROR, faulty_disk.SHORT_WRITE])
def test_a_kill_while_the_disk_fails_leaves_a_sound_ledger(sandbox: RunningSandbox, tmp_path: Path, fault: str) -> None:
    """What was only in memory is gone; what was acknowledged is there, what was open is told as interrupted."""
    faults = tmp_path / "faults"
    faults.write_text("")
    with place(
        tmp_path,
        sandbox_at(sandbox.url),
        module="tests.faults.faulty_disk",
        environment={faulty_disk.VARIABLE: str(faults)},
    ) as home:
        gateway = home.start()
        assert asyncio.run(ask_all(gateway, SHORT, ["before"]))["before"].success
        check_broken(gateway, sandbox, lambda: set_faults(faults, fault))
        gateway.kill()
        set_faults(faults)
        after = home.start()
        after.terminate()
        assert after.exit_code() == 0
    found = contents(gateway.database)
    records = found.by_user()
    assert (found.report.problems, found.report.open_records) == ((), 0)
    assert records["before"].status == "success"
    # A commit whose sync failed may be on the disk all the same; nobody was told that it is.
    running = [record for user, record in records.items() if user is not None and user.startswith("running")]
    assert len(running) == RUNNING
    assert {record.status for record in running} <= {"interrupted", "success"}
    assert after.interrupted == sum(record.status == "interrupted" for record in running)


def set_faults(file: Path, *faults: str) -> None:
    """At once, so that no half of it is read."""
    new = file.with_suffix(".new")
    new.write_text("\n".join(faults))
    os.replace(new, file)


# ---------------------------------------------------------------- a file system that is really full


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of four megabytes at `folder`; the test is skipped where none can be mounted."""
    mount = shutil.which("mount")
    done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if not done or done.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_on_a_disk_that_is_really_full_every_answer_that_was_paid_for_has_its_record(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    """The log has room of its own for a while; from then on the gateway refuses, until there is space again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    sandbox.forget()
    sections = sandbox_at(sandbox.url, storage={"url": "sqlite:///disk/arouter.db"})
    answers: dict[str, Heard] = {}
    with small_disk(disk):
        with place(tmp_path, sections) as home:
            gateway = home.start()
            fill(disk / "filler")
            for turn in range(100):
                answers |= asyncio.run(ask_all(gateway, SHORT, [f"{turn} {n} ".ljust(1000, "x") for n in range(8)]))
                if turn > 3 and sum(answer.status == 503 for answer in answers.values()) > 20:
                    break
            assert gateway.ready() == 503
            asked = sandbox.sandbox.requests[-1]
            answers |= asyncio.run(ask_all(gateway, SHORT, ["refused"]))
            assert answers["refused"].status == 503
            assert sandbox.sandbox.requests[-1] is asked
            (disk / "filler").unlink()
            check_recovered(gateway)
            gateway.terminate()
            assert gateway.exit_code() == 0
        found = contents(disk / "arouter.db")
    records = found.by_user()
    assert found.report.problems == ()
    assert records.keys() == {*answers, "after"}
    for user, answer in answers.items():
        if answer.success:
            assert records[user].status == "success"
        else:
            assert [error["code"] for error in answer.errors] == ["storage_unavailable"]
            paid = records[user].attempts == 1
            assert records[user].status == ("success" if paid else "rejected")
    assert records["refused"].attempts == 0


def fill(file: Path) -> None:
    """Until nothing fits any more."""
    with file.open("ab", buffering=0) as filling:
        size = 65_536
        while size:
            try:
                filling.write(bytes(size))
            except OSError:
                size //= 2
