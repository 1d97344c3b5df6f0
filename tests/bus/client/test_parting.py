"""Parting: what is finished when its owner is dropped, by whom, and within which time."""

from __future__ import annotations

import os
import time

import pytest

from daemoneye.bus.client import parting
from daemoneye.bus.client.parting import PATIENCE, at_parting


class Owner:
    """Somebody who may be dropped."""


@pytest.fixture(autouse=True)
def _a_full_purse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parting, "_purse", parting._Purse())


def test_what_is_left_is_finished_when_the_owner_is_dropped() -> None:
    finished: list[float] = []
    owner = Owner()
    at_parting(owner, finished.append)
    assert finished == []
    del owner
    assert finished == [PATIENCE]


def test_what_was_ended_in_order_is_not_finished_again() -> None:
    finished: list[float] = []
    owner = Owner()
    stay = at_parting(owner, finished.append)
    stay()
    stay()
    del owner
    assert finished == []


def test_all_together_have_one_patience() -> None:
    given: list[float] = []

    def slow(seconds: float) -> None:
        given.append(seconds)
        time.sleep(0.05)

    for _ in range(3):
        owner = Owner()
        at_parting(owner, slow)
        del owner
    assert given[0] == PATIENCE
    assert given[0] - 0.05 >= given[1] >= given[2] + 0.05 > 0.0


def test_a_forked_process_finishes_nothing_of_its_parent() -> None:
    finished: list[float] = []
    owner = Owner()
    at_parting(owner, finished.append)
    pid = os.fork()
    if pid == 0:
        del owner
        os._exit(len(finished))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    del owner
    assert finished == [PATIENCE]
