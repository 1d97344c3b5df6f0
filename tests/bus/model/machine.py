"""All steps together, in one machine."""

from __future__ import annotations

from tests.bus.model.leaving import Leaving


class Bus(Leaving):
    """Everything that clients, rules and time can do to a bus."""
