"""A mock of each kind of collector, for demonstrations and for tests of what stands around them.

They publish plausible events of nothing real, in the declared messages: processes with pids no
system gives, addresses reserved for documentation, files below /mock.  Like every collector they
answer control messages (pause, resume, new settings, questions), and besides they misbehave when
they are told to, by a question on `control.health.diagnostics`:

    daemoneye bus pub control.health.diagnostics '{"ask": "crash"}' --target mock-procmond

    crash   end by SIGKILL, at once
    exit    end with exit code 1
    raise   raise an exception in each collection from now on
    hang    never come back to the loop
    flood   publish as many events as `flood` in each collection from now on
    leak    keep 4 MiB more with each collection from now on
    calm    behave again

A misbehaviour belongs to the process that was told: whoever is started after it behaves.

`python examples/mock_collectors.py` runs all four.
"""

import json
import os
import random
import signal
import time

from daemoneye import Collector, Event, every, on
from daemoneye.bus.proto.events_pb2 import (
    Diagnostics,
    Edge,
    Endpoint,
    FileRow,
    FilesystemAction,
    FilesystemChange,
    FilesystemLifecycle,
    FilesystemMetadata,
    FileType,
    Finding,
    Memory,
    NetworkAction,
    NetworkConnection,
    NetworkLifecycle,
    NetworkListener,
    PerformanceAnomaly,
    PerformanceMetadata,
    ProcessAction,
    ProcessLifecycle,
    ProcessMetadata,
    ProcessSample,
    Severity,
)

QUESTIONS = "control.health.diagnostics"
LEAKED_BYTES = 4 << 20


class Mock(Collector):
    """What the four have in common: a pace, a source of chance, and a way to misbehave."""

    settings = {  # noqa: RUF012  # defaults: the runner copies them, nobody changes them
        "interval": "1s",  # between collections
        "seed": 0,  # of the chance; two mocks of one seed tell the same story
        "flood": 20000,  # events in a collection while flooding
    }

    def setup(self):
        """Begin the story."""
        self.chance = random.Random(self.settings["seed"])
        self.told = "calm"
        self.leaked = []

    @every(setting="interval")
    def collect(self):
        """What happened, and what was told."""
        if self.told == "raise":
            raise ValueError("told to raise")
        if self.told == "leak":
            self.leaked.append(b"\x01" * LEAKED_BYTES)
        rounds = self.settings["flood"] if self.told == "flood" else 1
        for _ in range(rounds):
            yield from self.happenings()

    def happenings(self):
        """Yield the events of one moment."""
        raise NotImplementedError

    @on(QUESTIONS)
    def asked(self, event):
        """Somebody tells this mock how to behave; other questions are answered without us."""
        order = _order_in(event)
        if order == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if order == "exit":
            os._exit(1)
        if order in ("calm", "raise", "flood", "leak", "hang"):
            self.told = order
            self.leaked.clear()
            answer = Diagnostics(answer=json.dumps({"told": order}), observed_at=time.time())
            yield Event(QUESTIONS, answer, target=event.publisher.name)
        while order == "hang":
            time.sleep(3600)


class MockProcmond(Mock):
    """Processes that start, run another program, and stop."""

    name = "mock-procmond"
    kind = "process"

    programs = ("bash", "python3", "sshd", "nginx", "postgres", "cron", "curl")
    first_pid = 5_000_000  # past what any system gives

    def setup(self):
        """Nothing runs yet."""
        super().setup()
        self.alive = {}
        self.next_pid = self.first_pid

    def happenings(self):
        """One life begins, changes or ends; then what the living use."""
        if len(self.alive) < 3 or self.chance.random() < 0.4:
            yield self._lifecycle(ProcessAction.PROCESS_ACTION_START, self._born())
        elif self.chance.random() < 0.3:
            process = self.chance.choice(list(self.alive.values()))
            process["name"] = self.chance.choice(self.programs)
            yield self._lifecycle(ProcessAction.PROCESS_ACTION_EXEC, process)
        else:
            process = self.alive.pop(self.chance.choice(list(self.alive)))
            yield self._lifecycle(ProcessAction.PROCESS_ACTION_STOP, process)
        yield Event("events.process.metadata", self._usage())

    def _born(self):
        process = {
            "pid": self.next_pid,
            "parent_pid": self.chance.choice([1, *self.alive]),
            "created_at": time.time(),
            "name": self.chance.choice(self.programs),
        }
        self.alive[self.next_pid] = process
        self.next_pid += 1
        return process

    def _lifecycle(self, action, process):
        name = process["name"]
        message = ProcessLifecycle(
            action=action,
            executable=f"/usr/bin/{name}",
            command_line=[name, "--mock"],
            user="mock",
            observed_at=time.time(),
            **process,
        )
        if action == ProcessAction.PROCESS_ACTION_STOP:
            message.lifetime_seconds = message.observed_at - message.created_at
        return Event("events.process.lifecycle", message)

    def _usage(self):
        samples = [
            ProcessSample(
                pid=process["pid"],
                created_at=process["created_at"],
                name=process["name"],
                cpu_percent=self.chance.uniform(0, 30),
                rss_bytes=self.chance.randrange(1 << 20, 1 << 28),
                status="sleeping",
            )
            for process in list(self.alive.values())[:10]
        ]
        return ProcessMetadata(observed_at=time.time(), interval_seconds=1.0, samples=samples)


class MockNetmond(Mock):
    """Connections that open and close, and a listener now and then."""

    name = "mock-netmond"
    kind = "network"

    def setup(self):
        """Nothing is connected yet."""
        super().setup()
        self.connections = []

    def happenings(self):
        """One connection opens or closes; rarely somebody begins to listen."""
        if len(self.connections) < 3 or self.chance.random() < 0.5:
            action = NetworkAction.NETWORK_ACTION_OPEN
            self.connections.append(self._connection())
            connection = self.connections[-1]
        else:
            action = NetworkAction.NETWORK_ACTION_CLOSE
            connection = self.connections.pop(self.chance.randrange(len(self.connections)))
        lifecycle = NetworkLifecycle(action=action, connection=connection, observed_at=time.time())
        yield Event("events.network.lifecycle", lifecycle)
        if self.chance.random() < 0.1:
            yield Event("events.network.listener", self._listener())

    def _connection(self):
        # 192.0.2.0/24 and 198.51.100.0/24 belong to nobody (RFC 5737).
        return NetworkConnection(
            protocol="tcp",
            local=Endpoint(address="192.0.2.1", port=self.chance.randrange(32768, 61000)),
            remote=Endpoint(
                address=f"198.51.100.{self.chance.randrange(1, 255)}",
                port=self.chance.choice([22, 80, 443, 5432]),
            ),
            state="established",
            pid=MockProcmond.first_pid,
            process_name="curl",
        )

    def _listener(self):
        socket = NetworkConnection(
            protocol="tcp",
            local=Endpoint(address="192.0.2.1", port=self.chance.randrange(1024, 9000)),
            state="listen",
        )
        action = NetworkAction.NETWORK_ACTION_OPEN
        return NetworkListener(action=action, socket=socket, observed_at=time.time())


class MockFsmond(Mock):
    """Files that come, change, move and go."""

    name = "mock-fsmond"
    kind = "filesystem"

    def setup(self):
        """There are no files yet."""
        super().setup()
        self.files = []
        self.made = 0

    def happenings(self):
        """One thing happens to one file."""
        chance = self.chance.random()
        if len(self.files) < 3 or chance < 0.3:
            self.made += 1
            self.files.append(f"/mock/file-{self.made}")
            yield self._lifecycle(FilesystemAction.FILESYSTEM_ACTION_CREATE, self.files[-1])
        elif chance < 0.7:
            yield Event("events.filesystem.metadata", self._change(self.chance.choice(self.files)))
        else:
            path = self.files.pop(self.chance.randrange(len(self.files)))
            if chance < 0.85:
                self.files.append(f"{path}.old")
                action = FilesystemAction.FILESYSTEM_ACTION_MOVE
                yield self._lifecycle(action, self.files[-1], moved_from=path)
            else:
                yield self._lifecycle(FilesystemAction.FILESYSTEM_ACTION_REMOVE, path)

    def _lifecycle(self, action, path, moved_from=""):
        message = FilesystemLifecycle(
            action=action,
            path=path,
            moved_from=moved_from,
            type=FileType.FILE_TYPE_REGULAR,
            observed_at=time.time(),
        )
        return Event("events.filesystem.lifecycle", message)

    def _change(self, path):
        row = FileRow(
            path=path,
            type=FileType.FILE_TYPE_REGULAR,
            size_bytes=self.chance.randrange(1 << 20),
            modified_at=time.time(),
            mode=0o644,
        )
        change = FilesystemChange.FILESYSTEM_CHANGE_CONTENT
        return FilesystemMetadata(change=change, file=row, observed_at=time.time())


class MockPerfmond(Mock):
    """A machine whose load wanders, and is remarkable above 90 per cent."""

    name = "mock-perfmond"
    kind = "performance"

    def setup(self):
        """An idle machine."""
        super().setup()
        self.cpu_percent = 50.0

    def happenings(self):
        """One step of the walk."""
        before = self.cpu_percent
        self.cpu_percent = min(100.0, max(0.0, before + self.chance.uniform(-15, 15)))
        sample = PerformanceMetadata(
            observed_at=time.time(),
            interval_seconds=1.0,
            cpu_percent=self.cpu_percent,
            cpu_each_percent=[self.cpu_percent],
            load=[self.cpu_percent / 100] * 3,
            memory=Memory(total_bytes=8 << 30, used_bytes=4 << 30, used_percent=50.0),
        )
        yield Event("events.performance.metadata", sample)
        if (before >= 90.0) != (self.cpu_percent >= 90.0):
            yield Event("events.performance.anomaly", self._crossing())

    def _crossing(self):
        entered = self.cpu_percent >= 90.0
        finding = Finding(
            rule="cpu-high",
            severity=Severity.SEVERITY_WARNING,
            edge=Edge.EDGE_ENTERED if entered else Edge.EDGE_LEFT,
            reason=f"cpu is at {self.cpu_percent:.3g} %",
            value=self.cpu_percent,
            threshold=90.0,
            unit="percent",
            observed_at=time.time(),
        )
        return PerformanceAnomaly(finding=finding, subject="cpu")


MOCKS = (MockProcmond, MockNetmond, MockFsmond, MockPerfmond)


def _order_in(event):
    """What is asked, in protobuf or JSON; empty when it is somebody's answer."""
    if event.payload[:1] == b"{":
        asked = event.json()
        return asked.get("ask", "") if isinstance(asked, dict) else ""
    return event.unpack(Diagnostics).ask


if __name__ == "__main__":  # what a collector's own process does not need is imported here
    from daemoneye import Supervisor, collector_spec

    Supervisor([collector_spec(mock) for mock in MOCKS]).run()
