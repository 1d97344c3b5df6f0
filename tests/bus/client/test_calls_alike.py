"""Calls and who serves them: what both clients do alike, against a real broker."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from daemoneye.bus.access import AccessRule
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.client.calling import Served
from daemoneye.bus.client.requests import Request
from daemoneye.bus.client.service import Service
from daemoneye.bus.frames import Correlation, Reply
from daemoneye.bus.orders import Ended, Rules
from daemoneye.errors import (
    AccessDenied,
    BackPressure,
    BusBroken,
    BusClosed,
    DeadlineExceeded,
    InvalidTopic,
    LocalProtocolError,
    NoResponder,
    Rejected,
    TooLarge,
)
from tests.bus.brokers import BrokerProcess, Running, broker_in_thread
from tests.bus.client.alike import Tasks, Threads
from tests.support import scaled, wait_for

ECHO = "control.demo.echo"
TIMEOUT = scaled(5)


class Asking:
    """A call that is made in a thread of its own."""

    def __init__(self, bus: BusClient, payload: bytes = b"?", **more: Any) -> None:
        self.error: BaseException | None = None
        self.payload: object = None
        self.took = 0.0
        more.setdefault("timeout", TIMEOUT)
        self._thread = threading.Thread(target=self._run, args=(bus, payload, more))
        self._thread.start()

    def _run(self, bus: BusClient, payload: bytes, more: Any) -> None:
        began = time.monotonic()
        try:
            self.payload = bus.call(ECHO, payload, **more).payload
        except Exception as error:
            self.error = error
        self.took = time.monotonic() - began

    def ended(self) -> Asking:
        self._thread.join(scaled(20))
        assert not self._thread.is_alive()
        return self


def next_of(requests: Service) -> Request:
    """The call that comes next."""
    request = requests.get(TIMEOUT)
    assert request is not None
    return request


@contextmanager
def echoing(bus: BusClient) -> Iterator[None]:
    """Somebody who serves ECHO, until the block ends."""
    with bus.serve(ECHO) as requests:
        thread = threading.Thread(target=_echo, args=(requests,))
        thread.start()
        try:
            yield
        finally:
            requests.close()
            thread.join(scaled(5))
            assert not thread.is_alive()


def _echo(requests: Service) -> None:
    for request in requests:
        request.reply(request.payload)


# ---- the straight way ---------------------------------------------------------------------------


def test_a_call_gets_the_reply_of_who_serves(broker: Running) -> None:
    with broker.client("server") as serving, broker.client("caller") as bus, echoing(serving):
        for payload in (b"", b"a", b"x" * 300_000):
            reply = bus.call(ECHO, payload, timeout=TIMEOUT)
            assert (reply.payload, reply.topic, reply.content_type) == (payload, ECHO, "")
            assert (reply.publisher.name, reply.publisher.pid) == ("server", os.getpid())
        assert broker.broker.statistics().replies == 3


def test_a_request_says_who_asks_and_until_when(broker: Running) -> None:
    said = Correlation("id", stage="s")
    with broker.client("server") as serving, broker.client("caller") as bus:
        with serving.serve(ECHO) as requests:
            assert requests.topic == ECHO
            asking = Asking(bus, correlation=said)
            request = next_of(requests)
            assert (request.topic, request.payload, request.publisher.name) == (
                ECHO,
                b"?",
                "caller",
            )
            assert request.correlation == said
            assert 0 < request.deadline - time.time() <= TIMEOUT
            assert not request.cancelled
            request.reply(b"!")
            assert not request.cancelled
            assert asking.ended().payload == b"!"


def test_calls_and_replies_are_json_or_messages(broker: Running) -> None:
    with broker.client() as bus, bus.serve(ECHO) as requests:
        asking = Asking(bus, {"n": 1})  # type: ignore[arg-type]  # any payload
        request = next_of(requests)
        assert request.json() == {"n": 1}
        request.reply({"m": 2})
        assert asking.ended().payload == b'{"m":2}'
        asking = Asking(bus, Duration(seconds=3))  # type: ignore[arg-type]  # any payload
        request = next_of(requests)
        assert request.unpack(Duration).seconds == 3
        request.reply(Duration(seconds=4))
        assert asking.ended().payload == Duration(seconds=4).SerializeToString()


def test_an_iteration_over_calls_ends_after_its_timeout(broker: Running) -> None:
    with broker.client() as bus, bus.serve(ECHO, timeout=0.05) as requests:
        assert list(requests) == []
        assert requests.get(0.01) is None


def test_a_call_may_be_made_while_serving(broker: Running) -> None:
    with broker.client("middle") as middle, broker.client("end") as end, echoing(end):
        with middle.serve("control.demo.front") as requests, broker.client() as bus:
            found: list[object] = []

            def ask() -> None:
                found.append(bus.call("control.demo.front", b"x", timeout=TIMEOUT).payload)

            thread = threading.Thread(target=ask)
            thread.start()
            request = next_of(requests)
            request.reply(middle.call(ECHO, b"through", timeout=TIMEOUT).payload)
            thread.join(scaled(5))
            assert found == [b"through"]


def test_what_was_published_before_a_call_is_there_before_it(broker: Running) -> None:
    with broker.client() as bus, bus.subscribe("events.#") as events, echoing(bus):
        bus.publish_many("events.demo.tick", [b"1", b"2"])
        bus.publish("events.demo.tick", b"3")
        bus.call(ECHO, timeout=TIMEOUT)
        assert [events.get(0.0) is not None for _ in range(3)] == [True] * 3


# ---- saying no ----------------------------------------------------------------------------------


def test_a_rejection_is_raised_with_its_words(broker: Running) -> None:
    with broker.client("server") as serving, broker.client("caller") as bus:
        with serving.serve(ECHO) as requests:
            asking = Asking(bus)
            next_of(requests).reject("the disk is full")
            error = asking.ended().error
            assert isinstance(error, Rejected)
            assert "server" in str(error)
            assert "the disk is full" in str(error)


def test_b20_nobody_serves_is_told_at_once(broker: Running) -> None:
    with broker.client() as bus:
        began = time.monotonic()
        with pytest.raises(NoResponder, match="nobody serves"):
            bus.call(ECHO, timeout=60)
        assert time.monotonic() - began < scaled(1)


def test_rights_are_those_of_publishing_and_reading(broker: Running) -> None:
    with broker.client() as bus, echoing(bus):
        with broker.client("watching", "observer") as watching:
            with pytest.raises(AccessDenied, match="may not publish"):
                watching.call(ECHO)
            with pytest.raises(AccessDenied, match="may not subscribe"):
                watching.serve(ECHO).close()


@pytest.mark.parametrize("topic", ["control.#", "control.+.x", "Control", ""])
def test_what_is_no_topic_is_neither_called_nor_served(broker: Running, topic: str) -> None:
    with broker.client() as bus:
        with pytest.raises(InvalidTopic):
            bus.call(topic)
        with pytest.raises(InvalidTopic) as caught:
            bus.serve(topic).close()
        assert caught.value.hint


@pytest.mark.parametrize("timeout", [0, -1.0, -math.inf])
def test_without_time_nothing_is_called(broker: Running, timeout: float) -> None:
    with broker.client() as bus, bus.serve(ECHO) as requests:
        with pytest.raises(DeadlineExceeded):
            bus.call(ECHO, timeout=timeout)
        assert requests.get(0.05) is None


def test_a_timeout_that_is_no_number_is_refused(broker: Running) -> None:
    with broker.client() as bus, pytest.raises(LocalProtocolError):
        bus.call(ECHO, timeout=math.nan)


@pytest.mark.parametrize("timeout", [math.inf, 1e300])
def test_a_call_may_wait_for_ever(broker: Running, timeout: float) -> None:
    with broker.client() as bus, bus.serve(ECHO) as requests:
        asking = Asking(bus, timeout=timeout)
        request = next_of(requests)
        assert request.deadline == math.inf
        request.reply(b"at last")
        assert asking.ended().payload == b"at last"


def test_what_fits_into_no_frame_is_too_large(broker: Running) -> None:
    with broker.client() as bus, bus.serve(ECHO) as requests:
        with pytest.raises(TooLarge):
            bus.call(ECHO, b"x" * (1 << 20))
        asking = Asking(bus)
        request = next_of(requests)
        with pytest.raises(TooLarge, match="the call still waits"):
            request.reply(b"x" * (1 << 20))
        request.reply(b"x" * ((1 << 20) - 1000))
        assert asking.ended().error is None


def test_enough_in_hand_is_back_pressure(tidy: Path, kind: Threads | Tasks) -> None:
    with broker_in_thread(tidy, in_flight=1) as broker:
        broker.connect = kind.connect
        with broker.client() as bus, bus.serve(ECHO) as requests:
            asking = Asking(bus)
            request = next_of(requests)
            with pytest.raises(BackPressure):
                bus.call(ECHO)
            request.reply()
            assert asking.ended().error is None


# ---- replying in vain ---------------------------------------------------------------------------


def test_b20_a_second_reply_is_an_error_of_who_gives_it(broker: Running) -> None:
    with broker.client() as bus, bus.serve(ECHO) as requests:
        asking = Asking(bus)
        request = next_of(requests)
        request.reply(b"first")
        with pytest.raises(LocalProtocolError, match="has been replied to"):
            request.reply(b"second")
        with pytest.raises(LocalProtocolError, match="has been replied to"):
            request.reject("third")
        assert asking.ended().payload == b"first"


def test_who_gives_up_tells_who_has_the_call(broker: Running) -> None:
    with broker.client() as bus, bus.serve(ECHO) as requests:
        asking = Asking(bus, timeout=0.3)
        request = next_of(requests)
        error = asking.ended().error
        assert isinstance(error, DeadlineExceeded)
        wait_for(lambda: request.cancelled or requests.get(0.01), "the word of it")
        assert request.cancelled
        with pytest.raises(LocalProtocolError, match="waits no more"):
            request.reply(b"late")
        wait_for(lambda: not len(broker.broker.router._calls), "the slot to be free")


def test_b20_a_late_reply_is_dropped_and_counted(broker: Running) -> None:
    with broker.client("caller") as bus:
        broker.connect = BusClient.connect
        with broker.client("server") as serving, serving.serve(ECHO) as requests:
            assert isinstance(Asking(bus, timeout=0.2).ended().error, DeadlineExceeded)
            request = requests._calls.get(TIMEOUT)  # with those that are over
            assert isinstance(request, Served)
            wait_for(lambda: request.cancelled, "the word of it")
            # The client would refuse it; one that is slower than the word does not know.
            serving._connection.writer.tell(Reply(request.slot.number, payload=b"late"))
            asking = Asking(bus)
            next_of(requests).reply(b"in time")
            assert asking.ended().payload == b"in time"
            assert broker.broker.statistics().refused == {"late-reply": 1}


def test_b20_a_stranger_cannot_reply(broker: Running) -> None:
    with broker.client("server") as serving, broker.client("caller") as bus:
        broker.connect = BusClient.connect
        with serving.serve(ECHO) as requests, broker.client("mallory") as mallory:
            asking = Asking(bus)
            request = next_of(requests)
            mallory._connection.writer.tell(Reply(request.slot.number, payload=b"forged"))
            wait_for(lambda: broker.broker.statistics().refused, "the refusal")
            request.reply(b"true")
            assert asking.ended().payload == b"true"
            assert broker.broker.statistics().refused == {"senseless": 1}


def test_a_call_that_nobody_waits_for_any_more_is_left_out(broker: Running) -> None:
    with broker.client("server") as serving, serving.serve(ECHO) as requests:
        with broker.client("caller") as bus:
            assert isinstance(Asking(bus, b"gone", timeout=0.2).ended().error, DeadlineExceeded)
            wait_for(lambda: not len(broker.broker.router._calls), "the slot to be free")
            serving.publish_confirmed("events.demo.tick", b"")  # what was told before is read now
            asking = Asking(bus, b"here")
            request = next_of(requests)
            assert request.payload == b"here"
            request.reply()
            asking.ended()


def test_leaving_the_block_tells_who_waits(broker: Running) -> None:
    with broker.client("server") as serving, broker.client("caller") as bus:
        with serving.serve(ECHO) as requests:
            asking = Asking(bus)
            request = next_of(requests)
        error = asking.ended().error
        assert isinstance(error, NoResponder)
        assert "stopped serving" in str(error)
        assert request.cancelled
        with pytest.raises(LocalProtocolError, match="its service has ended"):
            request.reply()
        assert list(requests) == []


def test_closing_the_client_tells_who_waits_and_who_serves(broker: Running) -> None:
    with broker.client("caller") as bus:
        serving = broker.client("server")
        requests = serving.serve(ECHO)
        asking = Asking(bus)
        request = next_of(requests)
        serving.close()
        assert isinstance(asking.ended().error, NoResponder)
        with pytest.raises(LocalProtocolError, match="client was closed"):
            request.reply()
        with pytest.raises(BusClosed):
            serving.call(ECHO)


def test_a_right_that_is_taken_away_ends_serving(broker: Running) -> None:
    with broker.client("server") as serving, broker.client("caller") as bus:
        with serving.serve(ECHO) as requests:
            asking = Asking(bus)
            next_of(requests)
            deny = AccessRule("identity:server", "read-only", "control.demo.#", deny=True)
            broker.obey(Rules((deny,), {}))
            assert isinstance(asking.ended().error, NoResponder)
            with pytest.raises(AccessDenied):
                requests.get(TIMEOUT)


# ---- ends of processes --------------------------------------------------------------------------

CALLEE = """
import sys
from daemoneye import BusClient
with BusClient.connect(run_dir=sys.argv[1]) as bus, bus.serve("control.demo.echo") as requests:
    print("serving", flush=True)
    for request in requests:
        print("asked", flush=True)
"""


def test_b20_a_callee_that_is_killed_is_an_error_at_once(process: BrokerProcess) -> None:
    command = [sys.executable, "-c", CALLEE, str(process.run_dir.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as callee:
        assert callee.stdout is not None
        try:
            assert callee.stdout.readline() == "serving\n"
            with process.client() as bus:
                asking = Asking(bus, timeout=60)
                assert callee.stdout.readline() == "asked\n"
                killed_at = time.monotonic()
                callee.send_signal(signal.SIGKILL)
                error = asking.ended().error
                assert time.monotonic() - killed_at < scaled(1)
                assert isinstance(error, NoResponder)
                assert f"process {callee.pid}" in str(error)
        finally:
            callee.kill()


def test_the_end_of_an_incarnation_says_its_cause(broker: Running) -> None:
    with broker.client("server") as serving, broker.client("caller") as bus:
        with serving.serve(ECHO) as requests:
            asking = Asking(bus)
            next_of(requests)
            broker.obey(Ended("server", 0, "signal:9"))
            error = asking.ended().error
            assert isinstance(error, NoResponder)
            assert "signal:9" in str(error)


def test_a_broker_that_is_killed_breaks_calls_and_slots_and_serving_goes_on(
    process: BrokerProcess,
) -> None:
    with process.client() as serving, process.client() as bus:
        with serving.serve(ECHO) as requests:
            asking = Asking(bus)
            request = next_of(requests)
            process.kill()
            assert isinstance(asking.ended().error, BusBroken)
            wait_for(lambda: not serving.connected, "the loss to be seen")
            wait_for(lambda: request.cancelled, "the slot to be lost")
            with pytest.raises(LocalProtocolError, match="connection it came on is gone"):
                request.reply()
            process.run_dir.bus_path.unlink()
            process.start()
            wait_for(lambda: bus.connected and serving.connected, "the connections")
            again = Asking(bus, b"again")
            following = next_of(requests)
            assert (following.payload, dict(following.lost)) == (b"again", {})
            following.reply(b"!")
            assert again.ended().payload == b"!"
