"""What the members of a plan, and one limit, demand of the limits of a bus.  Pure.

Each limit by itself makes sense to `Limits`; here they are held against each other and against who
will come, so that a bus on which nobody could meet, or nothing arrive, is not started.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from daemoneye.bus.limits import MAX_STAMP_BYTES, Limits

KEPT_SHARE = 16
"""One place in so many is kept for the role agent."""

_LARGEST = Limits().payload_bytes
"""What every client takes at most, whatever a broker would take."""
_RUN_BYTES = 320
"""By how much more than its bytes a run counts for, while it waits."""
_OWN_DESCRIPTORS = 32
"""What a broker has open beside its connections and large payloads."""


@dataclass(frozen=True, slots=True)
class Demand:
    """A limit that does not do, and what would."""

    names: tuple[str, ...]
    """The limit, then those it is measured by."""
    text: str
    """What would go wrong."""
    expected: str
    """What would work; told where one of the limits is set, so it names the one it means."""


def unmet_demands(limits: Limits, children: int, agents: int = 0) -> Iterator[Demand]:
    """What cannot work with these limits and so many children on the bus; `agents` are of them."""
    if limits.connections < (least := _least_connections(children - agents, agents + 1)):
        text = f"{limits.connections} are too few for {children} children and one operator"
        yield Demand(("connections",), text, f"connections of {least} or more")
    if limits.frame_bytes < limits.early_frame_bytes:
        text = f"frame_bytes, {limits.frame_bytes}, is less than early_frame_bytes"
        least = limits.early_frame_bytes
        yield Demand(("frame_bytes", "early_frame_bytes"), text, f"frame_bytes of {least} or more")
    waiting = max(limits.frame_bytes, limits.turn_bytes) + MAX_STAMP_BYTES + _RUN_BYTES
    for name in ("client_bytes", "outbound_bytes"):
        if (found := getattr(limits, name)) < waiting:
            text = f"in {found} bytes the largest frame, or one turn, finds no room"
            expected = f"{name} of {waiting} or more"
            yield Demand((name, "frame_bytes", "turn_bytes"), text, expected)
    least, most = limits.subscription_messages, limits.subscription_messages_at_most
    if most < least:
        names = "subscription_messages_at_most", "subscription_messages"
        text = f"a subscription that asks for nothing has {least}, and {most} is less"
        yield Demand(names, text, f"{names[0]} of {least} or more")
    if limits.payload_bytes > _LARGEST:
        text = f"no client takes {limits.payload_bytes} bytes"
        yield Demand(("payload_bytes",), text, f"{_LARGEST} at most")
    elif limits.large_bytes < limits.payload_bytes:
        text = f"in {limits.large_bytes} bytes the largest payload finds no room"
        expected = f"large_bytes of {limits.payload_bytes} or more"
        yield Demand(("large_bytes", "payload_bytes"), text, expected)


def doubts(limits: Limits, descriptors: int) -> Iterator[Demand]:
    """What will surprise a process that may have so many descriptors open; 0: any number."""
    room = descriptors - limits.large_descriptors - _OWN_DESCRIPTORS
    if descriptors and limits.connections > room:
        text = (
            f"{limits.connections} are more than the descriptors of a process allow: it may have "
            f"{descriptors} open (ulimit -n)"
        )
        yield Demand(("connections",), text, f"{max(1, room)} at most, or a higher limit")


def _least_connections(others: int, agents: int) -> int:
    """The fewest connections in which so many agents, and so many others, have a place."""
    least = max(1, others + agents)
    while least - least // KEPT_SHARE < others:
        least += 1
    return least
