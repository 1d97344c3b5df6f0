"""The bus against its model, as many steps as a run of the suite has time for."""

from __future__ import annotations

from hypothesis import settings

from tests.bus.model.machine import Bus

Bus.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestBus = Bus.TestCase
