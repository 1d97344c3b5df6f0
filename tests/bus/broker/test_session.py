"""A session: what it is as a publisher, and what became of each subscription."""

from __future__ import annotations

from daemoneye.bus.access import Identity
from daemoneye.bus.broker.session import Publishing
from daemoneye.bus.frames import Unsubscribe
from tests.bus.support import NOW, Bus

LIFECYCLE = "events.process.lifecycle"


def test_each_subscription_knows_what_became_of_what_it_was_offered() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", 1, max_messages=4, credit_messages=2)
    agent.subscribe(LIFECYCLE, 2, max_messages=4)
    for _ in range(10):
        procmond.publish(LIFECYCLE, b"x")
    procmond.publish("events.process.tree", b"x")
    assert len(agent.events()) == 2
    every, one = (agent.session.tallies()[n] for n in (1, 2))
    assert (every.offered, every.delivered, every.lost, every.queued) == (11, 2, {"overflow": 6}, 3)
    assert (one.offered, one.delivered, one.lost, one.queued) == (10, 2, {"overflow": 6}, 2)


def test_counts_outlive_the_subscriptions_that_shared_them() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", 1)
    agent.subscribe(LIFECYCLE, 2)
    procmond.publish(LIFECYCLE, b"x")
    agent.read()
    agent.say(Unsubscribe(2))
    assert agent.session.tallies()[1].delivered == 1


def test_what_is_taken_and_not_written_is_taken_again() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#")
    procmond.publish(LIFECYCLE, b"x")
    assert agent.session.pending
    first = agent.session.take(1 << 16, NOW)
    agent.session.written(0)
    assert agent.session.take(1 << 16, NOW) == first
    assert "operator" in repr(agent.session)
    assert str(agent.session) == "operator (process 4242)"


def test_refusals_are_counted_for_each_topic_and_for_what_is_no_topic() -> None:
    publishing = Publishing(Identity("a", "worker"))
    publishing.routes.remember("a.b", 10)
    counts = [publishing.count_refusal(topic) for topic in ("a.b", "?", "a.b", "!")]
    assert counts == [1, 1, 2, 2]
