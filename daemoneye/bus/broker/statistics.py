"""What a broker has counted in this life, and the words it tells that in.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.errors import (
    AccessDenied,
    BackPressure,
    BusError,
    InvalidTopic,
    LocalProtocolError,
    NoResponder,
    TooLarge,
)

DENIED = "denied"
"""Refused by a rule."""

_REASONS: dict[type[BusError], str] = {
    AccessDenied: DENIED,
    InvalidTopic: "invalid-topic",
    TooLarge: "oversize",
    BackPressure: "back-pressure",
    NoResponder: "no-responder",
    LocalProtocolError: "senseless",
}


def reason_of(error: BusError) -> str:
    """In a word, why something was refused that broke no protocol."""
    return _REASONS.get(type(error), "refused")


@dataclass(frozen=True, slots=True)
class Statistics:
    """What this life of the broker has seen; messages, unless it says something else."""

    clients: int
    """Sessions now."""
    subscriptions: int
    """Theirs, now."""
    published: int
    """Taken from publishers, refused ones included."""
    delivered: int
    """Written to subscribers."""
    lost: Mapping[str, int]
    """Missed by subscribers, by reason."""
    refused: Mapping[str, int]
    """Publishes, subscriptions and questions, in frames, by reason."""
    queued: int
    """Waiting for subscribers now."""
    queued_bytes: int
    """The memory for that in bytes, the broker's own frames included."""
    postponed: int
    """How often frames of a client had to wait for another turn, because they asked for much."""
    large_bytes: int = 0
    """Large payloads in flight."""
    large_descriptors: int = 0
    """The descriptors that some of those have."""
    groups: int = 0
    """Groups now, those included that wait for members."""
    handled: int = 0
    """Acknowledged by members of groups."""
    group_waiting: int = 0
    """Waiting for a member to take them, now."""
    group_in_flight: int = 0
    """In the hands of members, now."""
    group_bytes: int = 0
    """The bytes of both, which `queued_bytes` does not have."""
    away: int = 0
    """Of the sessions, those without a connection that are waited for."""
    calls: int = 0
    """Handed to somebody who serves their topic."""
    replies: int = 0
    """Passed on to callers, rejections included."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Calls that ended without a reply, by reason."""
    turned_away: Mapping[str, int] = field(default_factory=dict)
    """Connections that came to nothing, by reason."""
    cut_off: Mapping[str, int] = field(default_factory=dict)
    """Sessions that the broker ended, by reason."""

    def counters(self) -> dict[str, int]:
        """As `status` shows them: sums for all, and for each reason that there was."""
        return {
            "clients": self.clients,
            "away": self.away,
            "subscriptions": self.subscriptions,
            "published_total": self.published,
            "delivered_total": self.delivered,
            "queued": self.queued,
            "queued_bytes": self.queued_bytes,
            "large_bytes": self.large_bytes,
            "large_descriptors": self.large_descriptors,
            "postponed_total": self.postponed,
            "groups": self.groups,
            "handled_total": self.handled,
            "group_waiting": self.group_waiting,
            "group_in_flight": self.group_in_flight,
            "group_bytes": self.group_bytes,
            "calls_total": self.calls,
            "replies_total": self.replies,
            "denied_total": self.refused.get(DENIED, 0),
            **dict(_by_reason("lost", self.lost)),
            **dict(_by_reason("refused", self.refused)),
            **dict(_by_reason("failed_calls", self.failed)),
            **dict(_by_reason("turned_away", self.turned_away)),
            **dict(_by_reason("cut_off", self.cut_off)),
        }

    def message(self, now: float) -> pb.BusStatistics:
        """As the bus is told them; `now` is Unix time."""
        return pb.BusStatistics(
            clients=self.clients,
            away=self.away,
            subscriptions=self.subscriptions,
            published_total=self.published,
            delivered_total=self.delivered,
            lost_total=sum(self.lost.values()),
            denied_total=self.refused.get(DENIED, 0),
            queued=self.queued,
            queued_bytes=self.queued_bytes,
            postponed_total=self.postponed,
            large_bytes=self.large_bytes,
            large_descriptors=self.large_descriptors,
            groups=self.groups,
            handled_total=self.handled,
            group_waiting=self.group_waiting,
            group_in_flight=self.group_in_flight,
            group_bytes=self.group_bytes,
            lost=self.lost,
            refused=self.refused,
            turned_away=self.turned_away,
            cut_off=self.cut_off,
            calls_total=self.calls,
            replies_total=self.replies,
            failed_calls=self.failed,
            observed_at=now,
        )


def _by_reason(what: str, counted: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    yield f"{what}_total", sum(counted.values())
    for reason, count in sorted(counted.items()):
        yield f"{what}_{reason.replace('-', '_')}_total", count
