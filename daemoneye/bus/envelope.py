"""Envelopes: an event as a subscriber sees it, and payloads as a publisher gives them.  Pure.

Envelopes are made by the hundred thousand a second, so they are tuples filled by `map` and `zip`
(under 200 ns each, a slotted class takes half as long again), and what all messages of a frame
share stands once, in their common header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar, cast

from google.protobuf.message import DecodeError, Message

from daemoneye.bus.arguments import check_text, checked_tags, not_a
from daemoneye.bus.topics import Topic, escaped
from daemoneye.errors import BusError, LocalProtocolError

JSON = "application/json"
PROTOBUF = "application/protobuf"

NO_LOSS: Mapping[str, int] = MappingProxyType({})
"""What an envelope's `lost` is when nothing was missed."""

Content: TypeAlias = "bytes | memoryview"
"""A payload as it travels; a memoryview when it is large."""

Payload: TypeAlias = (
    "bytes | bytearray | memoryview | Message | Mapping[str, object] | Sequence[object]"
)

AnyMessage = TypeVar("AnyMessage", bound=Message)
Carried = TypeVar("Carried")


class Publisher(NamedTuple):
    """Who published, as proven to the broker."""

    name: str
    """The identity."""
    role: str
    """Its role."""
    pid: int
    """Its process; 0 when unknown."""
    incarnation: int
    """Which life of it."""


NOBODY = Publisher("", "", 0, 0)
"""Of what no publisher is known of."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """How an event belongs to others.

    Raises LocalProtocolError for what is no text, or tags that are no pairs of them.
    """

    id: str = ""
    """Of the conversation, chosen by whoever began it."""
    parent: str = ""
    """The id this one answers or follows."""
    root: str = ""
    """The id at the beginning of the chain."""
    stage: str = ""
    """A name for the step."""
    tags: tuple[tuple[str, str], ...] = ()
    """More, as pairs of key and value."""
    traceparent: str = ""
    """W3C trace context."""

    def __post_init__(self) -> None:
        for name in ("id", "parent", "root", "stage", "traceparent"):
            text = getattr(self, name)
            if type(text) is not str or not text.isascii():  # as it mostly is: nothing is checked
                check_text(f"{name} of a correlation", text, 'for example id="case-7"')
        if self.tags != ():
            object.__setattr__(self, "tags", checked_tags(self.tags))

    def follow(
        self,
        stage: str = "",
        *,
        id: str = "",
        tags: Mapping[str, str] = MappingProxyType({}),
        traceparent: str = "",
    ) -> Correlation:
        """The correlation of what comes of this one.

        Of the same conversation, or of one of its own with an `id`; whoever listens to the
        conversation at the root hears both.  `stage` names the step; `tags` come on top of those
        there are.
        """
        if not isinstance(tags, Mapping):
            raise not_a("a mapping", "tags", tags, 'for example tags={"host": "a"}')
        return Correlation(
            id or self.id,
            parent=self.id,
            root=self.root or self.id,
            stage=stage,
            tags=tuple(sorted({**dict(self.tags), **tags}.items())),
            traceparent=traceparent or self.traceparent,
        )


class Header(NamedTuple):
    """What all messages of one frame share."""

    topic: str
    publisher: Publisher
    content_type: str
    target: str
    correlation: Correlation | None
    received_at: int
    """Unix time in ns at the broker."""
    expires_at: int
    """Unix time in ns; 0 is never."""
    retained: bool = False
    """Whether it is a retained value, said again to a new subscription, or to a new broker."""


class Envelope(tuple[Content, int, int, Header, Mapping[str, int]]):
    """One event as it reached a subscriber."""

    __slots__ = ()

    payload: Content = property(
        itemgetter(0), doc="What was published; of 256 KiB or more, a read-only memoryview of it."
    )  # type: ignore[assignment]  # read by C code, half the price of a function
    sequence: int = property(
        itemgetter(2), doc="The publisher's number for it on this topic, rising."
    )  # type: ignore[assignment]  # as above
    header: Header = property(itemgetter(3), doc="What it shares with its frame.")  # type: ignore[assignment]  # as above
    lost: Mapping[str, int] = property(
        itemgetter(4),
        doc="""Reason → messages missed just before it; empty when none were.

        0 means that something may have been missed that nobody can count: after a reconnect, of a
        publisher that was not heard before, or has not been heard since.
        """,
    )  # type: ignore[assignment]  # as above

    @property
    def topic(self) -> str:
        """The topic it was published on."""
        return self[3][0]

    @property
    def publisher(self) -> Publisher:
        """Who published it: proven to the broker, never believed."""
        return self[3][1]

    @property
    def content_type(self) -> str:
        """What the payload is; empty for plain bytes."""
        return self[3][2]

    @property
    def target(self) -> str:
        """The one identity it is for; empty when it is for all."""
        return self[3][3]

    @property
    def correlation(self) -> Correlation | None:
        """How it belongs to other events, when the publisher said so."""
        return self[3][4]

    @property
    def retained(self) -> bool:
        """Whether it was published earlier, kept, and said again.

        By the broker because we have subscribed, or by its publisher because the broker is new.
        """
        return self[3][7]

    @property
    def time(self) -> float:
        """When it was published, in seconds of Unix time by the publisher's clock."""
        return self[1] / 1e9

    @property
    def time_ns(self) -> int:
        """The same in whole nanoseconds."""
        return self[1]

    def carrying(self, content: Content) -> Envelope:
        """The same event with this payload, which came apart from it."""
        return Envelope((content, *self[1:]))

    def repeated(self) -> Self:
        """The same event as a retained value that is said again."""
        return type(self)((*self[:3], self.header._replace(retained=True), *self[4:]))

    def after(self, lost: Mapping[str, int]) -> Envelope:
        """The same event, telling what was missed before it."""
        return Envelope((*self[:4], lost))

    def json(self) -> Any:
        """The payload read as JSON.  Raises BusError when it is none."""
        try:
            return json.loads(bytes(self[0]))
        except (ValueError, RecursionError) as error:
            raise BusError(
                f"the payload on {self.topic} is not JSON: {error}",
                hint=f"its content type is {escaped(self.content_type or 'not given')}",
            ) from error

    def unpack(self, message: type[AnyMessage]) -> AnyMessage:
        """The payload read as a protobuf message.

        Raises BusError when it is none of that kind, LocalProtocolError for what is no class of
        messages.
        """
        _check_class(message)
        try:
            return message.FromString(bytes(self[0]))
        except DecodeError as error:
            raise BusError(
                f"the payload on {self.topic} is no {message.DESCRIPTOR.full_name}",
                hint=f"its content type is {escaped(self.content_type or 'not given')}",
            ) from error

    def read(self, topic: Topic[Carried]) -> Carried:
        """The payload as what this topic carries.

        Raises BusError when it is none: of another topic or content type, or bytes that cannot be
        read so.  Where its publisher gave no content type, the bytes decide.  Raises
        LocalProtocolError for what is no Topic.
        """
        if not isinstance(topic, Topic):
            raise not_a(
                "a Topic",
                "what read goes by",
                topic,
                'make one of a topic and what it carries, like Topic("events.demo.tick", dict)',
            )
        if self.topic != topic.text:
            raise BusError(f"an event of {self.topic} is none of {topic.text}")
        expected = content_type_of(topic)
        if self.content_type not in (expected, ""):
            raise BusError(
                f"the payload on {self.topic} is {escaped(self.content_type)}",
                hint=f"expected was {expected or 'plain bytes, without a content type'}",
            )
        return decode_for(topic, bytes(self.payload))

    def __repr__(self) -> str:
        return (
            f"<Envelope {self.topic} #{self[2]} from {self.publisher.name}, {len(self[0])} bytes>"
        )


def _check_class(message: object) -> None:
    if not isinstance(message, type) or not issubclass(message, Message):
        raise not_a(
            "a class of protobuf messages",
            "what unpack reads",
            message,
            "json() reads JSON, and read(topic) what a Topic carries",
        )


@dataclass(frozen=True, slots=True)
class BadBody:
    """A delivered frame whose body is not what its outer frame says, told as a value."""

    topic: str
    """Where it was published."""
    publisher: Publisher
    """Whom to blame."""
    count: int
    """How many messages it claimed to be, which is what it cost in credit."""
    reason: str
    """What is wrong with it, for a person."""


def encode_payload(payload: Payload) -> tuple[bytes, str]:
    """A payload as bytes and its content type.

    Bytes stay as they are, without a type; a protobuf message names its type; a mapping or
    sequence becomes JSON.  Raises LocalProtocolError for anything else.
    """
    if isinstance(payload, bytes):
        return payload, ""
    if isinstance(payload, Message):
        return payload.SerializeToString(), f"{PROTOBUF}; type={payload.DESCRIPTOR.full_name}"
    if isinstance(payload, (bytearray, memoryview)):
        return bytes(payload), ""
    if isinstance(payload, Mapping):
        return _encode_json(dict(payload)), JSON
    if isinstance(payload, (list, tuple)):
        return _encode_json(list(payload)), JSON
    raise LocalProtocolError(
        f"a payload cannot be made of {type(payload).__name__}",
        hint="give bytes, a protobuf message, or a mapping or list of what JSON knows",
    )


def as_content(payload: Payload) -> tuple[Content, str]:
    """As `encode_payload`, but a large buffer is not copied: it has to go before it changes."""
    if isinstance(payload, (bytearray, memoryview)):
        view = memoryview(payload)
        if view.nbytes >= _COPIED_BELOW_BYTES and view.c_contiguous:
            return view.cast("B"), ""
    return encode_payload(payload)


_COPIED_BELOW_BYTES = 256 << 10


def _encode_json(value: object) -> bytes:
    try:
        return json.dumps(
            value, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LocalProtocolError(
            f"a payload is not JSON: {error}",
            hint="use what JSON knows, or bytes, or a protobuf message",
        ) from error


# ---- what topics carry --------------------------------------------------------------------------


def content_type_of(topic: Topic[Any]) -> str:
    """What a payload that was published through this topic is called."""
    if isinstance(topic.payload, type) and issubclass(topic.payload, Message):
        return f"{PROTOBUF}; type={topic.payload.DESCRIPTOR.full_name}"
    if topic.payload in (dict, list):
        return JSON
    return str(getattr(topic.payload, "content_type", ""))


def encode_for(topic: Topic[Any], value: Any) -> tuple[Content, str]:
    """A payload for this topic, and its content type.  Raises LocalProtocolError for another."""
    carried: Any = topic.payload
    if not _is_codec(carried):
        if not isinstance(value, _FITTING.get(carried, carried)):
            raise LocalProtocolError(
                f"{topic.text} carries {_name(carried)}, and not {type(value).__name__}:"
                f" {value!r:.100}",
                hint="publish through a Topic what it was made with",
            )
        return as_content(cast("Payload", value))
    try:
        payload = carried.encode(value)
    except Exception as error:  # a codec may raise what it likes
        raise LocalProtocolError(
            f"{type(value).__name__} cannot be encoded for {topic.text}:"
            f" {type(error).__name__}: {error}",
            hint=f"it carries what {_name(carried)} encodes",
        ) from error
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise LocalProtocolError(
            f"{_name(carried)} gives {type(payload).__name__} for {topic.text}, and not bytes",
            hint="its `encode` has to return bytes, a bytearray or a memoryview",
        )
    return as_content(payload)[0], content_type_of(topic)


def decode_for(topic: Topic[Carried], payload: bytes) -> Carried:
    """What this payload is, on this topic.  Raises BusError when it is none."""
    carried: Any = topic.payload
    value: Carried
    try:
        if _is_codec(carried):
            value = carried.decode(payload)
        elif carried is bytes:
            value = cast("Carried", payload)
        elif carried in (dict, list):
            value = json.loads(payload)
            if not isinstance(value, carried):
                raise ValueError(f"it is JSON of type {type(value).__name__}")
        else:
            value = carried.FromString(payload)
    except Exception as error:  # as above
        raise BusError(
            f"{len(payload)} bytes on {topic.text} are no {_name(carried)}:"
            f" {type(error).__name__}: {error}",
            hint="its publisher means something else by this topic",
        ) from error
    return value


_FITTING: Mapping[Any, tuple[type, ...]] = {
    bytes: (bytes, bytearray, memoryview),
    dict: (Mapping,),
    list: (list, tuple),
}
"""What may be published where these are carried."""


def _is_codec(carried: object) -> bool:
    return carried is not bytes and hasattr(carried, "decode") and hasattr(carried, "encode")


def _name(carried: object) -> str:
    return carried.__name__ if isinstance(carried, type) else type(carried).__name__
