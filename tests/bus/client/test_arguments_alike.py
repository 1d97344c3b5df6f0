"""What both clients do with arguments that are of a wrong kind, or cannot be meant."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemoneye import Correlation, Topic
from daemoneye.bus.proto import events_pb2
from daemoneye.errors import BusError, InvalidTopic, LocalProtocolError
from tests.bus.brokers import Running
from tests.bus.client.alike import Tasks, Threads
from tests.support import scaled

TICK, JOBS = "events.demo.tick", "control.demo.jobs"

WRONG_OF_PUBLISHES: list[tuple[dict[str, Any], str]] = [
    ({"correlation": "case-7"}, "correlation is a Correlation, and not str: 'case-7'"),
    ({"correlation": 7}, "correlation is a Correlation, and not int: 7"),
    ({"retain": "yes"}, "retain is True or False, and not str: 'yes'"),
    ({"retain": 1 << 70}, "retain is True or False, and not int"),
    ({"guarantee": ["x"]}, r"\['x'\] is no guarantee"),
    ({"guarantee": 3}, "3 is no guarantee"),
    ({"key": b"bytes"}, "key is a str, and not bytes: b'bytes'"),
    ({"key": 3}, "key is a str, and not int: 3"),
    ({"key": "\ud800"}, r"key is '\\ud800', and UTF-8 cannot say all of it"),
    ({"target": b"bytes"}, "target is a str, and not bytes: b'bytes'"),
    ({"target": None}, "target is a str, and not NoneType: None"),
    ({"target": ["x"]}, r"target is a str, and not list: \['x'\]"),
    ({"target": "Not A Name"}, "target is 'Not A Name', and nobody can be called that"),
    ({"target": "x\0y"}, r"target is 'x\\x00y', and nobody can be called that"),
    ({"target": "\ud800"}, r"target is '\\ud800', and UTF-8 cannot say all of it"),
]

WRONG_TIMES: list[tuple[Any, str]] = [
    ("2030-01-01", "expires_at is Unix time in seconds, and not str: '2030-01-01'"),
    (
        datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC),
        "expires_at is Unix time in seconds, and not datetime",
    ),
    (True, "expires_at is Unix time in seconds, and not bool: True"),
    (1 << 70, "expires_at is 1180591620717411303424, and no point in time"),
    (10**400, "expires_at is 1000.*, and no point in time"),
    (-1.0, "expires_at is -1.0, and no point in time"),
]


def refused(call: Callable[[], object], said: str, kind: type[BusError]) -> None:
    """It is, in these words, and with a hint."""
    with pytest.raises(kind, match=said) as caught:
        call()
    assert type(caught.value) is kind
    assert caught.value.hint


@pytest.mark.parametrize(("wrong", "said"), WRONG_OF_PUBLISHES)
def test_bad_input_what_stands_beside_a_publish(
    broker: Running, wrong: dict[str, Any], said: str
) -> None:
    with broker.client() as bus, bus.subscribe(TICK) as events:
        refused(lambda: bus.publish(TICK, b"x", **wrong), said, LocalProtocolError)
        refused(lambda: bus.publish(TICK, {"n": 1}, **wrong), said, LocalProtocolError)
        refused(lambda: bus.publish_confirmed(TICK, b"x", **wrong), said, LocalProtocolError)
        if wrong.keys() <= {"target", "guarantee", "key"}:
            refused(lambda: bus.publish_many(TICK, [b"x"], **wrong), said, LocalProtocolError)
        if wrong.keys() <= {"correlation"}:
            refused(lambda: bus.call(TICK, b"x", **wrong), said, LocalProtocolError)
        if wrong.keys() <= {"retain"}:
            refused(lambda: bus.set_will(TICK, b"x", **wrong), said, LocalProtocolError)
        bus.publish(TICK, b"right")
        event = events.get(scaled(5))
        assert event is not None
        assert event.payload == b"right"  # nothing went before it


@pytest.mark.parametrize(("wrong", "said"), WRONG_TIMES)
def test_bad_input_an_expiry_is_a_point_in_time(broker: Running, wrong: Any, said: str) -> None:
    with broker.client() as bus:
        refused(lambda: bus.publish(TICK, b"x", expires_at=wrong), said, LocalProtocolError)
        assert bus.counters().published == 0


@pytest.mark.parametrize("wrong", [None, 3, object(), b"x", b"", "x", {"n": 1}, bytearray(b"x")])
def test_bad_input_several_payloads_are_a_list(broker: Running, wrong: Any) -> None:
    with broker.client() as bus:
        said = f"payloads is an iterable of them, and not {type(wrong).__name__}"
        refused(lambda: bus.publish_many(TICK, wrong), said, LocalProtocolError)
        assert bus.counters().published == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tags": "a"}, "tags to select by is a mapping, and not str: 'a'"),
        ({"tags": ["a"]}, r"tags to select by is a mapping, and not list: \['a'\]"),
        ({"tags": 3}, "tags to select by is a mapping, and not int: 3"),
        ({"tags": {"a": "\ud800"}}, r"a tag to select by is '\\ud800', and UTF-8 cannot"),
        ({"correlation_id": "\ud800"}, r"correlation_id to select by is '\\ud800', and UTF-8"),
        ({"stage": None}, "stage to select by is a str, and not NoneType"),
        ({"overflow": []}, r"\[\] is no way to overflow"),
        ({"replay": {}}, "{} is no way to be sent retained values"),
        ({"group": []}, r"\[\] cannot be the name of a group"),
        ({"group": None}, "None cannot be the name of a group"),
        ({"group": "g", "choice": []}, r"\[\] is no choice"),
    ],
)
def test_bad_input_how_to_subscribe(broker: Running, wrong: dict[str, Any], said: str) -> None:
    with broker.client() as bus:
        refused(lambda: bus.subscribe(JOBS, **wrong), said, LocalProtocolError)
        assert bus.subscriptions() == ()


@pytest.mark.parametrize("topic", ["\ud800", "events.\ud800"])
def test_bad_input_a_topic_with_half_a_character(broker: Running, topic: str) -> None:
    with broker.client() as bus:
        for call in (
            lambda: bus.publish(topic, b""),
            lambda: bus.publish(topic, b"", key="k"),
            lambda: bus.publish_many(topic, [b""]),
            lambda: bus.publish_confirmed(topic, b""),
            lambda: bus.call(topic),
            lambda: bus.serve(topic),
            lambda: bus.subscribe(topic),
            lambda: bus.set_will(topic, b""),
        ):
            refused(call, "contains U.D800", InvalidTopic)


def test_bad_input_an_event_is_read_by_what_it_is_not(broker: Running) -> None:
    others: tuple[Any, ...] = (dict, 3, "Tick", events_pb2.Heartbeat(), None)
    with broker.client() as bus, bus.subscribe(TICK) as events:
        bus.publish(TICK, b"", correlation=Correlation("case-7", tags=(("host", "a"),)))
        event: Any = events.get(scaled(5))
        assert event.correlation.tags == (("host", "a"),)
        for other in others:
            said = "what unpack reads is a class of protobuf messages, and not"
            refused(partial(event.unpack, other), said, LocalProtocolError)
            said = "what read goes by is a Topic, and not"
            refused(partial(event.read, other), said, LocalProtocolError)


class AnyBytes:
    """A codec whose values are the payloads, of the kind it is given."""

    def encode(self, value: Any) -> Any:
        return value

    def decode(self, payload: bytes) -> bytes:
        return payload


def test_a_codec_may_give_what_a_publish_takes(broker: Running) -> None:
    topic: Topic[Any] = Topic(TICK, AnyBytes())
    with broker.client() as bus, bus.subscribe(topic) as events:
        bus.publish(topic, bytearray(b"1"))
        bus.publish_confirmed(topic, memoryview(b"2"), timeout=scaled(5))
        bus.publish_many(topic, [b"3", bytearray(b"4")])
        found = [events.get(scaled(5)) for _ in range(4)]
        assert [each.read(topic) for each in found if each] == [b"1", b"2", b"3", b"4"]
        said = "AnyBytes gives str for events.demo.tick, and not bytes"
        refused(lambda: bus.publish(topic, "5"), said, LocalProtocolError)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"run_dir": "x\0y"}, r"run_dir is 'x\\x00y', and no path has a NUL in it"),
        ({"run_dir": 3}, "run_dir is a path, and not int: 3"),
        ({"run_dir": b"x"}, "run_dir is a path, and not bytes: b'x'"),
        ({"address": 3}, "address is a path, and not int: 3"),
        ({"address": "x\0y"}, r"address is 'x\\x00y', and no path"),
        ({"name": 3}, "name is a str, and not int: 3"),
        ({"name": "\ud800"}, r"name is '\\ud800', and UTF-8 cannot"),
        ({"name": "me", "key": "secret"}, "key is bytes, and not str$"),
        ({"name": "me", "key": b""}, "key is bytes, and not empty"),
        ({"pass_memory": "no"}, "pass_memory is True or False, and not str: 'no'"),
    ],
)
def test_bad_input_where_and_as_whom_to_connect(
    kind: Threads | Tasks, tidy: Path, wrong: dict[str, Any], said: str
) -> None:
    whole = {"address": tidy / "bus", "name": "me", "key": b"k" * 32, **wrong}
    given = wrong if "run_dir" in wrong else whole
    with pytest.raises(LocalProtocolError) as caught:
        kind.connect(**given)
    assert caught.match(said.removesuffix("$"))
    assert caught.value.hint
    assert "secret" not in str(caught.value)  # a key is not for a log
