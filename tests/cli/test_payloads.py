"""Payloads as JSON, as one line for people, and made of JSON."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from daemoneye.bus.envelope import (
    JSON,
    NO_LOSS,
    NOBODY,
    Correlation,
    Envelope,
    Header,
    Payload,
    Publisher,
    encode_payload,
)
from daemoneye.bus.hierarchy import TOPICS
from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.cli.payloads import (
    document_of,
    essence_of,
    fields_of,
    message_type,
    payload_from,
    payload_of,
    reply_document,
    said_in,
)
from daemoneye.errors import LocalProtocolError

STARTED = pb.ProcessLifecycle(
    action=pb.PROCESS_ACTION_START, pid=4242, parent_pid=1, name="sleep", user="root"
)
ENDED = pb.ProcessLifecycle(
    action=pb.PROCESS_ACTION_STOP, pid=4242, name="sleep", exit_code=0, lifetime_seconds=2.5
)
LIFECYCLE = "events.process.lifecycle"


def envelope(topic: str, payload: Payload, *, lost: dict[str, int] | None = None) -> Envelope:
    data, content_type = encode_payload(payload)
    publisher = Publisher("procmond", "collector", 4243, 2)
    header = Header(topic, publisher, content_type, "", None, 0, 0)
    return Envelope((data, 1_790_000_000_123_456_789, 7, header, lost or NO_LOSS))


def test_an_event_is_one_flat_document() -> None:
    document = document_of(envelope(LIFECYCLE, STARTED, lost={"overflow": 3}))
    assert document["payload"]["name"] == "sleep"
    assert {key: value for key, value in document.items() if key != "payload"} == {
        "topic": LIFECYCLE,
        "publisher": {"name": "procmond", "role": "collector", "pid": 4243, "incarnation": 2},
        "sequence": 7,
        "time": "2026-09-21T14:13:20.123457+00:00",
        "lost": {"overflow": 3},
    }
    assert "lost" not in document_of(envelope(LIFECYCLE, STARTED))


def test_an_event_of_a_conversation_says_its_step() -> None:
    event = envelope(LIFECYCLE, STARTED)
    said = Correlation("case-7", stage="will", tags=(("cause", "signal:9"),))
    header = event.header._replace(correlation=said)
    document = document_of(Envelope((*event[:3], header, event.lost)))
    assert (document["correlation"], document["stage"]) == ("case-7", "will")
    assert document["tags"] == {"cause": "signal:9"}


def test_a_message_is_shown_with_words_for_enums_and_numbers_for_numbers() -> None:
    shown = fields_of(ENDED)
    assert (shown["action"], shown["pid"], shown["exit_code"]) == ("stop", 4242, 0)
    assert "exit_code" not in fields_of(STARTED)  # not known is not zero
    assert fields_of(pb.LossReport(lost={"overflow": 3}))["lost"] == {"overflow": 3}
    assert fields_of(pb.ProcessIntegrity(sha256=b"\x01\xff"))["sha256"] == "01ff"
    finding = pb.Finding(severity=pb.SEVERITY_WARNING)
    anomaly = fields_of(pb.ProcessAnomaly(finding=finding))
    assert anomaly["finding"]["severity"] == "warning"


@pytest.mark.parametrize(
    ("topic", "payload", "shown"),
    [
        ("events.demo.tick", {"n": 1}, {"n": 1}),
        ("events.demo.tick", b"text", "text"),
        ("events.demo.tick", b"\xff\x00", {"base64": "/wA="}),
        (LIFECYCLE, {"my": "own"}, {"my": "own"}),
        (LIFECYCLE, b"\xff", {"base64": "/w=="}),
        (
            "events.demo.tick",
            pb.LossReport(identity="a"),
            {"identity": "a", "lost": {}, "observed_at": 0},
        ),
    ],
)
def test_a_payload_is_shown_as_what_it_is(topic: str, payload: Payload, shown: object) -> None:
    assert payload_of(envelope(topic, payload)) == shown


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (STARTED, "started sleep, pid 4242, parent 1, user root"),
        (ENDED, "ended sleep, pid 4242, exit 0, after 2.5 s"),
    ],
)
def test_the_essence_of_a_process_is_its_name_and_pid(message: Message, line: str) -> None:
    assert essence_of(LIFECYCLE, fields_of(message)) == line


@pytest.mark.parametrize("row", [row for row in TOPICS if row.message], ids=lambda row: row.text)
def test_every_declared_message_can_be_told_in_one_line(row: object) -> None:
    text, name = row.text, row.message  # type: ignore[attr-defined]  # a row of the hierarchy
    topic = text.replace("<", "").replace(">", "")
    made = message_type(name)
    if made is not None:
        line = essence_of(topic, fields_of(made()))
        assert "\n" not in line
        assert essence_of(topic, {"my": "own"}) == '{"my": "own"}'


WISHES = "control.collector.lifecycle"


def test_an_object_on_a_declared_topic_becomes_its_message() -> None:
    made = payload_from(WISHES, b'{"verb": "pause", "request": 3}')
    assert made == pb.CollectorWish(verb="pause", request=3)


@pytest.mark.parametrize("data", [b'{"verbs": "pause"}', b"hello", b"[1]", b"", b"\xff"])
def test_what_is_not_the_declared_message_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="no CollectorWish") as refused:
        payload_from(WISHES, data)
    assert "\n" not in str(refused.value)
    assert "verb, request, reason" in refused.value.hint
    assert payload_from(WISHES, data, raw=True) == data


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b'{"n": 1}', {"n": 1}),
        (b"[1]", [1]),
        (b"5", b"5"),
        (b"hello", b"hello"),
        (b"", b""),
        (b"\xff\x00", b"\xff\x00"),
    ],
)
def test_input_on_another_topic_is_sent_as_it_is_read(data: bytes, payload: object) -> None:
    assert payload_from("events.demo.tick", data) == payload


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"n":2', r"""expecting ',' delimiter in line 1, column 7, behind '\{"n":2'"""),
        (b"{bad", "line 1, column 2, behind '{'"),
        (b" [1,\n2,,3]", "expecting value in line 2, column 3, behind '\\[1, 2,'"),
        (b'{"a": "\xff"}', "byte 8 is no UTF-8"),
        (b"[" * 100_000, "more than can be opened"),
        (b"[1" + b"0" * 5000 + b"]", "more than can be opened"),
    ],
)
@pytest.mark.parametrize("topic", ["events.demo.tick", WISHES])
def test_what_begins_as_json_and_is_none_is_refused(topic: str, data: bytes, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why) as refused:
        payload_from(topic, data)
    assert "\n" not in str(refused.value)
    assert "--raw" in refused.value.hint
    assert payload_from(topic, data, raw=True) == data


def will_of_the_dead() -> Envelope:
    """What is said of somebody who was killed."""
    event = envelope("events.demo.up", {"up": False})
    said = Correlation(stage="will", tags=(("cause", "signal:9"),))
    return Envelope((*event[:3], event.header._replace(correlation=said), event.lost))


def dead(payload: Payload, topic: str = "control.demo.jobs", **other: object) -> pb.DeadLetter:
    """What the broker says of a job that nobody handled."""
    data, content_type = encode_payload(payload)
    fields: dict[str, object] = {"payload_bytes": len(data), "payload": data} | other
    letter = pb.DeadLetter(group="workers", topic=topic, publisher="operator", reason="exhausted")
    letter.MergeFrom(pb.DeadLetter(cause="tried 5 times", content_type=content_type, **fields))  # type: ignore[arg-type]  # fields by name
    letter.time = 1_790_000_000_123_456_789
    return letter


@pytest.mark.parametrize(
    ("letter", "shown"),
    [
        (dead({"n": 1}), {"n": 1}),
        (dead(b"text"), "text"),
        (dead(b"\xff\x00"), {"base64": "/wA="}),
        (dead(b""), ""),
        (dead(b"", payload_bytes=70_000), None),
        (dead(STARTED, LIFECYCLE), fields_of(STARTED)),
    ],
)
def test_a_dead_letter_shows_what_died_and_when_it_was_said(
    letter: pb.DeadLetter, shown: object
) -> None:
    said = payload_of(envelope("$bus.dead.workers", letter))
    assert said["payload"] == shown
    assert said["time"] == "2026-09-21T14:13:20.123457+00:00"


def test_the_essence_of_a_dead_letter_is_why_and_what() -> None:
    def line(letter: pb.DeadLetter) -> str:
        topic = "$bus.dead.workers"
        return essence_of(topic, payload_of(envelope(topic, letter)))

    begin = "exhausted in workers: control.demo.jobs from operator: tried 5 times"
    assert line(dead({"n": 1})) == begin + ': {"n": 1}'
    assert line(dead(b"text")) == begin + ": text"
    assert line(dead(b"", payload_bytes=70_000)) == begin


def test_a_reply_is_shown_by_its_content_type_alone() -> None:
    """A declared topic says what is asked there, and nothing of what is replied."""

    def reply(payload: bytes, content_type: str) -> Envelope:
        header = Header("events.process.lifecycle", NOBODY, content_type, "", None, 0, 0)
        return Envelope((payload, 0, 0, header, NO_LOSS))

    assert said_in(reply(b"\x08\x01", "")) == "\x08\x01"
    assert said_in(reply(b'{"n":1}', JSON)) == {"n": 1}
    document = reply_document(reply(b"text", ""))
    assert (document["payload"], document["content_type"]) == ("text", "")
    assert "sequence" not in document
