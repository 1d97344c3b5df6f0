"""All steps together, in one machine."""

from __future__ import annotations

from tests.bus.model.retaining import Retaining


class Bus(Retaining):
    """Everything that clients, rules and time can do to a bus."""
