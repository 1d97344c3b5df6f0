"""What is said to a collector on the control topics, and what it answers.  Pure.

A payload is the declared protobuf message, or a JSON object with the same keys, because people and
shells write JSON.  What a stranger sent wrong is a CollectorError with the reason: it is answered
and logged, and harms nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message

from daemoneye.bus.envelope import JSON
from daemoneye.bus.proto.events_pb2 import CollectorConfig, CollectorWish, Diagnostics
from daemoneye.errors import CollectorError, RemoteProtocolError
from daemoneye.strict_json import read_object

CONFIGURE = "configure"
VERBS = frozenset({"start", "stop", "restart", "pause", "resume"})
QUESTIONS = ("threads", "counters", "settings", "capabilities")
"""What every collector answers; one that listens on the topic itself may answer more."""

Declared = TypeVar("Declared", bound=Message)


class Said(Protocol):
    """The part of an envelope that is read here."""

    @property
    def payload(self) -> bytes | memoryview:
        """What was published."""

    @property
    def content_type(self) -> str:
        """What the payload is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of the supervisor about this collector."""

    verb: str
    request: int = 0
    """The asker's number, which the answer carries; 0 when no answer is wanted."""
    settings: Mapping[str, object] | None = None
    """With `configure`: the settings as a whole."""
    validate_only: bool = False
    """With `configure`: only say what you think of them."""


def lifecycle_wish(said: Said) -> Wish:
    """A wish from `control.collector.lifecycle`.  Raises CollectorError when it is none."""
    message = _read(said, CollectorWish)
    if message.verb not in VERBS:
        raise CollectorError(
            f"{message.verb!r:.40} is no wish", hint=f"there are {', '.join(sorted(VERBS))}"
        )
    return Wish(message.verb, message.request)


def config_wish(said: Said) -> Wish:
    """A wish from `control.collector.config`.  Raises CollectorError when it is none."""
    message = _read(said, CollectorConfig)
    settings = _object(message.settings or "{}", "settings")
    return Wish(CONFIGURE, message.request, settings, message.validate_only)


def question(said: Said) -> str:
    """What is asked on `control.health.diagnostics`; empty when it is somebody's answer.

    Raises CollectorError when it is neither.
    """
    return _read(said, Diagnostics).ask


def settings_of(text: str) -> Mapping[str, object]:
    """Settings as the lifeline carries them.  Raises CollectorError for no JSON object."""
    return _object(text, "settings")


def _read(said: Said, declared: type[Declared]) -> Declared:
    name = declared.DESCRIPTOR.name
    payload = bytes(said.payload)
    try:
        # A shell sends untyped bytes: no declared message begins with a brace, which is field 15.
        if said.content_type.startswith(JSON) or payload[:1] == b"{":
            return ParseDict(_flattened(_object(payload, name)), declared())
        return declared.FromString(payload)
    except (DecodeError, ParseError) as error:
        raise CollectorError(f"the payload is no {name}: {error}") from error


def _flattened(found: Mapping[str, object]) -> dict[str, object]:
    """Settings are a JSON document in the message; written as JSON they may be an object."""
    return {
        key: json.dumps(value) if isinstance(value, dict) else value for key, value in found.items()
    }


def _object(text: str | bytes, what: str) -> dict[str, object]:
    try:
        return read_object(text, what)
    except RemoteProtocolError as error:
        raise CollectorError(str(error)) from error
