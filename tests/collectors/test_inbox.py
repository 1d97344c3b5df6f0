"""Orders come before events, events wait for room, and closing lets everybody go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from daemoneye.bus.envelope import NO_LOSS, Envelope, Header, Publisher
from daemoneye.collectors.inbox import EVENTS, Configure, Inbox, Pause, Stop

HEADER = Header("events.x", Publisher("p", "worker", 1, 1), "", "", None, 0, 0)


def event(number: int) -> Envelope:
    return Envelope((b"", 0, number, HEADER, NO_LOSS))


def test_orders_are_taken_before_events() -> None:
    inbox = Inbox()
    inbox.put_event(event(1))
    inbox.configure(7, "{}")
    inbox.paused(True)
    inbox.stop()
    taken = [inbox.take(0) for _ in range(5)]
    assert taken == [Configure(7, "{}"), Pause(True), Stop(), event(1), None]


def test_events_stay_where_they_are_when_none_is_wanted() -> None:
    inbox = Inbox()
    inbox.put_event(event(1))
    assert inbox.take(0, events=False) is None
    assert inbox.take(0) == event(1)


def test_an_event_waits_for_room() -> None:
    inbox = Inbox()
    for number in range(EVENTS):
        inbox.put_event(event(number))
    with ThreadPoolExecutor(1) as other:
        late = other.submit(inbox.put_event, event(EVENTS))
        assert not late.done()
        taken = [inbox.take(5) for _ in range(EVENTS + 1)]
        assert late.result(5)
    assert taken == [event(number) for number in range(EVENTS + 1)]


def test_closing_lets_go_who_waits_for_room() -> None:
    inbox = Inbox()
    for number in range(EVENTS):
        inbox.put_event(event(number))
    with ThreadPoolExecutor(1) as other:
        late = other.submit(inbox.put_event, event(EVENTS))
        inbox.close()
        assert late.result(5) is False


def test_an_order_wakes_who_waits() -> None:
    inbox = Inbox()
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(inbox.take, None)
        inbox.stop()
        assert waiting.result(5) == Stop()
