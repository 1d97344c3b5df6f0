"""The broker process: accept, read, ask the router, write.  It decides nothing.

    clients ── bytes ──▶ FrameCutter ── frames ──▶ Reception (until proven), then Router
            ◀─ gathered writes ── session.take()                      │
    supervisor ── orders, down the lifeline ──▶ mailbox ──────────────┘

One thread, one loop; nothing in it waits but `wait`.  A turn reads at most `turn_bytes` of each
client that has something, then writes to everybody who got something, so a flood of one costs the
others at most a turn.  A client that breaks the protocol, is too slow to prove itself or stops
reading costs only itself: it is told why, and closed.

It ends in two visible steps: `stop` closes the endpoint and tells every client, `finished` is true
once what waits is written, or after `drain_timeout`.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from daemoneye.bus.access import AccessList, Identity
from daemoneye.bus.child_wish import ChildWish, child_wish
from daemoneye.bus.deliveries import GOODBYE
from daemoneye.bus.endpoint import Endpoint, Exhausted, Foreign
from daemoneye.bus.frames import Notice, Refusal, Value, control_value, encode, parse
from daemoneye.bus.handshake import (
    BUSY,
    NONCE_BYTES,
    OUT_OF_ORDER,
    TOO_LATE,
    Keyring,
    Lobby,
    Reception,
    State,
    Terms,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.orders import Admit, Ended, Order, Rules, Say, decode_order
from daemoneye.bus.router import Router
from daemoneye.bus.session import Session
from daemoneye.errors import BusError, ConfigError, RemoteProtocolError, TooLarge
from daemoneye.framing import FrameCutter, pack
from daemoneye.lifeline import Passport
from daemoneye.system import READABLE, WRITABLE, Peer, Poller

log = logging.getLogger("daemoneye.broker")

TOLD_AS = "broker"
"""The name that the supervisor's words for a broker carry on the lifeline."""

STATISTICS_INTERVAL = 1.0
ACCEPTED_IN_A_TURN = 32
EXHAUSTED_PAUSE = 0.2
"""Seconds without accepting after descriptors ran out."""


class Mailbox:
    """What other threads want of the loop, and the byte that wakes it for them."""

    __slots__ = ("_closing", "_orders", "_read", "_write", "stop_asked")

    def __init__(self) -> None:
        self._closing = threading.Lock()
        self._orders: deque[Order] = deque()
        self.stop_asked = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Readable when the loop was woken."""
        return self._read

    def put(self, order: Order) -> None:
        """Leave an order, from any thread; they are obeyed one after another."""
        self._orders.append(order)
        self.wake()

    def ask_to_stop(self) -> None:
        """Begin to end, from any thread."""
        self.stop_asked = True
        self.wake()

    def take(self) -> Order | None:
        """The next order; None when there is none."""
        try:
            return self._orders.popleft()
        except IndexError:
            return None

    def clear(self) -> None:
        """Take the bytes that woke the loop; before looking, so that none is overlooked."""
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Let go of the pipe; who comes later leaves an order that nobody obeys."""
        with self._closing:
            os.close(self._read)
            os.close(self._write)
            self._read = self._write = -1

    def wake(self) -> None:
        """Have the loop look, from any thread."""
        with self._closing:
            if self._write < 0:
                return
            try:
                os.write(self._write, b"!")
            except BlockingIOError:
                pass  # it is full of bytes that will wake it


class Client:
    """One connection: its socket, and how far it has come."""

    __slots__ = ("cutter", "peer", "reception", "session", "sock", "stuck_deadline")

    def __init__(self, sock: socket.socket, peer: Peer, reception: Reception, limit: int) -> None:
        self.sock = sock
        self.peer = peer
        self.cutter = FrameCutter(limit)
        self.reception: Reception | None = reception  # until it is proven
        self.session: Session | None = None  # from then on
        self.stuck_deadline: float | None = None  # while it does not take what we write


class Front:
    """Where connections come from, and what stands between them and the router."""

    __slots__ = ("counted", "endpoint", "keyring", "lobby", "resume_at", "terms")

    def __init__(self, path: Path, limits: Limits) -> None:
        self.terms = Terms(secrets.randbits(63) | 1, limits)
        self.keyring = Keyring()
        self.lobby: Lobby[Client] = Lobby(limits)
        self.counted: Counter[str] = Counter()
        """Connections that came to nothing, by reason."""
        self.endpoint = Endpoint(path, limits.backlog)
        self.resume_at: float | None = None  # accepting pauses until then


class Broker:
    """Everything of one broker but the process it runs in.

    Run it by `while not broker.finished: broker.turn(broker.wait())`.  Orders come through the
    mailbox, which is the only part of it that other threads may touch.
    """

    def __init__(self, path: Path, limits: Limits, access: AccessList, mailbox: Mailbox) -> None:
        """Listen at `path`.  Raises what `Endpoint` does."""
        self.front = Front(path, limits)
        self.router = Router(limits, access, self.front.terms.epoch)
        self._mailbox = mailbox
        self._poller = Poller()
        self._clients: dict[int, Client] = {}
        self._of_session: dict[Session, Client] = {}
        self._stuck: dict[Client, None] = {}
        self._drain_deadline: float | None = None  # once it has begun to end
        self._poller.watch(self.front.endpoint.fileno(), READABLE)
        self._poller.watch(mailbox.fileno(), READABLE)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do but `close`."""
        if self._drain_deadline is None:
            return False
        return time.monotonic() >= self._drain_deadline or not any(
            session.pending for session in self._of_session
        )

    def close(self) -> None:
        """Close every connection and the endpoint at once."""
        for client in list(self._clients.values()):
            self._close(client)
        self.front.endpoint.close()
        self._poller.close()

    def wait(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Sleep until something happens, a deadline passes, or `timeout` seconds have passed."""
        deadlines = [
            at
            for at in (
                self.front.resume_at,
                self.front.lobby.next_deadline(),
                self._drain_deadline,
                *(each.stuck_deadline for each in self._stuck),
            )
            if at is not None
        ]
        if deadlines:
            left = max(0.0, min(deadlines) - time.monotonic())
            timeout = left if timeout is None else min(left, timeout)
        return self._poller.poll(timeout)

    def turn(self, events: list[tuple[int, int]]) -> list[ChildWish]:
        """Do what there is to do; returns what the supervisor has to hear."""
        now_ns = time.time_ns()
        clients = self._clients
        for fd, what in events:
            client = clients.get(fd)
            if client is not None:
                if what & WRITABLE and client.session is not None:
                    self.router.dirty.add(client.session)
                if what & ~WRITABLE:
                    self._read(client, now_ns)
            elif fd == self._mailbox.fileno():
                self._look_into_mailbox(now_ns)
            else:
                self._accept()
        self._keep_time()
        self._write_dirty(now_ns)
        return self._handed_up()

    # ---- coming in ------------------------------------------------------------------------------

    def _accept(self) -> None:
        front = self.front
        for _ in range(ACCEPTED_IN_A_TURN):
            try:
                accepted = front.endpoint.accept_nowait()
            except Foreign as error:
                front.counted["foreign-user"] += 1
                log.warning("refused a connection: %s", error.strerror)
                continue
            except Exhausted as error:
                front.counted["exhausted"] += 1
                log.warning("cannot accept: %s; pausing", error.strerror)
                self._poller.forget(front.endpoint.fileno())
                front.resume_at = time.monotonic() + EXHAUSTED_PAUSE
                return
            if accepted is None:
                return
            self._admit(*accepted)

    def _admit(self, sock: socket.socket, peer: Peer) -> None:
        front = self.front
        limits = self.router.limits
        reception = Reception(front.terms, os.urandom(NONCE_BYTES), peer.pid)
        client = Client(sock, peer, reception, limits.early_frame_bytes)
        if len(self._clients) >= limits.connections:
            oldest = front.lobby.make_room()
            if oldest is None:
                front.counted[BUSY] += 1
                self._say_once(client, Refusal(BUSY, f"{limits.connections} are connected already"))
                sock.close()
                return
            self._turn_away(oldest, BUSY, "all places are taken")
        self._clients[sock.fileno()] = client
        self._poller.watch(sock.fileno(), READABLE)
        for evicted in front.lobby.enter(client, peer.pid, time.monotonic()):
            self._turn_away(evicted, BUSY, "too many connections without a proof")

    def _read(self, client: Client, now_ns: int) -> None:
        try:
            data = client.sock.recv(self.router.limits.turn_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""  # reset by the peer: an end like any other
        if not data:
            self._close(client)
            return
        try:
            frames = client.cutter.feed(data)
            if client.session is None:
                frames = self._receive_early(client, frames, now_ns)
            if client.session is not None:
                self.router.receive(client.session, frames, now_ns)
        except (RemoteProtocolError, TooLarge) as error:
            self._throw_out(client, error)

    def _receive_early(self, client: Client, frames: list[bytes], now_ns: int) -> list[bytes]:
        """Take frames of the handshake; returns those that stand behind it."""
        reception = client.reception
        assert reception is not None
        for position, raw in enumerate(frames):
            reply = reception.receive(control_value(parse(raw)), self.front.keyring)
            if isinstance(reply, Refusal):
                self._turn_away(client, reply.reason, reply.detail)
                return []
            if not self._say_once(client, reply):
                self._close(client)
                return []
            if reception.state is State.PROVEN:
                self._welcome(client, reception, now_ns)
                return frames[position + 1 :]
        return []

    def _welcome(self, client: Client, reception: Reception, now_ns: int) -> None:
        credential = reception.credential
        assert credential is not None
        self.front.lobby.leave(client)
        identity = Identity(
            credential.identity,
            credential.role,
            credential.kind,
            reception.incarnation,
            client.peer.pid,
        )
        client.session = self.router.open(identity, credential.declared, now_ns)
        client.reception = None
        client.cutter.limit = self.router.limits.frame_bytes
        self._of_session[client.session] = client

    # ---- going out ------------------------------------------------------------------------------

    def _write_dirty(self, now_ns: int) -> None:
        router = self.router
        while router.dirty:
            session = router.dirty.pop()
            client = self._of_session.get(session)
            if client is not None:
                self._write(client, session, now_ns)
        while router.doomed:
            session, cause = router.doomed.popitem()
            client = self._of_session.get(session)
            if client is not None:
                if cause != GOODBYE:
                    log.info("%r is cut off: %s", session, cause)
                self._write(client, session, now_ns)
                self._close(client)

    def _write(self, client: Client, session: Session, now_ns: int) -> None:
        """Write until nothing may be sent or the kernel takes no more."""
        sock, limit = client.sock, self.router.limits.turn_bytes
        while buffers := session.take(limit, now_ns):
            try:
                sent = sock.sendmsg(buffers) if len(buffers) > 1 else sock.send(buffers[0])
            except (BlockingIOError, InterruptedError):
                if client.stuck_deadline is None:
                    self._poller.watch(sock.fileno(), READABLE | WRITABLE)
                    self._stick(client)
                return
            except OSError:
                self._close(client)
                return
            session.written(sent)
            if client.stuck_deadline is not None:
                self._stick(client)
        if client.stuck_deadline is not None:
            client.stuck_deadline = None
            del self._stuck[client]
            self._poller.watch(sock.fileno(), READABLE)

    def _stick(self, client: Client) -> None:
        client.stuck_deadline = time.monotonic() + self.router.limits.write_timeout
        self._stuck[client] = None

    def _say_once(self, client: Client, value: Value) -> bool:
        """A frame of the handshake, or last words: they fit into an empty socket, or are lost."""
        data = pack(encode(value))
        try:
            return client.sock.send(data) == len(data)
        except OSError:
            return False

    # ---- endings --------------------------------------------------------------------------------

    def _turn_away(self, client: Client, reason: str, detail: str) -> None:
        """It did not get in."""
        self.front.counted[reason] += 1
        log.info("refused process %d: %s: %s", client.peer.pid, reason, detail)
        self._say_once(client, Refusal(reason, detail))
        self._close(client)

    def _throw_out(self, client: Client, error: BusError) -> None:
        """It broke the protocol: nothing it sends can be understood any more."""
        session = client.session
        if session is None:
            self._turn_away(client, OUT_OF_ORDER, str(error))
            return
        self.front.counted[OUT_OF_ORDER] += 1
        log.warning("%r broke the protocol: %s", session, error)
        session.tell(Notice(OUT_OF_ORDER, detail=str(error)), self.router.limits)
        self.router.close(session)
        self._write(client, session, time.time_ns())
        self._close(client)

    def _close(self, client: Client) -> None:
        fd = client.sock.fileno()
        if fd < 0:
            return
        del self._clients[fd]
        self._poller.forget(fd)
        client.sock.close()
        self._stuck.pop(client, None)
        self.front.lobby.leave(client)
        if client.session is not None:
            del self._of_session[client.session]
            self.router.close(client.session)

    # ---- time, orders, wishes -------------------------------------------------------------------

    def _keep_time(self) -> None:
        now, front = time.monotonic(), self.front
        for client in front.lobby.expire(now):
            self._turn_away(client, TOO_LATE, "no proof in time")
        for client in [each for each in self._stuck if (each.stuck_deadline or now) <= now]:
            log.warning("%r reads nothing: closed", client.session)
            self._close(client)
        if front.resume_at is not None and front.resume_at <= now:
            front.resume_at = None
            if self._drain_deadline is None:
                self._poller.watch(front.endpoint.fileno(), READABLE)
        if self._mailbox.stop_asked and self._drain_deadline is None:
            self._begin_to_stop(now)

    def _begin_to_stop(self, now: float) -> None:
        limits = self.router.limits
        self._drain_deadline = now + limits.drain_timeout
        self._poller.forget(self.front.endpoint.fileno())
        self.front.endpoint.close()
        for client in self.front.lobby:
            self._turn_away(client, BUSY, "the broker is ending")
        for session in self._of_session:
            session.tell(Notice("going-down", detail="the broker is ending"), limits)
            self.router.dirty.add(session)

    def _look_into_mailbox(self, now_ns: int) -> None:
        self._mailbox.clear()
        while (order := self._mailbox.take()) is not None:
            self._obey(order, now_ns)

    def _obey(self, order: Order, now_ns: int) -> None:
        match order:
            case Rules():
                self._replace_rules(order)
            case Admit(credential):
                self.front.keyring.admit(credential)
            case Ended(identity, incarnation, cause):
                self.front.keyring.withdraw(identity, incarnation)
                self.router.end(identity, incarnation, cause)
            case Say():
                try:
                    self.router.say(
                        order.topic,
                        order.payload,
                        now_ns,
                        content_type=order.content_type,
                        target=order.target,
                    )
                except BusError as error:
                    log.error(
                        "the supervisor's word on %s is not published: %s", order.topic, error
                    )

    def _replace_rules(self, order: Rules) -> None:
        """New rules, whole; rules that cannot be used leave the old ones in force."""
        try:
            limits, access = Limits.of(order.limits), AccessList(order.rules)
        except ConfigError as error:
            log.error("the new rules cannot be used, the old ones stay: %s", error)
            return
        self.front.terms = Terms(self.front.terms.epoch, limits)
        self.front.lobby.limits = limits
        self.router.set_rules(limits, access)

    def counters(self) -> dict[str, int]:
        """What `status` shows of this broker."""
        seen = self.router.statistics()
        return {
            "clients": seen.clients,
            "subscriptions": seen.subscriptions,
            "published_total": seen.published,
            "delivered_total": seen.delivered,
            "lost_total": sum(seen.lost.values()),
            "denied_total": seen.denied,
            "refused_total": seen.refused,
            "turned_away_total": self.front.counted.total(),
            "queued": seen.queued,
        }

    def _handed_up(self) -> list[ChildWish]:
        wishes = []
        while self.router.handed_up:
            try:
                wishes.append(child_wish(self.router.handed_up.popleft()))
            except RemoteProtocolError as error:
                log.warning("%s", error)
        return wishes


# ---- the process --------------------------------------------------------------------------------


class Child(Protocol):
    """What `serve` needs of the child it runs in."""

    passport: Passport

    def ready(self) -> None:
        """Say that clients may come."""

    def working(self, doing: str) -> AbstractContextManager[None]:
        """Work is in hand inside."""

    def count(self, name: str, value: int) -> None:
        """A counter for the next beat."""

    def on_tell(self, callback: Callable[[str, bytes], None]) -> None:
        """Hear the supervisor's words, on another thread."""

    def when_stopping(self, callback: Callable[[], None]) -> None:
        """Hear that it is time to end, on another thread."""

    def wish(
        self,
        verb: str,
        child: str,
        settings: Mapping[str, object] | None = None,
        asked_by: str = "",
        timeout: float = 5.0,
    ) -> tuple[bool, str]:
        """Ask the supervisor for something."""


def serve(child: Child) -> None:
    """Be the broker of an instance until the child is asked to end.

    Waits for the supervisor's rules, without which nobody may do anything, then listens.  Raises
    ConfigError when the first rules cannot be used: a broker without a policy must not start.
    """
    mailbox = Mailbox()

    def told(name: str, body: bytes) -> None:
        if name == TOLD_AS:
            mailbox.put(decode_order(body))

    child.when_stopping(mailbox.ask_to_stop)
    child.on_tell(told)
    try:
        rules = _first_rules(mailbox)
        if rules is None:
            return
        limits, access = Limits.of(rules.limits), AccessList(rules.rules)
        broker = Broker(Path(child.passport.bus_address), limits, access, mailbox)
        try:
            child.ready()
            _run(broker, child)
        finally:
            broker.close()
    finally:
        mailbox.close()


def _first_rules(mailbox: Mailbox) -> Rules | None:
    """Wait for them; None when it is time to end before they come."""
    poller = Poller()
    poller.watch(mailbox.fileno(), READABLE)
    try:
        while not mailbox.stop_asked:
            poller.poll()
            mailbox.clear()
            order = mailbox.take()
            if isinstance(order, Rules):
                mailbox.wake()  # for what stands behind them
                return order
            if order is not None:
                raise RemoteProtocolError(f"the first order is {type(order).__name__}, not Rules")
    finally:
        poller.close()
    return None


def _run(broker: Broker, child: Child) -> None:
    counted_at = 0.0
    counted = False
    while not broker.finished:
        events = broker.wait(None if counted else STATISTICS_INTERVAL)
        with child.working("serving clients"):
            for wish in broker.turn(events):
                child.wish(wish.verb, wish.child, wish.settings, wish.asked_by, timeout=0)
            now = time.monotonic()
            counted = counted and not events
            if not counted and now - counted_at >= STATISTICS_INTERVAL:
                counted, counted_at = True, now
                for name, value in broker.counters().items():
                    child.count(name, value)
