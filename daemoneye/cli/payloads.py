"""Payloads as JSON and as one line for people, and JSON as payloads."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message

from daemoneye.bus.envelope import JSON, PROTOBUF, Envelope, Payload
from daemoneye.bus.hierarchy import PACKAGE, message_of
from daemoneye.bus.proto import events_pb2
from daemoneye.errors import LocalProtocolError
from daemoneye.units import format_duration, format_size

Document: TypeAlias = dict[str, Any]


def document_of(envelope: Envelope) -> Document:
    """What `bus sub --json` and `events --json` print for one event."""
    publisher = envelope.publisher
    document: Document = {
        "topic": envelope.topic,
        "publisher": {
            "name": publisher.name,
            "role": publisher.role,
            "pid": publisher.pid,
            "incarnation": publisher.incarnation,
        },
        "sequence": envelope.sequence,
        "time": _moment(envelope.time),
        "payload": payload_of(envelope),
    }
    if envelope.retained:
        document["retained"] = True
    if envelope.target:
        document["target"] = envelope.target
    if envelope.correlation and envelope.correlation.id:
        document["correlation"] = envelope.correlation.id
    if envelope.correlation and envelope.correlation.stage:
        document["stage"] = envelope.correlation.stage
    if envelope.correlation and envelope.correlation.tags:
        document["tags"] = dict(envelope.correlation.tags)
    if envelope.lost:
        document["lost"] = dict(envelope.lost)
    return document


UNDECLARED = "reply"
"""A topic that carries whatever it likes."""


def reply_document(reply: Envelope) -> Document:
    """What `bus call --json` prints."""
    document = document_of(reply)
    del document["sequence"]  # a reply has none
    return {**document, "content_type": reply.content_type, "payload": said_in(reply)}


def said_in(reply: Envelope) -> Any:
    """The payload of a reply as JSON, by its content type: a topic declares only what is asked."""
    header = reply.header._replace(topic=UNDECLARED)
    return payload_of(Envelope((*reply[:3], header, reply.lost)))


def payload_of(envelope: Envelope) -> Any:
    """The payload as JSON: protobuf of ours and JSON opened, text as text, the rest in base64."""
    return _shown(bytes(envelope.payload), envelope.content_type, envelope.topic)


def _shown(payload: bytes, content_type: str, topic: str) -> Any:
    try:
        if message_type := _message_type(content_type, topic):
            message = message_type.FromString(payload)
            said = fields_of(message)
            return said | _inside(message) if isinstance(message, events_pb2.DeadLetter) else said
        if content_type == JSON:
            return json.loads(payload)
        return payload.decode()
    except (ValueError, RecursionError, DecodeError):
        # It is not what its publisher called it, and shown as it is.
        return {"base64": base64.b64encode(payload).decode()}


def _inside(letter: events_pb2.DeadLetter) -> Document:
    """What died, as it would have been shown, and when it was published; null if left out."""
    left_out = letter.payload_bytes > len(letter.payload)
    shown = None if left_out else _shown(letter.payload, letter.content_type, letter.topic)
    return {"payload": shown, "time": _moment(letter.time / 1e9)}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _message_type(content_type: str, topic: str) -> type[Message] | None:
    """The class of a protobuf payload of ours; None for anything else.

    The publisher's word comes first: a declared topic may carry JSON from somebody's own program.
    """
    kind, _, name = content_type.partition("; type=")
    if kind == JSON:
        return None
    return message_type(name if kind == PROTOBUF else message_of(topic) or "")


def message_type(full_name: str) -> type[Message] | None:
    """The class of one of our messages by its full name, `daemoneye.v1.ProcessLifecycle`."""
    package, _, name = full_name.rpartition(".")
    found = getattr(events_pb2, name, None) if package == PACKAGE else None
    return found if isinstance(found, type) and issubclass(found, Message) else None


def fields_of(message: Message) -> Document:
    """A message as JSON: enums as short words, bytes as hex, what is not known left out."""
    shown: Document = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        names = field.enum_type.values if field.enum_type else ()
        words = _words({each.number: each.name for each in names})
        value = getattr(message, field.name)
        if isinstance(value, Mapping):
            shown[field.name] = dict(value)
        elif field.is_repeated:
            shown[field.name] = [_plain(each, words) for each in value]
        else:
            shown[field.name] = _plain(value, words)
    return shown


def _words(names: Mapping[int, str]) -> Mapping[int, str]:
    """Names of an enum without what they share: PROCESS_ACTION_START becomes `start`."""
    shared = names.get(0, "").removesuffix("UNSPECIFIED")
    return {
        number: name.removeprefix(shared).lower().replace("_", "-")
        for number, name in names.items()
    }


def _plain(value: object, words: Mapping[int, str]) -> object:
    if isinstance(value, Message):
        return fields_of(value)
    if words and isinstance(value, int):
        return words.get(value, str(value))
    return value.hex() if isinstance(value, bytes) else value


def payload_from(topic: str, data: bytes, *, raw: bool = False) -> Payload:
    """What `bus pub` sends for some input: a JSON object becomes the topic's declared message.

    An object on an undeclared topic and an array stay JSON, anything else is sent as it is; with
    `raw` everything is.  Raises LocalProtocolError for what is not the topic's declared message,
    and for what begins as JSON and is none.
    """
    if raw:
        return data
    value = _read_json(data)
    declared = message_type(message_of(topic) or "")
    if declared is None:
        return value if isinstance(value, (dict, list)) else data
    if not isinstance(value, dict):
        raise _no_message(topic, declared, "it is no JSON object")
    try:
        return ParseDict(value, declared())
    except ParseError as error:
        raise _no_message(topic, declared, " ".join(str(error).split())) from None


def _read_json(data: bytes) -> object:
    """What it says; None when it is no JSON, and does not begin as if it were to be some."""
    try:
        return json.loads(data.decode())
    except json.JSONDecodeError as error:
        before = " ".join(error.doc[max(0, error.pos - _SHOWN_BEFORE) : error.pos].split())
        where = f"line {error.lineno}, column {error.colno}, behind {before!r}"
        why = f"{error.msg[:1].lower()}{error.msg[1:]} in {where}"
    except UnicodeDecodeError as error:
        why = f"byte {error.start + 1} is no UTF-8"
    except (ValueError, RecursionError):  # an endless number, or brackets without end
        why = "it is more than can be opened"
    if data.lstrip()[:1] in (b"{", b"["):
        raise LocalProtocolError(
            f"the payload begins as JSON, and is none: {why}", hint="--raw sends it as it is"
        )
    return None


_SHOWN_BEFORE = 20
"""Characters in front of where the JSON went wrong, to find it by."""


def _no_message(topic: str, declared: type[Message], why: str) -> LocalProtocolError:
    fields = ", ".join(each.name for each in declared.DESCRIPTOR.fields)
    return LocalProtocolError(
        f"the payload is no {declared.DESCRIPTOR.name}, which {topic} carries: {why}",
        hint=f"give a JSON object with {fields}; --raw sends it as it is",
    )


def essence_of(topic: str, payload: Any) -> str:
    """One line for people about a payload as `payload_of` gives it."""
    if not isinstance(payload, dict):
        return str(payload)
    tell = _ESSENCES.get((message_of(topic) or "").removeprefix(f"{PACKAGE}."))
    try:
        return tell(payload) if tell else json.dumps(payload, ensure_ascii=False)
    except (KeyError, TypeError, ValueError):  # somebody's own payload on a declared topic
        return json.dumps(payload, ensure_ascii=False)


_ACTIONS = {"start": "started", "stop": "ended", "exec": "became"}
"""What a process did, as a person says it before its name."""


def _process_lifecycle(said: Document) -> str:
    action = _ACTIONS.get(said["action"], said["action"])
    text = f"{action} {said['name']}, pid {said['pid']}"
    if said["action"] == "stop":
        how = f", exit {said['exit_code']}" if "exit_code" in said else ""
        return f"{text}{how}, after {format_duration(said['lifetime_seconds'])}"
    before = ", was there before" if said["existed_before"] else ""
    return f"{text}, parent {said['parent_pid']}, user {said['user']}{before}"


def _process_metadata(said: Document) -> str:
    busiest = sorted(said["samples"], key=lambda each: -each.get("cpu_percent", 0.0))[:3]
    shown = ", ".join(f"{each['name']} {each.get('cpu_percent', 0.0):.0f} %" for each in busiest)
    return f"{_count(said['samples'], 'process', 'processes')}; most CPU: {shown}"


def _anomaly(said: Document) -> str:
    finding = said["finding"]
    subject = said.get("subject") or f"{said.get('name', '')} {said.get('pid', '')}".strip()
    edge = "over: " if finding["edge"] == "left" else ""
    return f"{edge}{finding['severity']}: {subject}: {finding['reason']}"


def _connection(said: Document) -> str:
    row = said.get("connection") or said["socket"]
    ends = [row.get("local"), row.get("remote")]
    path = " → ".join(f"{end['address']}:{end['port']}" for end in ends if end)
    return f"{said['action']} {row['protocol']} {path} {row['process_name']} {row['pid']}"


def _performance(said: Document) -> str:
    parts = []
    if "cpu_percent" in said:
        parts.append(f"cpu {said['cpu_percent']:.0f} %")
    if said["load"]:
        parts.append(f"load {said['load'][0]:.2f}")
    if "memory" in said:
        parts.append(f"memory {said['memory']['used_percent']:.0f} %")
    received = sum(each.get("received_bytes_per_second", 0.0) for each in said["networks"])
    written = sum(each.get("written_bytes_per_second", 0.0) for each in said["disks"])
    parts.append(f"network in {format_size(received)}/s")
    parts.append(f"disk out {format_size(written)}/s")
    return ", ".join(parts)


def _health(said: Document) -> str:
    return f"{said['overall']}{': ' if said['reason'] else ''}{said['reason']}"


def _heartbeat(said: Document) -> str:
    return f"up {format_duration(said['uptime_seconds'])}, {said['doing'] or 'waiting for work'}"


def _child_status(said: Document) -> str:
    reason = f": {said['reason']}" if said["reason"] else ""
    return f"{said['name']} is {said['state']}, pid {said['pid']}{reason}"


def _part(said: Document, rows: str, one: str, many: str) -> str:
    return f"{_count(said[rows], one, many)} (part {said['part']} of {said['parts']})"


def _dead_letter(said: Document) -> str:
    text = f"{said['reason']} in {said['group']}: {said['topic']} from {said['publisher']}"
    why = f": {said['cause']}" if said["cause"] else ""
    payload = said["payload"]
    shown = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return f"{text}{why}" if payload is None else f"{text}{why}: {shown}"


def _count(rows: Iterable[object], one: str, many: str) -> str:
    number = len(list(rows))
    return f"1 {one}" if number == 1 else f"{number} {many}"


_ESSENCES: Mapping[str, Callable[[Document], str]] = {
    "ProcessLifecycle": _process_lifecycle,
    "ProcessMetadata": _process_metadata,
    "ProcessTree": lambda said: _part(said, "nodes", "process", "processes"),
    "ProcessBatch": lambda said: _part(said, "processes", "process", "processes"),
    "ProcessIntegrity": lambda said: f"{said['executable']} {said['sha256'] or said['error']}",
    "ProcessAnomaly": _anomaly,
    "NetworkLifecycle": _connection,
    "NetworkListener": _connection,
    "NetworkAnomaly": _anomaly,
    "NetworkBatch": lambda said: _part(said, "connections", "connection", "connections"),
    "FilesystemLifecycle": lambda said: f"{said['action']} {said['path']}",
    "FilesystemMetadata": lambda said: f"{said['change']} of {said['file']['path']} changed",
    "FilesystemIntegrity": lambda said: f"{said['path']} {said['sha256'] or said['error']}",
    "FilesystemBatch": lambda said: _part(said, "files", "file", "files"),
    "PerformanceMetadata": _performance,
    "PerformanceAnomaly": _anomaly,
    "PerformanceBatch": lambda said: (
        f"{said['hostname']}: {said['system']} {said['release']}, {said['cpus']} CPUs, "
        f"{format_size(said['memory_bytes'])}"
    ),
    "Heartbeat": _heartbeat,
    "HealthStatus": _health,
    "ChildStatus": _child_status,
    "DeadLetter": _dead_letter,
}
"""How to tell each message in one line; what is not here is shown as JSON."""
