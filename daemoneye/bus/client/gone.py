"""What stands where a client's connection was: after `close`, and in a process that was forked.

After a fork the socket is the parent's: two processes would mix their frames on it.  So every
client that lives is known here, and the child of a fork takes its connection away.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from daemoneye.errors import BusClosed, BusError

Client = TypeVar("Client")


class Gone:
    """Whatever is wanted of it raises why it is gone."""

    def __init__(self, error: BusError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> NoReturn:
        raise self._error.with_traceback(None)  # or it would grow with every use


def closed(maker: str) -> Gone:
    """After `close`; `maker` is how to make another client."""
    return Gone(BusClosed("this client was closed", hint=f"make another with {maker}"))


_living: weakref.WeakKeyDictionary[Any, Callable[[Any, Gone], None]] = weakref.WeakKeyDictionary()


def remember(client: Client, leave: Callable[[Client, Gone], None]) -> None:
    """In the child of a fork, have `leave` put the second argument where the connection was."""
    _living[client] = leave


def _leave_behind() -> None:
    gone = Gone(
        BusClosed(
            "this client belongs to the process that was forked",
            hint="make a client in the new process; better still, start processes with spawn",
        )
    )
    for client, leave in list(_living.items()):
        leave(client, gone)
    _living.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_behind)
