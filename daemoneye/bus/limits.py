"""Every number the bus promises to stay under, in one value.  Pure.

Sizes are bytes, durations seconds.  A plan may change any of them; the broker gets them as a
mapping of names to numbers, so `Limits.of` is where a misspelt or senseless one is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any

from daemoneye.errors import ConfigError, TooLarge

KIB = 1 << 10
MIB = 1 << 20

LEAST_LARGE_BYTES = 64 * KIB
"""Smaller payloads need not go apart from their frame, unless a plan has clients send them so."""

MAX_STAMP_BYTES = 192
"""By how much the broker's stamp can lengthen a frame: who receives has to allow for it."""


MAX_WILL_BYTES = 64 * KIB
"""The largest payload of a will: each session may have one, for as long as it lives."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one broker and of each of its clients."""

    frame_bytes: int = MIB
    """The largest frame a client may send once it has proved who it is."""
    early_frame_bytes: int = 4 * KIB
    """The largest frame before that."""
    turn_bytes: int = 64 * KIB
    """How much is read from, and gathered for, one client before the next one has its turn."""
    authentication_timeout: float = 2.0
    """From accepting a connection to its proof."""
    unauthenticated_connections: int = 256
    """How many connections may be without proof at once."""
    unauthenticated_per_process: int = 8
    """How many of those one process may hold."""
    connections: int = 1024
    """How many connections the broker holds in all; one in 16 is kept for the role agent."""
    identity_connections: int = 16
    """How many of those one identity may hold (of a child: one incarnation of it)."""
    agent_connections: int = 64
    """The same for an identity of role agent."""
    backlog: int = 128
    """How many connections the kernel keeps until they are accepted."""
    subscriptions: int = 256
    """How many subscriptions one client may have."""
    subscription_messages: int = 1024
    """The bound of one subscription's outbox in messages, and its credit when it names none."""
    subscription_bytes: int = 8 * MIB
    """The same in bytes."""
    subscription_messages_at_most: int = 1 << 16
    """What a subscription may ask for instead; in bytes that is `client_bytes`."""
    client_bytes: int = 32 * MIB
    """How much may wait for one client; every run counts for some 300 bytes more than it has."""
    outbound_bytes: int = 256 * MIB
    """How much may wait for all clients together."""
    urgent_bytes: int = 2 * MIB
    """How much of answers and notices may wait for a client; past it, it is cut off."""
    payload_bytes: int = 64 * MIB
    """The largest payload that is taken apart from its frame."""
    large_from_bytes: int = 256 * KIB
    """From which size clients send a payload apart from its frame."""
    large_bytes: int = 256 * MIB
    """How much of such payloads may be in flight in all, until every receiver is done with them."""
    large_descriptors: int = 64
    """How many descriptors those may have; 0: they go in chunks only."""
    calls: int = 256
    """How many calls of one client may wait for a reply."""
    routes: int = 1024
    """For how many topics a publisher's route is kept; past it the older half is forgotten."""
    retained_topics: int = 1024
    """On how many topics one identity may have retained values."""
    retained_bytes: int = 64 * MIB
    """How much all retained values may take; each counts for some 1000 bytes more than it has."""
    listed_rows: int = 4096
    """How many rows the answer to one query may have; a quarter, unless an agent asks."""
    acknowledge_timeout: float = 30.0
    """How long a member of a group may keep a message without a word, before another gets it."""
    deliveries: int = 5
    """How often a message of a group is tried before it becomes a dead letter."""
    in_flight: int = 64
    """How many messages one member of a group, or calls whoever serves, may have in hand."""
    groups: int = 256
    """How many groups there may be."""
    group_messages: int = 1024
    """How many messages may wait in a group."""
    group_bytes: int = 8 * MIB
    """How much a group may have, waiting or in the hands of its members."""
    group_timeout: float = 600.0
    """How long a group without members keeps what has to be delivered at least once."""
    wishes: int = 256
    """How many wishes for absent collectors wait until the supervisor is told."""
    heartbeat_interval: float = 5.0
    """After how long without a word a connection is pinged, by either side."""
    missed_heartbeats: int = 3
    """After how many such intervals on end it is given up."""
    will_timeout: float = 2.0
    """How long a client whose connection is lost may come back before its will is sent."""
    statistics_interval: float = 10.0
    """How often `$bus.stats` is published, while somebody listens."""
    resume_timeout: float = 60.0
    """How long a client whose connection is lost may come back and go on with its session."""
    resume_messages: int = 1024
    """How much of what was written to a client is kept until it says that it came."""
    resume_bytes: int = 8 * MIB
    """The same in bytes; less each when there are very many clients."""
    write_timeout: float = 10.0
    """How long a connection may have something to read and not read any of it."""
    drain_timeout: float = 2.0
    """How long closing may go on writing what waits."""

    @property
    def least_large_bytes(self) -> int:
        """The smallest payload that may go apart: many small ones are dear, and fit into frames."""
        return min(self.large_from_bytes, LEAST_LARGE_BYTES)

    def __post_init__(self) -> None:
        problems = [
            f"limits.{name}: expected {expected}, got {value!r}"
            for name in self.names()
            if (expected := self.unmet(name, value := getattr(self, name)))
        ]
        if problems:
            raise ConfigError("the limits of the bus cannot be used", problems=problems)

    @classmethod
    def of(cls, numbers: Mapping[str, float]) -> Limits:
        """These numbers, and the defaults for what is not named.

        Raises ConfigError with every unknown name, or every number that makes no sense.
        """
        known = cls.names()
        unknown = [
            f"limits.{name}: there is no such limit" for name in numbers if name not in known
        ]
        if unknown:
            raise ConfigError(
                "the limits of the bus cannot be used",
                problems=unknown,
                hint=f"known are {', '.join(known)}",
            )
        counts = {each.name for each in fields(cls) if isinstance(each.default, int)}
        exact: dict[str, Any] = {
            name: int(number) if name in counts and number == number // 1 else number
            for name, number in numbers.items()
        }
        return cls(**exact)

    @staticmethod
    def unmet(name: str, value: object) -> str:
        """What a value of this limit would have to be; "" when it is."""
        least, whole = _LEAST.get(name), isinstance(_DEFAULTS[name], int)
        if isinstance(value, int if whole else (int, float)) and not isinstance(value, bool):
            assert isinstance(value, (int, float))
            if (0 < value if least is None else least <= value) and value < inf:
                return ""
        what = "a whole number" if whole else "a number of seconds"
        return f"{what} above zero" if least is None else f"{what} of at least {least:g}"

    @staticmethod
    def names() -> tuple[str, ...]:
        """The names a plan may use."""
        return tuple(each.name for each in fields(Limits))


_LEAST: dict[str, float] = {
    "heartbeat_interval": 0.05,  # it travels in milliseconds, and each costs a look at everybody
    "statistics_interval": 0.05,
    "missed_heartbeats": 2,  # after the first a connection is asked, and has to have time to answer
    "large_descriptors": 0,  # none: large payloads go in chunks
}
"""Where above zero is not what is wanted."""

_DEFAULTS: dict[str, object] = {each.name: each.default for each in fields(Limits)}


def too_large_a_will(topic: str, size: int) -> TooLarge:
    """A will of that size is not kept."""
    return TooLarge(
        f"a will of {size} bytes on {topic} is past the limit of {MAX_WILL_BYTES}",
        hint="say what has ended, and let others look for the rest",
    )
