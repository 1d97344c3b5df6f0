"""All steps together, in one machine."""

from __future__ import annotations

from tests.bus.model.steps import Steps


class Bus(Steps):
    """Everything that clients, rules and time can do to a bus."""
