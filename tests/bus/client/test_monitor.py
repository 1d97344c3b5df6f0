"""A monitor: what is put aside while somebody is inside is done by whoever lets go, and once."""

from __future__ import annotations

import threading

from daemoneye.bus.client.monitor import Monitor
from tests.support import scaled


def test_what_nobody_is_in_the_way_of_is_done_at_once() -> None:
    done: list[int] = []
    monitor = Monitor()
    monitor.do(lambda: done.append(1))
    assert done == [1]
    with monitor:
        pass
    assert done == [1]


def test_what_the_same_thread_is_in_the_way_of_is_done_when_it_lets_go() -> None:
    done: list[int] = []
    monitor = Monitor()
    with monitor:
        assert monitor.is_ours
        monitor.do(lambda: done.append(1))
        monitor.do(lambda: done.append(2))
        assert done == []
    assert done == [1, 2]


def test_what_is_wanted_while_others_are_inside_is_done_inside_and_once() -> None:
    monitor = Monitor()
    done: list[bool] = []

    def want() -> None:
        for _ in range(2000):
            monitor.do(lambda: done.append(monitor.is_ours))

    def enter() -> None:
        for _ in range(2000):
            with monitor:
                pass

    threads = [threading.Thread(target=each) for each in (want, enter, want, enter)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(scaled(20))
    assert len(done) == 4000
    assert all(done)
    assert not monitor.aside
