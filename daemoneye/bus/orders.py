"""What the supervisor orders of the broker, down the broker's lifeline.  Pure.

The broker reads no file: who may come, what is allowed, and which incarnations are over it hears
here, and what the supervisor wants to say on the bus too.  Its first order is always `Rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from daemoneye.bus.access import AccessRule, Declared, Identity
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import ConfigError, InvalidTopic, LocalProtocolError, RemoteProtocolError

__all__ = ["Admit", "Credential", "Ended", "Order", "Rules", "Say", "decode_order", "encode_order"]

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Rules:
    """Replaces access list, limits and named clients as a whole."""

    rules: tuple[AccessRule, ...] = ()
    """The plan's; the built-in ones are the broker's own."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """What differs from the defaults, by the names of `Limits`."""
    clients: tuple[Credential, ...] = ()
    """Who may come besides children and the operator, in any incarnation."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What one identity proves itself with, and what it may then act as.

    Raises ConfigError for a name that nobody can have, and for what is no key: with an empty one
    anybody could prove anything.
    """

    identity: str
    """Its name."""
    role: str
    """Its rights."""
    key: bytes = field(repr=False)
    """The secret of 32 bytes that both sides hold."""
    kind: str = ""
    """Of a collector."""
    incarnation: int = 0
    """The only life of it that may use this; 0: any."""
    pid: int = 0
    """The only process that may use this; 0: any."""
    declared: Declared = field(default_factory=Declared)
    """What the spec of the child says it publishes and reads."""

    def __post_init__(self) -> None:
        Identity(self.identity, self.role, self.kind)
        if len(self.key) != KEY_BYTES:
            raise ConfigError(
                f"the key of {self.identity} has {len(self.key)} bytes",
                hint=f"a key has {KEY_BYTES} random bytes",
            )


@dataclass(frozen=True, slots=True)
class Admit:
    """Whoever proves to hold this credential may come in."""

    credential: Credential
    """Replaces what was held for the same identity and incarnation."""


@dataclass(frozen=True, slots=True)
class Ended:
    """That incarnation is over: release all it had, and let it in no more."""

    identity: str
    """Its name."""
    incarnation: int
    """Which life."""
    cause: str
    """How it ended: "exit:1", "signal:9", "heartbeat", "stopped"."""


@dataclass(frozen=True, slots=True)
class Say:
    """Publish this as `supervisor`."""

    topic: str
    """Where."""
    payload: bytes
    """What."""
    content_type: str = ""
    """What the payload is."""
    target: str = ""
    """The one identity it is for; empty: all."""
    retain: bool = False
    """Whether those who subscribe later want it too."""


Order: TypeAlias = Rules | Admit | Ended | Say


def encode_order(order: Order) -> bytes:
    """The bytes of an order.  Raises LocalProtocolError when a number is out of its range."""
    try:
        return _TO_MESSAGE[type(order)](order).SerializeToString()
    except (ValueError, TypeError) as error:
        raise LocalProtocolError(f"this order cannot be said: {error}") from error


def decode_order(raw: bytes) -> Order:
    """The order in these bytes.  Raises RemoteProtocolError."""
    try:
        message = pb.BrokerOrder.FromString(raw)
        which = message.WhichOneof("order")
        if which is None:
            raise RemoteProtocolError("an order for the broker that says nothing")
        return _OF_MESSAGE[which](message)
    except (DecodeError, InvalidTopic, ConfigError) as error:
        raise RemoteProtocolError(f"{len(raw)} bytes are no order: {error}") from error


def _rules_message(order: Rules) -> pb.BrokerOrder:
    rules = [
        pb.AccessRule(who=each.who, access=str(each.access), filter=each.filter, deny=each.deny)
        for each in order.rules
    ]
    clients = [_credential_message(each) for each in order.clients]
    return pb.BrokerOrder(
        rules=pb.BrokerRules(rules=rules, limits=dict(order.limits), clients=clients)
    )


def _rules_of(message: pb.BrokerOrder) -> Rules:
    said = message.rules
    rules = tuple(AccessRule(r.who, r.access, r.filter, r.deny) for r in said.rules)
    return Rules(rules, dict(said.limits), tuple(map(_credential_of, said.clients)))


def _admit_message(order: Admit) -> pb.BrokerOrder:
    return pb.BrokerOrder(admit=_credential_message(order.credential))


def _admit_of(message: pb.BrokerOrder) -> Admit:
    return Admit(_credential_of(message.admit))


def _credential_message(credential: Credential) -> pb.Credential:
    declared = credential.declared
    return pb.Credential(
        identity=credential.identity,
        role=credential.role,
        kind=credential.kind,
        incarnation=credential.incarnation,
        key=credential.key,
        pid=credential.pid,
        publishes=_texts(declared.publishes),
        subscribes=_texts(declared.subscribes),
        declares_publishes=declared.publishes is not None,
        declares_subscribes=declared.subscribes is not None,
    )


def _credential_of(said: pb.Credential) -> Credential:
    declared = Declared(
        publishes=_filters(said.publishes) if said.declares_publishes else None,
        subscribes=_filters(said.subscribes) if said.declares_subscribes else None,
    )
    return Credential(
        identity=said.identity,
        role=said.role,
        key=said.key,
        kind=said.kind,
        incarnation=said.incarnation,
        pid=said.pid,
        declared=declared,
    )


def _texts(filters: Iterable[TopicFilter] | None) -> list[str]:
    return [each.text for each in filters or ()]


def _filters(texts: Iterable[str]) -> tuple[TopicFilter, ...]:
    return tuple(TopicFilter(text) for text in texts)


def _ended_message(order: Ended) -> pb.BrokerOrder:
    return pb.BrokerOrder(
        ended=pb.Ended(identity=order.identity, incarnation=order.incarnation, cause=order.cause)
    )


def _ended_of(message: pb.BrokerOrder) -> Ended:
    return Ended(message.ended.identity, message.ended.incarnation, message.ended.cause)


def _say_message(order: Say) -> pb.BrokerOrder:
    return pb.BrokerOrder(
        say=pb.Say(
            topic=order.topic,
            payload=order.payload,
            content_type=order.content_type,
            target=order.target,
            retain=order.retain,
        )
    )


def _say_of(message: pb.BrokerOrder) -> Say:
    said = message.say
    return Say(said.topic, said.payload, said.content_type, said.target, said.retain)


_TO_MESSAGE: dict[type[Order], Callable[[Any], pb.BrokerOrder]] = {
    Rules: _rules_message,
    Admit: _admit_message,
    Ended: _ended_message,
    Say: _say_message,
}
_OF_MESSAGE: dict[str, Callable[[pb.BrokerOrder], Order]] = {
    "rules": _rules_of,
    "admit": _admit_of,
    "ended": _ended_of,
    "say": _say_of,
}
