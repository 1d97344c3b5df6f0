"""Where to connect, and as whom: found as the command line finds it, or as a child is told."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
        without a name and for a URL, NotRunning, and ConfigError when the place cannot be trusted,
        or when there is no client of this name.
        """
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
            return Claim(name or OPERATOR, incarnation, key or place.read_key(name or OPERATOR))

        return cls(place.bus_path if address is None else Path(address), claim)

    @classmethod
    def of_child(cls, passport: Passport) -> Destination:
        """The broker of a supervised child, which is itself to it."""
        claim = Claim(passport.name, passport.incarnation, passport.key)
        return cls(Path(passport.bus_address), lambda: claim)
