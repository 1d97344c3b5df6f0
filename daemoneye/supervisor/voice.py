"""What the supervisor tells the broker, and through it everybody on the bus.

The broker is a child like others; its orders travel on its lifeline.  A broker that was (re)started
first hears the rules, then everybody who may come.  While there is none nothing is said, and
nothing is kept: status is said again soon.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping

from daemoneye import lifeline as line
from daemoneye.bus.access import AccessRule, Declared
from daemoneye.bus.envelope import encode_payload
from daemoneye.bus.hierarchy import STATUS
from daemoneye.bus.orders import Admit, Credential, Ended, Order, Rules, Say, encode_order
from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.bus.topics import TopicFilter
from daemoneye.rundir import KEY_BYTES, OPERATOR
from daemoneye.supervisor.bus_plan import BusPlan, NamedClient
from daemoneye.supervisor.documents import About, WallClock, crash_document
from daemoneye.supervisor.health import (
    ChildHealth,
    CrashReport,
    HealthReport,
    Overall,
    overall_of,
)
from daemoneye.supervisor.spec import BROKER, ChildSpec

CRASH_LIMIT_CHARACTERS = 512 << 10
"""Of a crash report on the bus; a longer one (stacks in no Latin script) is on disk alone."""

_HEALTH = {
    Overall.HEALTHY: pb.HEALTH_HEALTHY,
    Overall.STARTING: pb.HEALTH_DEGRADED,
    Overall.DEGRADED: pb.HEALTH_DEGRADED,
    Overall.FAILED: pb.HEALTH_UNHEALTHY,
}

SayToChild = Callable[[str, int, line.Order], None]


def new_key() -> bytes:
    """A secret for one incarnation."""
    return secrets.token_bytes(KEY_BYTES)


def credential_of(spec: ChildSpec, number: int, key: bytes, pid: int = 0) -> Credential:
    """What a child proves itself with."""
    declared = Declared(_filters(spec.publishes), _filters(spec.subscribes))
    return Credential(spec.name, spec.role, key, spec.kind, number, pid, declared)


def _credential_of_client(client: NamedClient, key: bytes) -> Credential:
    declared = Declared(_filters(client.publishes), _filters(client.subscribes))
    return Credential(client.name, client.role, key, client.kind, declared=declared)


def _filters(texts: tuple[str, ...] | None) -> tuple[TopicFilter, ...] | None:
    return None if texts is None else tuple(map(TopicFilter, texts))


class Voice:
    """The supervisor's line to the broker."""

    def __init__(self, bus: BusPlan, keys: Mapping[str, bytes], say: SayToChild) -> None:
        """`keys` are the operator's and those of the named clients.

        Raises ConfigError when an access rule makes no sense.
        """
        rules = tuple(AccessRule(r.who, r.access, r.filter, r.deny) for r in bus.access)
        clients = tuple(_credential_of_client(each, keys[each.name]) for each in bus.clients)
        self._rules = Rules(rules, dict(bus.limits), clients)
        self._say = say
        self._broker: int | None = None
        self._admitted = {(OPERATOR, 0): Credential(OPERATOR, "agent", keys[OPERATOR])}

    def broker_born(self, number: int) -> None:
        """A broker lives: tell it the rules and who may come."""
        self._broker = number
        self._order(self._rules)
        for credential in self._admitted.values():
            self._order(Admit(credential))

    def admit(self, credential: Credential) -> None:
        """This incarnation may come, now and to every later broker, until it has ended."""
        self._admitted[credential.identity, credential.incarnation] = credential
        self._order(Admit(credential))

    def ended(self, child: str, number: int, cause: str) -> None:
        """An incarnation is over."""
        if child == BROKER:
            if number == self._broker:
                self._broker = None
        elif self._admitted.pop((child, number), None) is not None:
            self._order(Ended(child, number, cause))

    def tell_health(self, report: HealthReport, about: About, clock: WallClock) -> None:
        """Say how the whole is on `control.health.status`."""
        if self._broker is None:
            return
        status = pb.HealthStatus(
            overall=_HEALTH[report.overall],
            reason=report.reason,
            supervisor_pid=about.pid,
            supervisor_uptime_seconds=about.uptime_seconds,
            supervisor_rss_bytes=about.rss_bytes,
            version=about.version,
            instance=about.instance,
            children=[_child_status(child, clock) for child in report.children],
            observed_at=time.time(),
        )
        self._publish(STATUS, status)

    def tell_child(self, child: ChildHealth, crash: CrashReport | None, clock: WallClock) -> None:
        """Say how one child is on `control.health.status.<child>`."""
        if self._broker is None:
            return
        status = _child_status(child, clock)
        if crash is not None:
            text = json.dumps(crash_document(crash, clock))
            status.crash_report = text if len(text) <= CRASH_LIMIT_CHARACTERS else ""
        self._publish(f"{STATUS}.{child.name}", status)

    def _publish(self, topic: str, message: pb.HealthStatus | pb.ChildStatus) -> None:
        payload, content_type = encode_payload(message)
        self._order(Say(topic, payload, content_type, retain=True))

    def _order(self, order: Order) -> None:
        if self._broker is not None:
            self._say(BROKER, self._broker, line.Tell(BROKER, encode_order(order)))


def _child_status(child: ChildHealth, clock: WallClock) -> pb.ChildStatus:
    return pb.ChildStatus(
        name=child.name,
        state=child.state.value,
        desired=child.desired,
        pid=child.pid or 0,
        incarnation=child.incarnation,
        restarts=child.restarts,
        uptime_seconds=child.uptime_seconds or 0.0,
        heartbeat_age_seconds=child.heartbeat_age_seconds,
        rss_bytes=child.rss_bytes,
        cpu_percent=child.cpu_percent,
        reason=child.reason,
        next_attempt_at=clock.unix(child.next_attempt_at),
        health=_HEALTH[overall_of(child)],
        observed_at=time.time(),
    )
