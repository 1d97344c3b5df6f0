"""All steps together, in one machine."""

from __future__ import annotations

from tests.bus.model.calling import Calling


class Bus(Calling):
    """Everything that clients, rules and time can do to a bus."""
