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
