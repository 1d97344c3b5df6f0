"""What both clients do with a timeout that is none, against a broker in a thread."""

from __future__ import annotations

from typing import Any

import pytest

from daemoneye.errors import LocalProtocolError
from tests.bus.brokers import Running
from tests.support import scaled

NO_TIMES: tuple[Any, ...] = ("5", [5], 10**400)


@pytest.mark.parametrize("timeout", NO_TIMES, ids=["str", "list", "too-large"])
def test_bad_input_a_timeout_is_a_number_of_seconds(broker: Running, timeout: Any) -> None:
    topic, jobs_topic = "events.demo.tick", "control.demo.jobs"
    with (
        broker.client() as bus,
        bus.subscribe(topic) as events,
        bus.serve("control.demo.echo") as calls,
        bus.subscribe(jobs_topic, group="g") as jobs,
    ):
        bus.publish_confirmed(jobs_topic, b"1")
        job = jobs.get(scaled(5))
        assert job is not None
        for refused in (
            lambda: bus.publish_confirmed(topic, b"", timeout=timeout),
            lambda: bus.call("control.demo.echo", timeout=timeout),
            lambda: bus.subscribe(topic, timeout=timeout),
            lambda: bus.serve("control.demo.other", timeout=timeout),
            lambda: events.get(timeout),
            lambda: calls.get(timeout),
            lambda: job.ack(timeout=timeout),
        ):
            with pytest.raises(LocalProtocolError, match="a timeout is a number of seconds"):
                refused()
        assert events.get(0.0) is None  # nothing was published
        assert len(bus.subscriptions()) == 3  # nor anything else begun
        job.ack(timeout=scaled(5))  # nor said
