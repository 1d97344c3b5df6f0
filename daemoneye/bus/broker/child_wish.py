"""A wish that was handed up, in words of the lifeline.  Pure.

On the bus a wish is a message of the hierarchy, as protobuf or JSON; the supervisor knows verbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from daemoneye.bus import hierarchy
from daemoneye.bus.broker.wishes import HandedUp
from daemoneye.bus.envelope import JSON
from daemoneye.bus.proto.events_pb2 import CollectorConfig, CollectorWish
from daemoneye.errors import RemoteProtocolError
from daemoneye.strict_json import read_object

CONFIGURE = "configure"


@dataclass(frozen=True, slots=True)
class ChildWish:
    """What somebody on the bus wants done with a child."""

    verb: str
    """start, stop, restart, pause, resume, configure; the supervisor refuses any other."""
    child: str
    """Whom it is about."""
    settings: Mapping[str, object] | None
    """With configure: the new ones, as a whole."""
    asked_by: str
    """The proven identity."""


def child_wish(handed_up: HandedUp) -> ChildWish:
    """The wish in a message of the bus.  Raises RemoteProtocolError when it cannot be read."""
    try:
        if handed_up.topic == hierarchy.COLLECTOR_CONFIG:
            verb, settings = CONFIGURE, _settings_of(handed_up)
        else:
            verb, settings = _verb_of(handed_up), None
    except (DecodeError, RemoteProtocolError) as error:
        raise RemoteProtocolError(
            f"a wish of {handed_up.publisher} on {handed_up.topic} cannot be read: {error}"
        ) from error
    return ChildWish(verb, handed_up.target, settings, handed_up.publisher)


def _verb_of(handed_up: HandedUp) -> str:
    if handed_up.content_type == JSON:
        verb = read_object(handed_up.payload, "it").get("verb")
        if not isinstance(verb, str):
            raise RemoteProtocolError("its `verb` is no text")
        return verb
    return CollectorWish.FromString(handed_up.payload).verb


def _settings_of(handed_up: HandedUp) -> Mapping[str, object]:
    if handed_up.content_type == JSON:
        found = read_object(handed_up.payload, "it").get("settings")
        if not isinstance(found, dict):
            raise RemoteProtocolError("its `settings` are no object")
        return found
    return read_object(CollectorConfig.FromString(handed_up.payload).settings, "settings")
