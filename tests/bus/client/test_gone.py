"""What stands where a connection was: it raises, in the forked process as after closing."""

from __future__ import annotations

import os

import pytest

from daemoneye.bus.client.gone import Gone, closed, remember
from daemoneye.errors import BusClosed


class Holder:
    """Somebody who has a connection, and perhaps no more."""

    connection: object = "there"


def leave(holder: Holder, gone: Gone) -> None:
    holder.connection = gone


def test_whatever_is_wanted_of_it_raises_why() -> None:
    gone = closed("Holder()")
    for _ in range(2):
        with pytest.raises(BusClosed, match=r"closed \(make another with Holder\(\)\)") as caught:
            gone.writer  # noqa: B018 – reading it is what raises
        assert caught.traceback[-1].name == "__getattr__"
        assert len(caught.traceback) == 2


def test_only_the_forked_process_loses_the_connection() -> None:
    holder = Holder()
    remember(holder, leave)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if isinstance(holder.connection, Gone) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert holder.connection == "there"


def test_a_client_that_is_no_more_is_forgotten() -> None:
    remember(Holder(), lambda holder, gone: os._exit(1))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
