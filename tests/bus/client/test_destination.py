"""Destinations: where and as whom, for an operator, a named client and a child."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemoneye.bus.client.destination import Destination
from daemoneye.errors import ConfigError, LocalProtocolError, NotRunning
from daemoneye.lifeline import Passport
from daemoneye.rundir import OPERATOR, RunDir


def test_without_a_name_it_is_the_operator_with_the_key_of_the_moment(short_dir: Path) -> None:
    run_dir = RunDir(short_dir)
    run_dir.make_keys()
    found = Destination.find(None, None, None, short_dir)
    assert found.path == run_dir.bus_path
    first = found.claim()
    run_dir.make_keys()
    second = found.claim()
    assert first.identity == second.identity == OPERATOR
    assert first.incarnation == second.incarnation > 0
    assert second.key == run_dir.read_key() != first.key


def test_with_a_name_and_a_key_it_is_that(short_dir: Path) -> None:
    found = Destination.find(short_dir / "bus", "me", b"k" * 32, None)
    assert (found.path, found.claim().identity) == (short_dir / "bus", "me")


def test_two_clients_are_two_incarnations() -> None:
    one, two = (Destination.find("/bus", "me", b"k" * 32, None) for _ in range(2))
    assert one.claim().incarnation != two.claim().incarnation


def test_a_name_alone_is_proven_by_its_key_in_the_run_directory(short_dir: Path) -> None:
    run_dir = RunDir(short_dir)
    keys = run_dir.make_keys(["dashboard"])
    for found in (
        Destination.find(None, "dashboard", None, short_dir),
        Destination.find(run_dir.bus_path, "dashboard", None, None),
    ):
        claim = found.claim()
        assert (claim.identity, claim.key) == ("dashboard", keys["dashboard"])
        assert claim.key.hex() not in repr(claim)
        assert repr(claim.key) not in repr(claim)


def test_a_name_that_nobody_configured_is_told(short_dir: Path) -> None:
    RunDir(short_dir).make_keys()
    with pytest.raises(ConfigError, match="no client 'dashboard'"):
        Destination.find(None, "dashboard", None, short_dir).claim()


def test_a_key_needs_its_name() -> None:
    with pytest.raises(LocalProtocolError):
        Destination.find("/bus", None, bytes(32), None)


@pytest.mark.parametrize("address", ["tcp://localhost:1", "unix:///run/bus"])
def test_bad_input_a_url_is_no_address(address: str) -> None:
    with pytest.raises(LocalProtocolError, match="no address: the bus stands on this machine"):
        Destination.find(address, None, None, None)


def test_a_place_that_is_not_there_or_cannot_be_trusted_is_told(short_dir: Path) -> None:
    with pytest.raises(NotRunning) as missing:
        Destination.find(None, None, None, short_dir / "none")
    assert "in Python run_dir=" in missing.value.hint
    short_dir.chmod(0o755)
    with pytest.raises(ConfigError):
        Destination.find(None, None, None, short_dir)
    short_dir.chmod(0o700)


def test_a_child_is_itself() -> None:
    given = Passport("procmond", "collector", "process", 7, b"k" * 32, "/run/bus", "/run")
    claim = Destination.of_child(given).claim()
    assert (claim.identity, claim.incarnation, claim.key) == ("procmond", 7, b"k" * 32)


def test_an_empty_name_is_not_the_operator_s(short_dir: Path) -> None:
    RunDir(short_dir).make_keys()
    with pytest.raises(ConfigError, match="'' cannot name a client"):
        Destination.find(None, "", None, short_dir).claim()
