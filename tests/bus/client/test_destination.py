"""Destinations: where and as whom, for an operator, a named client and a child."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemoneye.bus.client.destination import OPERATOR, Destination
from daemoneye.errors import ConfigError, LocalProtocolError, NotRunning
from daemoneye.lifeline import Passport
from daemoneye.rundir import RunDir


def test_without_a_name_it_is_the_operator_with_the_key_of_the_moment(short_dir: Path) -> None:
    run_dir = RunDir(short_dir)
    run_dir.make_operator_key()
    found = Destination.find(None, None, None, short_dir)
    assert found.path == run_dir.bus_path
    first = found.claim()
    run_dir.make_operator_key()
    second = found.claim()
    assert first.identity == second.identity == OPERATOR
    assert first.incarnation == second.incarnation > 0
    assert second.key == run_dir.read_operator_key() != first.key


def test_with_a_name_and_a_key_it_is_that(short_dir: Path) -> None:
    found = Destination.find(short_dir / "bus", "me", b"k" * 32, None)
    assert (found.path, found.claim().identity) == (short_dir / "bus", "me")


def test_two_clients_are_two_incarnations() -> None:
    one, two = (Destination.find("/bus", "me", b"k" * 32, None) for _ in range(2))
    assert one.claim().incarnation != two.claim().incarnation


@pytest.mark.parametrize(("name", "key"), [("me", None), (None, bytes(32))])
def test_a_name_needs_its_key(name: str | None, key: bytes | None) -> None:
    with pytest.raises(LocalProtocolError):
        Destination.find("/bus", name, key, None)


def test_a_place_that_is_not_there_or_cannot_be_trusted_is_told(short_dir: Path) -> None:
    with pytest.raises(NotRunning):
        Destination.find(None, None, None, short_dir / "none")
    short_dir.chmod(0o755)
    with pytest.raises(ConfigError):
        Destination.find(None, None, None, short_dir)
    short_dir.chmod(0o700)


def test_a_child_is_itself() -> None:
    given = Passport("procmond", "collector", "process", 7, b"k" * 32, "/run/bus", "/run")
    claim = Destination.of_child(given).claim()
    assert (claim.identity, claim.incarnation, claim.key) == ("procmond", 7, b"k" * 32)
