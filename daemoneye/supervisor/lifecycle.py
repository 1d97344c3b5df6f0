"""A child's states and the one transition table."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What a child is doing."""

    PENDING = "PENDING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    DEGRADED = "DEGRADED"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    EXITED = "EXITED"
    BACKOFF = "BACKOFF"
    QUARANTINED = "QUARANTINED"
    FATAL = "FATAL"
    LOST = "LOST"
