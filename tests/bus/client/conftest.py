"""Both kinds of client, and a broker that they connect to, for every test that asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bus.brokers import BrokerProcess, Running, broker_in_thread, broker_process
from tests.bus.client.alike import Tasks, Threads


@pytest.fixture(params=[Threads, Tasks], ids=["threads", "asyncio"])
def kind(tidy: Path, request: pytest.FixtureRequest) -> Iterator[Threads | Tasks]:
    made: Threads | Tasks = request.param()
    yield made
    made.close()


@pytest.fixture
def broker(tidy: Path, kind: Threads | Tasks) -> Iterator[Running]:
    with broker_in_thread(tidy) as running:
        running.connect = kind.connect
        yield running


@pytest.fixture
def process(tidy: Path, kind: Threads | Tasks) -> Iterator[BrokerProcess]:
    with broker_process(tidy) as running:
        running.connect = kind.connect
        yield running
