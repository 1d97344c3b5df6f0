"""Which retained values go to a new subscription; the rest of it is in test_retained.py."""

from __future__ import annotations

import pytest

from daemoneye.bus.access import AccessList, AccessRule, Decision, Declared, Identity
from daemoneye.bus.broker.requests import Requests
from daemoneye.bus.frames import Subscribe
from daemoneye.bus.limits import Limits
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


class Asked(AccessList):
    """Rights, and how often it was asked who may receive what."""

    times = 0

    def may_receive(self, identity: Identity, declared: Declared, topic: str) -> Decision:
        self.times += 1
        return super().may_receive(identity, declared, topic)


@pytest.mark.parametrize(("denied", "lost"), [("events.other.#", 290), ("events.demo.t299", 289)])
def test_what_finds_no_room_costs_next_to_nothing_and_is_counted(denied: str, lost: int) -> None:
    bus = Bus()
    source, reader = bus.client("source"), bus.client("reader")
    for number in range(300):
        source.publish(f"events.demo.t{number}", b"%d" % number, retain=True)
    asked = Asked([AccessRule("reader", "read-only", denied, deny=True)])
    bus.router.set_rules(Limits(), asked)
    reader.say(Subscribe(1, "events.demo.#", max_messages=10))
    assert len(reader.events()) == 10
    (tally,) = reader.session.tallies().values()
    assert tally.lost == {"overflow": lost}
    # Only who may not read all of its filter has to be asked for each of the others.
    assert asked.times <= (20 if lost == 290 else 320)
