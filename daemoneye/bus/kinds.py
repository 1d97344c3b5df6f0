"""Every kind of frame, as a value.  Pure; `frames.py` turns them into bytes and back.

Publishes are not here: a publisher's side of them is a `Heading` (publishes.py), a subscriber's
side an `Envelope` (envelope.py), and the broker never builds a value of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from daemoneye.bus.envelope import NO_LOSS, NOBODY, Publisher
from daemoneye.bus.terms import (
    NO_CARRIAGE,
    NO_SELECTION,
    Carriage,
    Choice,
    Overflow,
    Replay,
    Resumption,
    Selection,
    Settling,
)

# ---- the handshake ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """client → broker: who I say I am."""

    version: int
    """Of the protocol."""
    identity: str
    """Whose key will prove it."""
    incarnation: int
    """Which life of that identity."""
    nonce: bytes
    """32 random bytes."""
    descriptors: bool = False
    """Whether it takes and sends large payloads as descriptors."""
    max_payload_bytes: int = 0
    """The largest payload it takes apart from its frame; 0: none."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """broker → client: prove it."""

    nonce: bytes
    """32 random bytes."""
    epoch: int
    """This life of the broker."""


@dataclass(frozen=True, slots=True)
class Proof:
    """client → broker."""

    mac: bytes
    """Over the transcript."""
    session: int = 0
    """The session to go on with; 0: a new one."""
    received: int = 0
    """How many messages came in that session, in all."""
    subscriptions: tuple[int, ...] = ()
    """Which of its subscriptions to keep."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """broker → client: you are in, and this proves me."""

    mac: bytes
    """Over the transcript, with the broker's label."""
    role: str
    """What the client may act as."""
    max_frame_bytes: int
    """The largest frame it may send."""
    heartbeat_interval: float
    """After how many seconds without a word a connection is pinged; 0: never."""
    missed_heartbeats: int
    """After how many of those it is given up."""
    carriage: Carriage = NO_CARRIAGE
    """How large payloads travel from now on."""
    session: int = 0
    """The number to go on with when this connection is lost."""
    resumption: Resumption = Resumption.NONE
    """What became of the session that the Proof named."""
    taken: int = 0
    """How many messages the broker took in the session that goes on, in all."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """broker → client: no; the connection is closed after it."""

    reason: str
    """A word of the protocol: "unknown-identity", "bad-proof", "busy" …"""
    detail: str = ""
    """For a person."""


# ---- client → broker ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    """client → broker: send me what this filter matches."""

    subscription: int
    """The client's number for it, above zero."""
    filter: str
    """Not checked yet."""
    overflow: Overflow = Overflow.DEFAULT
    """What the broker does when its outbox for it is full."""
    max_messages: int = 0
    """Bound of that outbox; 0 is the default."""
    max_bytes: int = 0
    """The same in bytes."""
    credit_messages: int = 0
    """How much may be sent before the first Credit; 0 is the default."""
    credit_bytes: int = 0
    """The same in bytes."""
    group: str = ""
    """The group it shares the work with; empty: none."""
    choice: Choice = Choice.DEFAULT
    """Who of the group gets the next message."""
    serve: bool = False
    """It is for calls of this topic, and for nothing else."""
    replay: Replay = Replay.IF_NEW
    """Which retained values it is sent first."""
    selection: Selection = NO_SELECTION
    """Only messages whose correlation agrees."""
    request: int = 0
    """The number its answer carries."""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """client → broker: no more of it."""

    subscription: int
    """The number given when subscribing."""
    request: int = 0
    """The number its answer carries."""


@dataclass(frozen=True, slots=True)
class Credit:
    """client → broker: how much may have been sent in all since the subscription began."""

    subscription: int
    """The number given when subscribing."""
    messages: int
    """Counted as the frames' `count`."""
    bytes: int
    """Counted as the delivered frames with their 4-byte headers."""
    received: int = 0
    """How many messages came in this session, in all: they are not needed again."""


@dataclass(frozen=True, slots=True)
class Release:
    """client → broker: these descriptors are not used here any more."""

    parcels: tuple[int, ...]
    """The numbers they were delivered under."""


@dataclass(frozen=True, slots=True)
class Settle:
    """client → broker: what became of messages that a group gave me."""

    what: Settling
    """Handled, again, never, or later."""
    deliveries: tuple[int, ...]
    """The numbers they were delivered under."""
    seconds: float = 0.0
    """Of a retry: not before; of an extension: from now on."""
    reason: str = ""
    """Of a rejection: why."""
    request: int = 0
    """The number its answer carries; 0: nobody waits for one."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """client → broker: nobody waits for the reply to this call any more."""

    request: int
    """The number the call carried."""


@dataclass(frozen=True, slots=True)
class Clear:
    """client → broker: forget the retained value of a topic."""

    topic: str
    """Not checked yet."""
    request: int = 0
    """The number its answer carries."""


@dataclass(frozen=True, slots=True)
class Will:
    """client → broker: publish this for me when I end without a goodbye."""

    topic: str = ""
    """Not checked yet; empty: the will is taken back."""
    payload: bytes = b""
    """What to publish."""
    content_type: str = ""
    """What the payload is."""
    retain: bool = False
    """Whether it is kept for those who subscribe later."""
    request: int = 0
    """The number its answer carries."""


@dataclass(frozen=True, slots=True)
class Query:
    """client → broker: tell me what you know."""

    what: str
    """"clients", "subscriptions", "access", "retained" or "topics"."""
    who: str = ""
    """For "access": an identity; empty is the asker."""
    action: str = ""
    """For "access": "publish" or "subscribe"."""
    topic: str = ""
    """For "access": a topic to publish on or a filter to subscribe to; else, a filter."""
    request: int = 0
    """The number its answer carries."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """client → broker: a clean end."""


# ---- broker → client ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One session, as a query tells it."""

    identity: str
    role: str
    pid: int
    incarnation: int
    connected_at: int
    """Unix time in ns."""
    published: int
    """Messages taken from it."""
    delivered: int
    """Messages written to it."""
    lost: int
    """Messages it missed."""
    queued: int
    """Messages that wait for it."""
    subscriptions: int
    """How many it has."""
    away: bool = False
    """Whether its connection is lost, and it is waited for."""


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """One subscription, as a query tells it."""

    identity: str
    subscription: int
    filter: str
    overflow: str
    delivered: int
    """Messages written to it."""
    lost: int
    """Messages it missed."""
    queued: int
    """Messages that wait for it."""
    group: str = ""
    """The group it is a member of."""
    in_flight: int = 0
    """Of a member: messages that it has not settled."""


@dataclass(frozen=True, slots=True)
class RetainedRow:
    """One retained value, as a query tells it."""

    topic: str
    publisher: str
    sequence: int
    received_at: int
    """Unix time in ns."""
    expires_at: int
    """The same; 0: never."""
    size: int
    """Of the payload, in bytes."""
    content_type: str


@dataclass(frozen=True, slots=True)
class TopicRow:
    """One topic that is used, as a query tells it."""

    topic: str
    publishers: int
    """Sessions that have published there, and may."""
    subscribers: int
    """Sessions that hear it."""
    retained: bool
    """Whether there is a retained value."""


@dataclass(frozen=True, slots=True)
class Answer:
    """broker → client: what became of a request."""

    request: int
    """The number the request carried."""
    error: str = ""
    """Empty: it worked; else the name of a class of the exception tree."""
    detail: str = ""
    """What, where, why."""
    hint: str = ""
    """What to do next."""
    rule: str = ""
    """The access rule that decided, as text."""
    subscribers: int = 0
    """Of a publish: how many sessions took it."""
    narrowed: tuple[str, ...] = ()
    """Of a subscribe: the filters that are cut out of it."""
    clients: tuple[ClientRow, ...] = ()
    """Of a query for clients."""
    subscriptions: tuple[SubscriptionRow, ...] = ()
    """Of a query for subscriptions."""
    retained: tuple[RetainedRow, ...] = ()
    """Of a query for retained values."""
    topics: tuple[TopicRow, ...] = ()
    """Of a query for topics."""
    acknowledge_timeout: float = 0.0
    """Of a subscribe with a group: in how many seconds a delivery has to be settled."""
    choice: Choice = Choice.DEFAULT
    """Of the same: what its group goes by."""


@dataclass(frozen=True, slots=True)
class StreamMark:
    """broker → client: the publishes that follow are for these subscriptions.

    It holds until the next one.  `lost` is told once and may come with no delivery behind it; who
    hears it keeps it for the next delivery to these subscriptions.
    """

    subscriptions: tuple[int, ...]
    """The client's numbers."""
    lost: Mapping[str, int] = field(default_factory=lambda: NO_LOSS)
    """Reason → messages that they missed since their last delivery."""


@dataclass(frozen=True, slots=True)
class Notice:
    """broker → client: something you did not ask for but have to know."""

    code: str
    """"denied", "refused", "unsubscribed", "going-down" …"""
    topic: str = ""
    """The topic or filter it is about."""
    detail: str = ""
    """For a person."""
    rule: str = ""
    """The access rule that decided, as text."""
    subscription: int = 0
    """The subscription it is about; 0: none."""
    delivery: int = 0
    """The delivery it is about: a call that is cancelled, a settling that came too late."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """broker → client: so many messages have been taken from this session, in all."""

    messages: int
    """Counted as the frames' `count`, whatever became of them."""


# ---- either way ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a large payload, ahead of the publish that owns it."""

    parcel: int
    """Which payload: the sender's number for it."""
    size: int
    """Of the whole payload; 0: the rest will not come."""
    offset: int = 0
    """Where this part belongs: behind the one before."""
    content: bytes = b""
    """The part."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of whoever serves a topic: to the broker, and from there to whoever called."""

    delivery: int = 0
    """To the broker: the number the call was delivered under."""
    request: int = 0
    """To the caller: the number its call carried."""
    content_type: str = ""
    """What the payload is."""
    payload: bytes = b""
    """The answer."""
    time: int = 0
    """Unix time in ns at the responder."""
    rejected: str = ""
    """Why there is no payload; empty: there is."""
    publisher: Publisher = NOBODY
    """To the caller: who answered, proven."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there?  Whoever gets it answers Pong."""

    request: int = 0
    """The number its answer carries."""


@dataclass(frozen=True, slots=True)
class Pong:
    """I am."""

    request: int = 0
    """The number the question carried."""


Value: TypeAlias = (
    Hello
    | Challenge
    | Proof
    | Welcome
    | Refusal
    | Subscribe
    | Unsubscribe
    | Credit
    | Query
    | Goodbye
    | Answer
    | StreamMark
    | Notice
    | Confirm
    | Ping
    | Pong
    | Release
    | Chunk
    | Settle
    | Cancel
    | Clear
    | Will
    | Reply
)
