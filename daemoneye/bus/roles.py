"""The built-in roles: which rights a name stands for.  Pure.

Filters may have whole levels `{id}`, `{kind}` and `{role}`; the access list fills them with the
proven identity.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemoneye.bus import hierarchy

AGENT = "agent"
COLLECTOR = "collector"
WORKER = "worker"
OBSERVER = "observer"


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of rights.  The filters may have placeholders."""

    sentence: str
    """Who has it, for people."""
    publishes: tuple[str, ...] = ()
    """What it may publish, unless the spec declares something else."""
    subscribes: tuple[str, ...] = ()
    """What it may read, unless the spec declares something else."""
    always_publishes: tuple[str, ...] = ()
    """What it may publish whatever the spec declares."""
    always_subscribes: tuple[str, ...] = ()
    """What it may read whatever the spec declares."""


ROLES: dict[str, Role] = {
    AGENT: Role(
        "the supervisor, the operator, and a program's Agent",
        publishes=("#",),
        subscribes=("#", hierarchy.BUS),
    ),
    COLLECTOR: Role(
        "a collector of a kind",
        publishes=("events.{kind}.#",),
        subscribes=("control.collector.task.{kind}",),
        always_publishes=(
            hierarchy.HEARTBEAT,
            "control.health.status.{id}",
            hierarchy.DIAGNOSTICS,
        ),
        always_subscribes=(
            hierarchy.COLLECTOR_LIFECYCLE,
            hierarchy.COLLECTOR_CONFIG,
            hierarchy.DIAGNOSTICS,
        ),
    ),
    WORKER: Role("a supervised program: only what its spec declares"),
    OBSERVER: Role(
        "somebody who looks and touches nothing",
        subscribes=(hierarchy.ALL_EVENTS, hierarchy.ALL_STATUS),
    ),
}
