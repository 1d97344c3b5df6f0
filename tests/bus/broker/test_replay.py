"""Which retained values go to a new subscription; the rest of it is in test_retained.py."""

from __future__ import annotations

from daemoneye.bus.broker.requests import Requests
from daemoneye.bus.frames import Subscribe
from tests.bus.support import NOW, Bus


def test_a_replay_counts_as_work_so_the_next_of_it_waits_for_another_turn() -> None:
    bus = Bus()
    source, agent = bus.client("source"), bus.client("agent")
    for number in range(300):
        source.publish(f"events.demo.t{number}", b"x", retain=True)
    requests: Requests = bus.router._requests
    requests.obey(agent.session, Subscribe(1, "events.#"), NOW)
    assert requests.extra_work == 300
    agent.say(*(Subscribe(number, "events.#") for number in range(2, 5)))
    assert bus.router.unfinished.postponed == 1
    assert len(agent.session.subscriptions) == 4
