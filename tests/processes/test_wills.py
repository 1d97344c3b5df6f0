"""What is said for a supervised process that has ended, and what is told of who is connected."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from daemoneye import BusClient, ChildSpec, Supervisor
from daemoneye.bus.proto.events_pb2 import ClientPresence
from daemoneye.rundir import RunDir
from tests.processes.mortal import END, GONE, live
from tests.support import scaled, wait_for


def test_b22_a_killed_child_has_its_will_said_with_the_cause_and_a_stopped_one_not(
    tidy: Path,
) -> None:
    spec = ChildSpec("mortal", live, publishes=("events.demo.gone",), subscribes=(END,))
    with Supervisor([spec], run_dir=RunDir(tidy / "run")) as supervisor:
        supervisor.wait_ready(timeout=scaled(20))
        with (
            BusClient.connect(run_dir=tidy / "run") as bus,
            bus.subscribe(GONE) as wills,
            bus.subscribe("$bus.clients.mortal") as presence,
        ):
            first = presence.get(scaled(5))
            assert first is not None
            assert first.retained
            assert first.unpack(ClientPresence).connected

            pid = supervisor.children()["mortal"].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            will = wills.get(scaled(10))
            assert will is not None
            assert will.correlation is not None
            assert (will.payload, will.publisher.name, will.publisher.pid) == (
                b"gone",
                "mortal",
                pid,
            )
            assert will.correlation.tags == (("cause", "signal:9"),)
            wait_for(lambda: left(presence.get(scaled(5))) == "signal:9", "how it left")

            supervisor.wait_ready(timeout=scaled(20))
            wait_for(lambda: bus.publish_confirmed(END, b"").subscribers == 1, "it to be back")
            will = wills.get(scaled(10))
            assert will is not None
            assert will.correlation is not None
            assert will.correlation.tags == (("cause", "exit:3"),)
            wait_for(lambda: left(presence.get(scaled(5))) == "exit:3", "how it left")

            supervisor.wait_ready(timeout=scaled(20))
            supervisor.stop("mortal", timeout=scaled(10))
            wait_for(lambda: left(presence.get(scaled(5))) == "goodbye", "how it left")
            assert wills.get(2.5) is None


def left(event: object) -> str:
    """How a client left, in this news of it."""
    assert event is not None
    said: ClientPresence = event.unpack(ClientPresence)  # type: ignore[attr-defined]  # an event
    return said.cause
