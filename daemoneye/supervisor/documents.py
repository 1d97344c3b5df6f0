"""Reports as JSON documents: what `status`, `health`, `explain` and crash files show.  Pure.

Names end in their unit; points in time are ISO 8601 in UTC, made from the supervisor's monotonic
clock with one offset, so that a step of the wall clock moves all of them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from daemoneye.supervisor.health import (
    ChildHealth,
    CrashReport,
    Explanation,
    Happening,
    HealthReport,
)
from daemoneye.supervisor.spec import BROKER

Document: TypeAlias = dict[str, object]
"""A JSON object, about to be sent or written."""

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class WallClock:
    """Turns monotonic points in time into dates."""

    offset: float
    """Unix time minus monotonic time."""

    def unix(self, at: float | None) -> float | None:
        """Seconds since 1970."""
        return None if at is None else at + self.offset

    def iso(self, at: float | None) -> str | None:
        """ISO 8601 in UTC, to the millisecond."""
        if at is None:
            return None
        moment = datetime.fromtimestamp(at + self.offset, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class About:
    """What a status says of the supervisor itself."""

    instance: str
    """Name of the instance."""
    pid: int
    """Its process id."""
    uptime_seconds: float
    """Since it was started."""
    rss_bytes: int
    """Resident memory."""
    version: str
    """Of daemoneye."""


def status_document(report: HealthReport, about: About, clock: WallClock) -> Document:
    """The answer to `status`."""
    broker: Mapping[str, int] = next(
        (dict(child.counters) for child in report.children if child.name == BROKER), {}
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "instance": about.instance,
        "overall": report.overall.value,
        "reason": report.reason,
        "supervisor": {
            "pid": about.pid,
            "uptime_seconds": round(about.uptime_seconds, 3),
            "rss_bytes": about.rss_bytes,
            "version": about.version,
        },
        "broker": {name: broker.get(name, 0) for name in _BROKER_COUNTERS} | dict(broker),
        "children": [child_document(child, clock) for child in report.children],
    }


_BROKER_COUNTERS = (
    "clients",
    "subscriptions",
    "published_total",
    "delivered_total",
    "lost_total",
    "denied_total",
)
"""What is always there, so that a reader needs no special case while the broker starts."""


def child_document(child: ChildHealth, clock: WallClock) -> Document:
    """One row of `status`."""
    return {
        "name": child.name,
        "state": child.state.value,
        "desired": child.desired,
        "pid": child.pid,
        "incarnation": child.incarnation,
        "restarts": child.restarts,
        "uptime_seconds": _rounded(child.uptime_seconds),
        "heartbeat_age_seconds": _rounded(child.heartbeat_age_seconds),
        "rss_bytes": child.rss_bytes,
        "cpu_percent": child.cpu_percent,
        "reason": child.reason,
        "next_attempt_at": clock.iso(child.next_attempt_at),
        "counters": dict(child.counters),
    }


def health_document(report: HealthReport, about: About) -> Document:
    """The answer to `health`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "instance": about.instance,
        "overall": report.overall.value,
        "reason": report.reason,
    }


def explanation_document(explanation: Explanation, clock: WallClock) -> Document:
    """The answer to `explain`."""
    crash = explanation.crash
    return {
        "schema_version": SCHEMA_VERSION,
        "child": child_document(explanation.child, clock),
        "since": clock.iso(explanation.since),
        "why": explanation.why,
        "next_step": explanation.next_step,
        "next_at": clock.iso(explanation.next_at),
        "what_would_change_it": list(explanation.what_would_change_it),
        "happenings": [happening_document(each, clock) for each in explanation.happenings],
        "crash": None if crash is None else crash_document(crash, clock),
    }


def happening_document(happening: Happening, clock: WallClock) -> Document:
    """One happening, without the crash report it may carry."""
    return {
        "at": clock.iso(happening.at),
        "kind": happening.kind.value,
        "child": happening.child,
        "incarnation": happening.number,
        "text": happening.text,
    }


def crash_document(crash: CrashReport, clock: WallClock) -> Document:
    """A crash report, as it is written to disk and sent on the bus."""
    facts = None if crash.facts is None else asdict(crash.facts)
    plain = {
        name: getattr(crash, name)
        for name in crash.__slots__
        if name not in ("at", "next_attempt_at", "facts", "uptime_seconds")
    }
    return {
        "schema_version": SCHEMA_VERSION,
        **plain,
        "at": clock.iso(crash.at),
        "uptime_seconds": _rounded(crash.uptime_seconds),
        "facts": facts,
        "next_attempt_at": clock.iso(crash.next_attempt_at),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
