"""procmond says what its scans show."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from daemoneye.bus.hierarchy import message_of
from daemoneye.bus.proto.events_pb2 import (
    ProcessAction,
    ProcessBatch,
    ProcessLifecycle,
    ProcessMetadata,
    ProcessTree,
)
from daemoneye.collectors.collector import Event, describe
from daemoneye.collectors.procmond import Procmond
from daemoneye.collectors.procmond.comparison import Image, Process, Scan
from daemoneye.errors import ConfigError

SHELL = Image("sh", "/bin/sh", ("sh",), "me")
SLEEP = Image("sleep", "/bin/sleep", ("sleep", "1"), "me")


class Told:
    """A scanner that sees what it is told."""

    def __init__(self) -> None:
        self.clock = 1000.0
        self.processes = [Process(1, 10.0, 0, SHELL, cpu_seconds=0.0, rss_bytes=1)]

    def scan(self) -> Scan:
        """One second later."""
        self.clock += 1.0
        return Scan({each.identity: each for each in self.processes}, self.clock, self.clock)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    scanner = Told()
    monkeypatch.setattr("daemoneye.collectors.procmond.procmond.system_scanner", lambda: scanner)
    return scanner


@pytest.fixture
def procmond(told: Told) -> Procmond:
    collector = Procmond()
    collector.setup()
    return collector


def payloads(events: Iterable[Event], kind: type) -> list[object]:
    return [each.payload for each in events if isinstance(each.payload, kind)]


def test_what_was_there_at_first_did_not_start(procmond: Procmond) -> None:
    assert list(procmond.changes()) == []


def test_a_life_is_told_from_start_to_stop(procmond: Procmond, told: Told) -> None:
    actions = []
    for processes in ([Process(7, 1001.0, 1, SHELL)], [Process(7, 1001.0, 1, SLEEP)], []):
        told.processes[1:] = processes
        for payload in payloads(procmond.changes(), ProcessLifecycle):
            assert isinstance(payload, ProcessLifecycle)
            actions.append((ProcessAction.Name(payload.action), payload.pid, payload.name))
    assert actions == [
        ("PROCESS_ACTION_START", 7, "sh"),
        ("PROCESS_ACTION_EXEC", 7, "sleep"),
        ("PROCESS_ACTION_STOP", 7, "sleep"),
    ]


def test_a_process_with_another_parent_is_told_as_a_piece_of_tree(
    procmond: Procmond, told: Told
) -> None:
    told.processes = [Process(1, 10.0, 2, SHELL)]
    (tree,) = payloads(procmond.changes(), ProcessTree)
    assert isinstance(tree, ProcessTree)
    assert [(node.pid, node.parent_pid) for node in tree.nodes] == [(1, 2)]


def test_an_enumeration_tells_everything_and_has_a_new_number_each_time(procmond: Procmond) -> None:
    for number in (1, 2):
        events = list(procmond.enumeration())
        (batch,) = payloads(events, ProcessBatch)
        (tree,) = payloads(events, ProcessTree)
        assert isinstance(batch, ProcessBatch)
        assert isinstance(tree, ProcessTree)
        assert (batch.batch, tree.batch, len(batch.processes)) == (number, number, 1)


def test_usage_is_told_over_the_time_between_reports(procmond: Procmond, told: Told) -> None:
    list(procmond.usage())
    for _ in range(4):
        list(procmond.changes())
    told.processes = [Process(1, 10.0, 0, SHELL, cpu_seconds=2.5, rss_bytes=1)]
    list(procmond.changes())
    (report,) = payloads(procmond.usage(), ProcessMetadata)
    assert isinstance(report, ProcessMetadata)
    assert report.interval_seconds == 5.0
    assert report.samples[0].cpu_percent == 50.0


def test_without_a_scan_in_between_nothing_is_reported_twice(procmond: Procmond) -> None:
    assert len(list(procmond.usage())) == 1
    assert list(procmond.usage()) == []


@pytest.mark.parametrize("top", [-1, 1.5, True, "ten", 1001])
def test_a_number_of_processes_that_cannot_be_is_refused(procmond: Procmond, top: object) -> None:
    with pytest.raises(ConfigError, match=r"settings\.top"):
        procmond.reconfigure({**Procmond.settings, "top": top})


def test_it_publishes_declared_messages_on_declared_topics(procmond: Procmond) -> None:
    described = describe(Procmond)
    for event in (*procmond.enumeration(), *procmond.usage()):
        assert described.may_publish(event.topic)
        assert message_of(event.topic) == event.payload.DESCRIPTOR.full_name  # type: ignore[union-attr]  # protobuf


def test_it_sees_this_machine() -> None:
    collector = Procmond()
    collector.setup()
    rows = [
        row
        for payload in payloads(collector.enumeration(), ProcessBatch)
        for row in payload.processes  # type: ignore[attr-defined]  # filtered above
    ]
    assert len(rows) > 2
