"""What a plan says about the bus: limits, access rules, and clients that are no children."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field

from daemoneye.bus.roles import AGENT, COLLECTOR, OBSERVER, WORKER

RESERVED_NAMES = frozenset({"broker", "supervisor", "guardian", "operator"})
"""Names that already mean somebody on the bus."""

CLIENT_ROLES = (OBSERVER, WORKER, AGENT, COLLECTOR)
"""What a named client may be."""

_NAME = re.compile(r"[a-z0-9_-]{1,64}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class AccessLine:
    """One rule of the bus's access list, as a person wrote it; the broker compiles it."""

    who: str
    """An identity, or `role:NAME`."""
    access: str
    """`read-only`, `write-only`, `read-write` or `restricted`."""
    filter: str
    """The topics it is about."""
    deny: bool = False
    """It takes away instead of granting."""


@dataclass(frozen=True, slots=True)
class NamedClient:
    """A program that is no child of the instance, and comes to its bus under a name of its own."""

    name: str
    """Its identity; `[a-z0-9_-]{1,64}`, and nobody else's."""
    _: KW_ONLY
    role: str = OBSERVER
    """Its rights on the bus: one of `CLIENT_ROLES`."""
    kind: str = ""
    """What it collects, for the role `collector`."""
    publishes: tuple[str, ...] | None = None
    """Topic filters it may publish to; None: what its role gives it."""
    subscribes: tuple[str, ...] | None = None
    """Topic filters it may subscribe to; None: what its role gives it."""

    def problems(self, taken: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
        """Everything wrong here, as pairs of field and complaint; these names are others'."""
        if not _NAME.match(self.name):
            yield "name", f"expected 1 to 64 of a-z, 0-9, _ and -, found {self.name!r}"
        if self.name in RESERVED_NAMES:
            yield "name", f"this name is reserved: none of {', '.join(sorted(RESERVED_NAMES))}"
        elif self.name in taken:
            yield "name", "a child has this name"
        if self.role not in CLIENT_ROLES:
            yield "role", f"expected one of {', '.join(CLIENT_ROLES)}, found {self.role!r}"
        if (self.role == COLLECTOR) != bool(self.kind):
            yield "kind", "a collector has one, and nobody else"


@dataclass(frozen=True, slots=True)
class BusPlan:
    """What the plan says about the bus; the supervisor hands it to the broker."""

    limits: Mapping[str, int | float] = field(default_factory=dict)
    """Limits that differ from the broker's defaults, by their names."""
    access: tuple[AccessLine, ...] = ()
    """Rules added to those of the built-in roles."""
    clients: tuple[NamedClient, ...] = ()
    """Who may come besides children and the operator."""

    def problems(self, children: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Everything wrong with its clients, as pairs of key and complaint."""
        taken = set(children)
        for client in self.clients:
            for key, text in client.problems(taken):
                yield f"clients.{client.name}.{key}", text
            taken.add(client.name)
