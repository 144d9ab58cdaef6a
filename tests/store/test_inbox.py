"""What one thread is asked to do by others: nothing is lost, nothing comes twice, and nobody sleeps through it."""

import threading
import time
from queue import Empty

import pytest

from arouter.store.sqlite.inbox import Inbox


def test_items_come_in_the_order_in_which_they_were_put() -> None:
    inbox: Inbox[int] = Inbox()
    for number in range(5):
        inbox.put(number)
    assert len(inbox) == 5
    assert [inbox.get(None), *(inbox.get_nowait() for _ in range(3)), inbox.get(0.0)] == [0, 1, 2, 3, 4]
    with pytest.raises(Empty):
        inbox.get_nowait()


def test_many_are_taken_at_once_and_no_more_than_wanted() -> None:
    inbox: Inbox[int] = Inbox()
    for number in range(5):
        inbox.put(number)
    assert inbox.take(3) == [0, 1, 2]
    assert inbox.take(3) == [3, 4]
    assert inbox.take(3) == []


def test_the_reader_waits_for_as_many_as_it_wants() -> None:
    """However the time is set, it goes on when the last of them comes."""
    inbox: Inbox[int] = Inbox()
    inbox.wait_for(0, 30.0)

    def send() -> None:
        for number in range(100):
            inbox.put(number)
            time.sleep(0.0001)

    sender = threading.Thread(target=send)
    sender.start()
    inbox.wait_for(40, 30.0)
    assert len(inbox) >= 40
    inbox.wait_for(100, 30.0)
    sender.join()
    assert inbox.take(200) == list(range(100))
    inbox.wait_for(1, 0.01)
    assert len(inbox) == 0


def test_a_wait_for_many_is_forgotten_when_its_time_is_up() -> None:
    """What comes later is neither waited for in vain nor taken for what was waited for."""
    inbox: Inbox[int] = Inbox()
    inbox.wait_for(2, 0.001)
    inbox.put(1)
    inbox.wait_for(2, 0.001)
    inbox.put(2)
    assert [inbox.get(None), inbox.get(None)] == [1, 2]
    with pytest.raises(Empty):
        inbox.get(0.01)


def test_there_may_be_nothing_until_the_time_is_up() -> None:
    began_s = time.monotonic()
    with pytest.raises(Empty):
        Inbox[int]().get(0.05)
    assert time.monotonic() - began_s >= 0.05


@pytest.mark.parametrize("pause_s", [0.0, 0.0001, 0.002])
def test_nothing_is_slept_through(pause_s: float) -> None:
    """The reader is asleep, about to fall asleep and awake in turn."""
    inbox: Inbox[int | None] = Inbox()
    got: list[int] = []

    def read() -> None:
        while (item := inbox.get(None)) is not None:
            got.append(item)

    reader = threading.Thread(target=read)
    reader.start()
    count = 200 if pause_s else 50_000
    for number in range(count):
        inbox.put(number)
        if pause_s:
            time.sleep(pause_s)
    inbox.put(None)
    reader.join(timeout=30)
    assert not reader.is_alive()
    assert got == list(range(count))


def test_several_may_put() -> None:
    inbox: Inbox[tuple[int, int]] = Inbox()

    def send(me: int) -> None:
        for number in range(5_000):
            inbox.put((me, number))

    senders = [threading.Thread(target=send, args=(me,)) for me in range(3)]
    for sender in senders:
        sender.start()
    got = [inbox.get(10.0) for _ in range(15_000)]
    for sender in senders:
        sender.join()
    for me in range(3):
        assert [number for sender, number in got if sender == me] == list(range(5_000))
    assert len(inbox) == 0
