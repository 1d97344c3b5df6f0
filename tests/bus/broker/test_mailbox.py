"""The mailbox: orders come out in order, and a byte wakes whoever polls for them."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator

import pytest

from daemoneye.bus.broker.mailbox import Mailbox
from daemoneye.bus.orders import Ended


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    made = Mailbox()
    yield made
    made.close()


def is_awake(mailbox: Mailbox) -> bool:
    return bool(select.select([mailbox.fileno()], [], [], 0)[0])


def test_orders_come_out_as_they_went_in(mailbox: Mailbox) -> None:
    orders = [Ended("a", number, "exit:0") for number in range(3)]
    for each in orders:
        mailbox.put(each)
    assert [mailbox.take() for _ in range(4)] == [*orders, None]


def test_an_order_wakes_the_loop_until_it_looks(mailbox: Mailbox) -> None:
    assert not is_awake(mailbox)
    mailbox.put(Ended("a", 1, "exit:0"))
    assert is_awake(mailbox)
    mailbox.clear()
    mailbox.clear()
    assert not is_awake(mailbox)
    mailbox.ask_to_stop()
    assert is_awake(mailbox)
    assert mailbox.stop_asked


def test_a_loop_that_does_not_look_holds_nobody_up(mailbox: Mailbox) -> None:
    def knock() -> None:
        for _ in range(100_000):
            mailbox.wake()

    knocking = threading.Thread(target=knock)
    knocking.start()
    knocking.join(20)
    assert not knocking.is_alive()
    assert is_awake(mailbox)


def test_who_comes_after_the_end_is_harmless() -> None:
    mailbox = Mailbox()
    mailbox.close()
    mailbox.put(Ended("a", 1, "exit:0"))
    mailbox.ask_to_stop()
