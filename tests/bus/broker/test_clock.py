"""What the broker's own deadlines are measured by."""

from __future__ import annotations

from math import inf

from daemoneye.bus.broker.clock import Clock


def test_nothing_is_due_while_nobody_waits() -> None:
    clock = Clock()
    clock.pass_time(1e9)
    assert not clock.rings
    assert clock.alarm_at == inf


def test_it_rings_for_the_first_that_is_due() -> None:
    clock = Clock()
    clock.wake_at(5.0)
    clock.wake_at(2.0)
    clock.wake_at(3.0)
    clock.pass_time(1.5)
    assert not clock.rings
    clock.pass_time(0.5)
    assert clock.rings


def test_after_a_reset_everybody_says_anew_what_is_due() -> None:
    clock = Clock()
    clock.wake_at(1.0)
    clock.pass_time(1.0)
    clock.reset()
    assert not clock.rings
    clock.wake_at(4.0)
    clock.pass_time(2.0)
    assert not clock.rings
