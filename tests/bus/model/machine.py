"""All steps together, in one machine."""

from __future__ import annotations

from tests.bus.model.travelling import Travelling


class Bus(Travelling):
    """Everything that clients, rules and time can do to a bus."""
