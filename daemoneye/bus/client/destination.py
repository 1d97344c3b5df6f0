"""Where to connect, and as whom: found as the command line finds it, or as a child is told."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemoneye.bus.arguments import check_text, not_a
from daemoneye.bus.handshake import Claim
from daemoneye.errors import LocalProtocolError
from daemoneye.lifeline import Passport
from daemoneye.rundir import OPERATOR, RunDir


@dataclass(frozen=True, slots=True)
class Destination:
    """A broker, and who we are to it."""

    path: Path
    """Where its socket is."""
    claim: Callable[[], Claim]
    """Who we say we are, asked anew for each attempt: a restarted instance has a new key."""

    @classmethod
    def find(
        cls,
        address: str | os.PathLike[str] | None,
        name: str | None,
        key: bytes | None,
        run_dir: str | os.PathLike[str] | None,
    ) -> Destination:
        """The running instance, or the broker at `address` or in `run_dir`.

        Without a name and a key we are the operator; with a name alone, the named client of the
        configuration, whose key is in the run directory.  Raises LocalProtocolError for a key
        without a name, for a URL, and for what is of a wrong kind, NotRunning, and ConfigError when
        the place cannot be trusted, or when there is no client of this name.
        """
        _check(address, name, key, run_dir)
        if name is None and key is not None:
            raise LocalProtocolError("a key needs its name", hint="give both, or none of them")
        if address is not None and "://" in os.fsdecode(address):
            raise LocalProtocolError(
                f"{os.fsdecode(address)!r} is no address: the bus stands on this machine alone, at"
                " the path of a socket",
                hint="leave it out for the running instance, or give run_dir=",
            )
        place = RunDir.find(run_dir) if address is None else RunDir(Path(address).absolute().parent)
        if key is None:
            place.check()
        incarnation = secrets.randbits(63) | 1

        def claim() -> Claim:
            whom = OPERATOR if name is None else name
            return Claim(whom, incarnation, place.read_key(whom) if key is None else key)

        return cls(place.bus_path if address is None else Path(address), claim)

    @classmethod
    def of_child(cls, passport: Passport) -> Destination:
        """The broker of a supervised child, which is itself to it."""
        claim = Claim(passport.name, passport.incarnation, passport.key)
        return cls(Path(passport.bus_address), lambda: claim)


def _check(address: object, name: object, key: object, run_dir: object) -> None:
    """Refuse what is of a wrong kind.  Raises LocalProtocolError."""
    for argument, path in (("address", address), ("run_dir", run_dir)):
        if path is None:
            continue
        if not isinstance(path, str | os.PathLike):
            raise not_a("a path", argument, path, "a str or a pathlib.Path")
        if "\0" in str(path):
            raise LocalProtocolError(
                f"{argument} is {str(path)!a:.100}, and no path has a NUL in it",
                hint="a str or a pathlib.Path",
            )
    if name is not None:
        check_text("name", name, "the name of a client in the configuration")
    if key is not None and (not isinstance(key, bytes) or not key):
        hint = "of hexadecimal digits bytes.fromhex(key); without a key it is read in run_dir"
        what = type(key).__name__ if key else "empty"  # the key itself is not for a log
        raise LocalProtocolError(f"key is bytes, and not {what}", hint=hint)
