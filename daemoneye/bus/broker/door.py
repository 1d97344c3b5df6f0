"""The door of the broker: accepts connections, and turns away who does not prove itself in time.

What is decided here is decided by rules: by `Reception` for each connection, by `Lobby` for all of
them that are not proven, by `Places` for those that are.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

from daemoneye.bus.broker.clients import Client, Clients
from daemoneye.bus.broker.lobby import Lobby
from daemoneye.bus.broker.mishaps import Mishaps
from daemoneye.bus.broker.places import Places
from daemoneye.bus.endpoint import Exhausted, Foreign, listen
from daemoneye.bus.frames import Refusal, Welcome, control_value, parse
from daemoneye.bus.handshake import (
    BUSY,
    NONCE_BYTES,
    TOO_LATE,
    WRONG_PROCESS,
    Keyring,
    Reception,
    State,
    Terms,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.memory import can_pass_memory
from daemoneye.bus.orders import Credential
from daemoneye.system import Peer, is_peer_alive, let_descriptors_come
from daemoneye.waiting import READABLE, Poller

ACCEPTED_IN_A_TURN = 32

WATCHED_BESIDES = 2
"""What the broker waits for besides connections: the endpoint and the mailbox."""

EXHAUSTED_PAUSE = 0.2
"""Seconds without accepting after descriptors ran out."""


class Door:
    """Where connections come from, and where they wait until they are proven."""

    __slots__ = (
        "_endpoint",
        "_poller",
        "_resume_at",
        "counted",
        "keyring",
        "lobby",
        "places",
        "terms",
    )

    def __init__(self, path: Path, limits: Limits, poller: Poller) -> None:
        """Listen at `path`.  Raises what `listen` does."""
        self._poller = poller
        self._endpoint = listen(path, limits)
        self._resume_at: float | None = None  # accepting pauses until then
        self.keyring = Keyring()
        self.lobby: Lobby[Client] = Lobby(limits)
        self.places: Places[Client] = Places(limits)
        self.terms = Terms(secrets.randbits(63) | 1, limits, can_pass_memory())
        self.counted = Mishaps()
        """Connections that came to nothing, by reason."""
        poller.watch(self._endpoint.fileno(), READABLE)

    def set_limits(self, limits: Limits) -> None:
        """From now on these hold; the backlog stays."""
        self.terms = Terms(self.terms.epoch, limits, can_pass_memory())
        self.lobby.limits = self.places.limits = limits

    def close(self) -> None:
        """Accept nobody any more."""
        if self._endpoint.fileno() >= 0:
            self._poller.forget(self._endpoint.fileno())
            self._endpoint.close()
        self._resume_at = None

    # ---- coming in ------------------------------------------------------------------------------

    def accept(self, clients: Clients) -> None:
        """Take in who has knocked, as far as there is room."""
        for _ in range(ACCEPTED_IN_A_TURN):
            try:
                accepted = self._endpoint.accept_nowait()
            except Foreign as error:
                text = f"refused a connection: {error.strerror}"
                self.counted.note("foreign-user", text, logging.WARNING)
                continue
            except Exhausted as error:
                text = f"cannot accept: {error.strerror}; pausing"
                self.counted.note("exhausted", text, logging.WARNING)
                self._poller.forget(self._endpoint.fileno())
                self._resume_at = time.monotonic() + EXHAUSTED_PAUSE
                return
            if accepted is None:
                return
            self._take_in(*accepted, clients)

    def _take_in(self, sock: socket.socket, peer: Peer, clients: Clients) -> None:
        limits = self.terms.limits
        reception = Reception(self.terms, os.urandom(NONCE_BYTES), peer.pid)
        client = Client(sock, peer, reception, limits.early_frame_bytes)
        most = min(limits.connections, self._poller.at_most - WATCHED_BESIDES)
        if len(clients) >= most:
            oldest = self.lobby.make_room()
            if oldest is None:
                self.counted.note(BUSY, f"refused process {peer.pid}: all places are taken")
                client.say_once(Refusal(BUSY, f"{most} are connected already"))
                sock.close()
                return
            self.turn_away(oldest, clients, BUSY, "all places are taken")
        clients.add(client)
        for evicted in self.lobby.enter(client, peer.pid, time.monotonic()):
            self.turn_away(evicted, clients, BUSY, "too many connections without a proof")

    def receive(
        self,
        client: Client,
        frames: list[bytes],
        clients: Clients,
        enter: Callable[[Client, Reception, Welcome], Welcome],
    ) -> list[bytes]:
        """Take frames of the handshake; returns those that stand behind the proof.

        Once it is proven `enter` gives it a session, and completes what it is told.  Raises
        RemoteProtocolError.
        """
        reception = client.reception
        assert reception is not None
        for position, raw in enumerate(frames):
            reply = reception.receive(control_value(parse(raw)), self.keyring)
            credential = reception.credential
            if reception.state is State.PROVEN and credential is not None:
                reply = self._objection(client, credential) or reply
            if isinstance(reply, Refusal):
                self.turn_away(client, clients, reply.reason, reply.detail)
                return []
            if reception.state is State.PROVEN and reception.carriage.descriptors:
                client.passes_descriptors = True
                let_descriptors_come(client.sock, True)  # before it hears that it may pass some
            if isinstance(reply, Welcome) and credential is not None:
                self.lobby.leave(client)
                self.places.take(client, credential)
                reply = enter(client, reception, reply)
            if not client.say_once(reply):
                self.lose(client, clients)
                return []
            if isinstance(reply, Welcome):
                return frames[position + 1 :]
        return []

    def _objection(self, client: Client, credential: Credential) -> Refusal | None:
        """Why one that has the key does not get in after all."""
        # Asked now and not when it came: from here on its pid is believed, and told to others.
        try:
            alive = is_peer_alive(client.sock)
        except OSError as error:  # no free descriptor: whoever it is can come again
            detail = f"process {client.peer.pid} cannot be looked at now: {error.strerror}"
            return Refusal(BUSY, detail)
        if alive is False:
            detail = f"process {client.peer.pid}, which connected, has ended"
            return Refusal(WRONG_PROCESS, detail)
        why_not = self.places.refusal(credential)
        return Refusal(BUSY, why_not) if why_not else None

    def lose(self, client: Client, clients: Clients) -> None:
        """It hung up before it was let in."""
        self.counted.note("gone", f"process {client.peer.pid} hung up in the handshake")
        clients.close(client)

    def forget(self, client: Client) -> None:
        """Its connection is closed, wherever it stood."""
        self.lobby.leave(client)
        self.places.leave(client)

    def turn_away(self, client: Client, clients: Clients, reason: str, detail: str) -> None:
        """It does not get in, and is told why."""
        self.counted.note(reason, f"refused process {client.peer.pid}: {detail}")
        client.say_once(Refusal(reason, detail))
        clients.close(client)

    # ---- time -----------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When there is something to do here although nobody knocks."""
        late = self.lobby.next_deadline()
        if late is None or self._resume_at is None:
            return late if self._resume_at is None else self._resume_at
        return min(late, self._resume_at)

    def keep_time(self, clients: Clients, now: float) -> None:
        """Turn away who is late, and accept again after a pause."""
        for client in self.lobby.expire(now):
            self.turn_away(client, clients, TOO_LATE, "no proof in time")
        if self._resume_at is not None and self._resume_at <= now:
            self._resume_at = None
            self._poller.watch(self._endpoint.fileno(), READABLE)
