"""One broker: accept, read, ask the router, write.  It decides nothing.

    clients ── bytes ──▶ FrameCutter ── frames ──▶ Reception (until proven), then Router
            ◀─ gathered writes ── session.take()                      │
    supervisor ── orders, down the lifeline ──▶ mailbox ──────────────┘

One thread, one loop; nothing in it waits but `wait`.  A turn reads at most `turn_bytes` of each
client that has something, does as much of it as the router finds enough for a turn, then writes to
everybody who got something, so a flood of one costs the others at most a turn.  A client that
breaks the protocol, is too slow to prove itself or stops reading costs only itself: it is told
why, and closed.

It ends in two visible steps.  Asked through the mailbox, it closes the door and tells every client;
`finished` is true once what waits for them is written, or after `drain_timeout`.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from daemoneye.bus.access import AccessList, Identity
from daemoneye.bus.broker.child_wish import ChildWish, child_wish
from daemoneye.bus.broker.clients import Client, Clients
from daemoneye.bus.broker.deliveries import GOODBYE, Ending
from daemoneye.bus.broker.descriptors import Descriptors
from daemoneye.bus.broker.door import Door
from daemoneye.bus.broker.mailbox import Mailbox
from daemoneye.bus.broker.router import Router
from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.broker.statistics import Statistics
from daemoneye.bus.broker.streams import OVERSIZE
from daemoneye.bus.frames import Notice, Ping, Resumption, Welcome
from daemoneye.bus.handshake import BUSY, OUT_OF_ORDER, Reception, Return
from daemoneye.bus.hierarchy import STATISTICS
from daemoneye.bus.limits import Limits
from daemoneye.bus.memory import Stored
from daemoneye.bus.orders import Admit, Credential, Ended, Order, Rules, Say
from daemoneye.bus.vigil import Vigil, Watched
from daemoneye.errors import BusError, ConfigError, RemoteProtocolError, TooLarge
from daemoneye.system import has_ended, receive_with_descriptors
from daemoneye.waiting import READABLE, WRITABLE, Poller

log = logging.getLogger("daemoneye.broker")

GAP_SECONDS = 1.0
"""So late a turn means that the broker itself could not run, and all deadlines move."""

LOOK_AFTER = 0.05
"""Seconds after a connection was lost until it is seen whether its process has ended: that closes
its sockets a moment before."""

READS_OF_THE_LEFT = 8
"""How often a connection that was left is read once more: more than the kernel keeps of one."""

CLOSING_TIMEOUT = 0.5
"""How long the end waits for descriptors of others to be closed."""


class Broker:
    """Everything of one broker but the process it runs in.

    Run it by `while not broker.finished: broker.turn(broker.wait())`.  Orders come through the
    mailbox, which is the only part of it that other threads may touch.
    """

    def __init__(self, path: Path, limits: Limits, access: AccessList, mailbox: Mailbox) -> None:
        """Listen at `path`.  Raises what `listen` does."""
        self._limits = limits
        self._poller = Poller()
        self.door = Door(path, limits, self._poller)
        self.router = Router(limits, access, self.door.terms.epoch)
        self._parcels = self.router.parcels
        self._clock = self.router.clock
        self._descriptors = Descriptors()
        self.cut_off: Counter[str] = Counter()
        """How many proven connections were ended from here, by reason."""
        self._mailbox = mailbox
        self._clients = Clients(self._poller, self._left)
        self._now = time.monotonic()  # when the last turn began
        self._vigil = Vigil(limits.heartbeat_interval, limits.missed_heartbeats, self._now)
        self._look_after_at = math.inf  # when to see whose process has ended
        self._statistics_at = self._now  # when to tell what was counted
        self._drain_deadline: float | None = None  # once it has begun to end
        self._next_deadline = self._now  # when there is something to do by itself
        self._due_at = self._now  # when the next turn has to begin, whatever happens
        self._poller.watch(mailbox.fileno(), READABLE)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do but `close`."""
        if self._drain_deadline is None:
            return False
        return time.monotonic() >= self._drain_deadline or not any(
            session.pending for session in self._clients.sessions
        )

    def close(self) -> None:
        """Close every connection and the endpoint at once."""
        for client in self._clients:
            self._clients.close(client)
        self.door.close()
        self._poller.close()
        self._descriptors.close(self._parcels.released)
        self._descriptors.stop(CLOSING_TIMEOUT)

    def wait(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Sleep until something happens, a deadline passes, or `timeout` seconds have passed.

        Not at all while the last turn left something unfinished.
        """
        # Measured from the last turn: one look at the clock in a turn has to do.
        left = max(0.0, self._next_deadline - self._now)
        timeout = left if timeout is None else min(left, timeout)
        if self.router.unfinished or self.router.dirty:
            timeout = 0.0
        self._due_at = self._now + timeout
        return self._poller.poll(timeout)

    def turn(self, events: list[tuple[int, int]]) -> list[ChildWish]:
        """Do what there is to do; returns what the supervisor has to hear."""
        now_ns, now = time.time_ns(), time.monotonic()
        if now - self._due_at > GAP_SECONDS:
            self._stood_still(now - self._now)
        else:
            self._clock.pass_time(now - self._now)
        self._now = now
        deadlines_differ = False
        for session in self.router.next_turn():
            self._resume(session, now_ns)
        for fd, what in events:
            client = self._clients.at(fd)
            if client is not None:
                if what & WRITABLE and client.session is not None:
                    self.router.dirty.add(client.session)
                if what & ~WRITABLE:
                    self._read(client, now_ns)
            elif fd == self._mailbox.fileno():
                self._look_into_mailbox(now_ns)
                deadlines_differ = True
            else:
                self.door.accept(self._clients)
                deadlines_differ = True
        if self._clock.rings:
            self.router.keep_time(now_ns)
        if now >= self._next_deadline or self._mailbox.stop_asked:
            self._keep_time(now)
            deadlines_differ = True
        self._write_dirty()
        if self._parcels.released:
            self._descriptors.close(self._parcels.released)
        if (
            deadlines_differ
            or self._clients.stuck
            or self.router.uploads.expecting
            or self._clock.alarm_at != math.inf
        ):
            self._next_deadline = self._earliest_deadline()
        return self._handed_up()

    # ---- coming in ------------------------------------------------------------------------------

    def _resume(self, session: Session, now_ns: int) -> None:
        """Go on with what a client sent earlier; it may have gone since."""
        try:
            self.router.resume(session, now_ns)
        except (RemoteProtocolError, TooLarge) as error:
            client = self._clients.of(session)
            if client is not None:
                self._throw_out(client, error)
            else:
                self.router.close(session, _word_of(error))

    def _read(self, client: Client, now_ns: int) -> None:
        if client.session in self.router.unfinished:
            return  # its bytes wait in the kernel until it has its next turn
        passed: tuple[int, ...] = ()
        some_lost = False
        try:
            # Of everybody: a plain `recv` closes what comes along, which may take for ever.
            data, passed, some_lost = receive_with_descriptors(client.sock, self._limits.turn_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""  # reset by the peer: an end like any other
        client.watched.heard = True
        if not data:  # then nothing came along either
            if client.session is None:
                self.door.lose(client, self._clients)
            else:
                self._clients.close(client)
            return
        try:
            if passed or some_lost:
                self._take_in(client, passed, some_lost)
            frames = client.cutter.feed(data)
            if client.session is None:
                frames = self._receive_early(client, frames, now_ns)
            if client.session is not None:
                self.router.receive(client.session, frames, now_ns)
        except (RemoteProtocolError, TooLarge) as error:
            self._throw_out(client, error)

    def _take_in(self, client: Client, passed: tuple[int, ...], some_lost: bool) -> None:
        """Descriptors came with what was read.  Raises RemoteProtocolError."""
        if client.session is None or not client.passes_descriptors:
            self._descriptors.refuse(passed)
            return
        things = self._descriptors.take_in(passed, some_lost)
        self.router.uploads.came(client.session, things)
        self._descriptors.check(things)

    def _receive_early(self, client: Client, frames: list[bytes], now_ns: int) -> list[bytes]:
        """Take frames of the handshake; returns those that stand behind it."""

        def enter(client: Client, reception: Reception, welcome: Welcome) -> Welcome:
            return self._enter(client, reception, welcome, now_ns)

        return self.door.receive(client, frames, self._clients, enter)

    def _enter(
        self, client: Client, reception: Reception, welcome: Welcome, now_ns: int
    ) -> Welcome:
        """It is proven: give it a session, its old one if it can go on with that."""
        credential, proof = reception.credential, reception.proof
        assert credential is not None
        assert proof is not None
        identity = Identity(
            credential.identity,
            credential.role,
            credential.kind,
            reception.incarnation,
            client.peer.pid,
        )
        client.cutter.limit = self.router.limits.frame_bytes
        takes = replace(reception.carriage, max_payload_bytes=reception.max_payload_bytes)
        wanted = Return(proof.session, proof.received, proof.subscriptions)
        resumption, taken = Resumption.NONE, 0
        session = self.router.find(wanted, identity, credential.declared)
        if session is not None:
            self._take_over(session, now_ns)
            if session.standing is Standing.AWAY:
                resumption = self.router.go_on(session, wanted, takes)
        if session is None or resumption is Resumption.NONE:
            number = secrets.randbits(63) | 1 << 62
            session = self.router.open(identity, credential.declared, now_ns, takes, number)
        else:
            taken = session.publishing.messages
        self._clients.welcome(client, session)
        return replace(welcome, session=session.number, resumption=resumption, taken=taken)

    def _take_over(self, session: Session, now_ns: int) -> None:
        """A session goes on elsewhere: close the connection it still seems to have.

        What that has sent is read first, because its client has let go of it.
        """
        client = self._clients.of(session)
        for _ in range(READS_OF_THE_LEFT):
            if client is None or self._clients.of(session) is not client:
                return
            self._read(client, now_ns)
        if client is not None:
            self._clients.close(client)

    # ---- going out ------------------------------------------------------------------------------

    def _write_dirty(self) -> None:
        dirty, doomed, clients = self.router.dirty, self.router.doomed, self._clients
        if self._parcels.unread:
            self._read_parcels()
        unfinished: list[Session] = []
        while dirty:
            session = dirty.pop()
            client = clients.of(session)
            if client is not None and self._write(client, session):
                unfinished.append(session)
        while doomed:
            session, ending = doomed.popitem()
            client = clients.of(session)
            if client is not None:
                if ending != GOODBYE:
                    self._note_ending(session, ending.reason, f"is cut off: {ending.detail}")
                self._write(client, session)
                clients.close(client)
        dirty.update(unfinished)

    def _read_parcels(self) -> None:
        """Have in memory what came by descriptor and has to go in chunks."""
        for parcel in self._parcels.unread:
            if parcel.holders and parcel.content is None:
                parcel.content = Stored(parcel.descriptor, parcel.size)
        self._parcels.unread.clear()

    def _write(self, client: Client, session: Session) -> bool:
        """Whether there is more that the kernel may take, in the next turn."""
        limits = self._limits
        return self._clients.write(client, session, limits.turn_bytes, limits.write_timeout)

    # ---- endings --------------------------------------------------------------------------------

    def _throw_out(self, client: Client, error: BusError) -> None:
        """It broke the protocol: nothing it sends can be understood any more."""
        session = client.session
        if session is None:
            self.door.turn_away(client, self._clients, OUT_OF_ORDER, str(error))
            return
        reason = _word_of(error)
        self._note_ending(session, reason, f"broke the protocol: {error}")
        session.tell(Notice(OUT_OF_ORDER, detail=str(error)), self.router.limits)
        self.router.close(session, reason)
        self._write(client, session)
        self._clients.close(client)

    def _note_ending(self, session: Session, reason: str, text: str) -> None:
        self.cut_off[reason] += 1
        reason = f"{reason} of {session.identity.name}"
        self._clients.mishaps.note(reason, f"{session} {text}", logging.WARNING)

    def _left(self, client: Client) -> None:
        self.door.forget(client)
        if client.session is not None:
            self.router.park(client.session)
            self._look_after_at = min(self._look_after_at, self._now + LOOK_AFTER)
            self._next_deadline = min(self._next_deadline, self._look_after_at)

    # ---- time, orders, wishes -------------------------------------------------------------------

    def _stood_still(self, seconds: float) -> None:
        """Nobody was served for so long (we were stopped, suspended): all deadlines move."""
        self.door.lobby.shift(seconds)
        self._clients.shift(seconds)

    def _earliest_deadline(self) -> float:
        """When there is something to do although nobody sends anything.

        Looked for after whatever can bring a deadline nearer: a newcomer, an order, somebody who
        takes nothing, a deadline that has passed.  All else only moves them away.
        """
        unclaimed = self.router.uploads.seconds_left()
        deadlines = (
            None if unclaimed is None else self._now + unclaimed,
            self._vigil.next_at,
            self._look_after_at,
            self._statistics_at,
            self.door.next_deadline(),
            self._clients.next_deadline(),
            self._drain_deadline,
            self._now + self._clock.alarm_at - self._clock.now,
        )
        return min(at for at in deadlines if at is not None)

    def _keep_time(self, now: float) -> None:
        if now >= self._vigil.next_at:
            self._look_for_silent(now)
        if now >= self._look_after_at:
            self._look_for_ended()
        if now >= self._statistics_at:
            self._tell_statistics(now)
        self.door.keep_time(self._clients, now)
        self.router.uploads.give_up_overdue(self.router.unfinished)
        for client, session in self._clients.overdue(now):
            self._write(client, session)  # the kernel tells only when most of its buffer is free
            if client.is_overdue(now):
                self._note_ending(session, "stuck", "reads nothing: closed")
                self.router.close(session, "stuck")
                self._clients.close(client)
        if self._mailbox.stop_asked and self._drain_deadline is None:
            self._begin_to_stop(now)

    def _look_for_silent(self, now: float) -> None:
        watched: list[tuple[Session, Watched]] = []
        for client in self._clients:
            if client.session is not None:
                # What it has sent may still be in the kernel because we had no time for it.
                client.watched.heard |= client.session in self.router.unfinished
                watched.append((client.session, client.watched))
        silence = self._vigil.look(watched, now)
        for session in silence.asked:
            self.router.tell(session, Ping())
        self._look_for_ended()
        for session in silence.lost:
            limits = self.router.limits
            seconds = limits.missed_heartbeats * limits.heartbeat_interval
            detail = f"nothing came from it in {seconds:g} s"
            self.router.cut_off(session, Ending("heartbeat", detail))

    def _look_for_ended(self) -> None:
        """Wait no longer for sessions whose process has ended; how a child did, is an order."""
        self._look_after_at = math.inf
        for session in self.router.missing:
            who = session.identity
            if has_ended(who.pid):
                credential = self.door.keyring.find(who.name, who.incarnation)
                is_child = credential is not None and credential.incarnation == who.incarnation
                self.router.bury(session, is_explained=is_child)

    def _tell_statistics(self, now: float) -> None:
        interval = self.router.limits.statistics_interval
        self._statistics_at = (now // interval + 1) * interval
        if self.router.is_heard(STATISTICS):
            message = self.statistics().message(time.time())
            self.router.announce(STATISTICS, message, time.time_ns())

    def _begin_to_stop(self, now: float) -> None:
        limits = self.router.limits
        self._drain_deadline = now + limits.drain_timeout
        self.door.close()
        for client in self.door.lobby:
            self.door.turn_away(client, self._clients, BUSY, "the broker is ending")
        for session in self._clients.sessions:
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
                self.door.keyring.admit(credential)
            case Ended(identity, incarnation, cause):
                self.door.keyring.withdraw(identity, incarnation)
                self.router.end(identity, incarnation, cause)
            case Say():
                try:
                    self.router.say(
                        order.topic,
                        order.payload,
                        now_ns,
                        content_type=order.content_type,
                        target=order.target,
                        retain=order.retain,
                    )
                except BusError as error:
                    self.router.count_refusal(error)
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
        self._limits = limits
        self.set_clients(order.clients)
        self.door.set_limits(limits)
        self._vigil.keep(limits.heartbeat_interval, limits.missed_heartbeats, self._now)
        self.router.set_rules(limits, access)

    def set_clients(self, clients: tuple[Credential, ...]) -> None:
        """Let these in, besides children and the operator; who is none of them any more goes."""
        for name in self.door.keyring.replace_clients(clients):
            self.router.end(name, 0, "it is no client of the configuration any more")
        self.router.directory.expected = {
            each.identity: (Identity(each.identity, each.role, each.kind), each.declared)
            for each in clients
        }

    def statistics(self) -> Statistics:
        """Everything that was counted; as dear as the router's."""
        turned_away, cut_off = dict(self.door.counted), dict(self.cut_off)
        return replace(self.router.statistics(), turned_away=turned_away, cut_off=cut_off)

    def _handed_up(self) -> list[ChildWish]:
        wishes: list[ChildWish] = []
        while self.router.handed_up:
            try:
                wishes.append(child_wish(self.router.handed_up.popleft()))
            except RemoteProtocolError as error:
                self.router.count_refusal(error)
                self._clients.mishaps.note("bad-wish", str(error), logging.WARNING)
        return wishes


def _word_of(error: BusError) -> str:
    """Why a session is over that broke the protocol."""
    return OVERSIZE if isinstance(error, TooLarge) else OUT_OF_ORDER
