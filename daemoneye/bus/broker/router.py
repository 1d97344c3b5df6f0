"""Frames in, deliveries out: the middle of the broker.  Pure.

The border is drawn around whole turns, because that costs nothing: `receive` takes the frames of
one read of one client, joins consecutive ones that go to the same recipients to one run, and
queues that run at each of them.  Who now has something to write stands in `dirty`, who has to be
cut off in `doomed`, and what the supervisor has to hear in `handed_up`; the shell drains all
three after each turn.  What a turn had no time for is `unfinished`, and first in the next.

A publish without wishes (no receipt, target, expiry …) is the fast path: read the outer frame,
look up the route, compare the sequence, append the stamp.  Everything else goes the slow way, one
frame, one run (`admission`).  What is refused costs the publisher an answer or a notice, never its
session; only bytes that break the protocol do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from daemoneye.bus.access import AccessList, Declared, Identity
from daemoneye.bus.broker.admission import Admission
from daemoneye.bus.broker.agenda import WORK_IN_A_TURN, Agenda
from daemoneye.bus.broker.announcements import Announcements
from daemoneye.bus.broker.away import Away
from daemoneye.bus.broker.calls import Calls
from daemoneye.bus.broker.deliveries import (
    CONFIRM_EVERY,
    Deliveries,
    Ending,
    Joining,
)
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.dispatch import Dispatch
from daemoneye.bus.broker.requests import Requests
from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.broker.statistics import Statistics
from daemoneye.bus.broker.streams import DISCONNECTED, Tally
from daemoneye.bus.broker.uploads import Uploads
from daemoneye.bus.broker.wills import Last
from daemoneye.bus.broker.wishes import HandedUp
from daemoneye.bus.frames import (
    CALL,
    LAST_SEQUENCE,
    MIN_MESSAGE_BYTES,
    PUBLISH,
    Carriage,
    Chunk,
    Heading,
    NotAFrame,
    Notice,
    OuterFrame,
    Payload,
    Resumption,
    Value,
    arrival_stamp,
    client_value,
    encode_payload,
    encode_publish,
    read_outer,
)
from daemoneye.bus.handshake import Return
from daemoneye.bus.limits import Limits
from daemoneye.bus.roles import AGENT
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.errors import BusError, RemoteProtocolError

_WITH_A_BATCH = (PUBLISH, CALL)
"""Kinds of frame whose body the broker does not look into."""

SUPERVISOR = "supervisor"


class Router:
    """All that the broker knows and decides."""

    __slots__ = (
        "_admission",
        "_announcements",
        "_away",
        "_calls",
        "_deliveries",
        "_dispatch",
        "_requests",
        "_supervisor",
        "clock",
        "directory",
        "dirty",
        "doomed",
        "handed_up",
        "parcels",
        "unfinished",
        "uploads",
    )

    def __init__(self, limits: Limits, access: AccessList, epoch: int) -> None:
        self.directory = Directory(limits, access)
        self.handed_up: deque[HandedUp] = deque()
        """Wishes for the supervisor: the shell empties this."""
        self.unfinished = Agenda()
        """Sessions whose frames wait for the next turn: read no more of them until then."""
        self._deliveries = Deliveries(self.directory)
        self.dirty = self._deliveries.dirty
        """Sessions that may have something to write: the shell empties this."""
        self.doomed = self._deliveries.doomed
        """Sessions that are over and whose connection has to be closed: the shell empties this.

        What `take` still gives may be written first: last words.
        """
        self.clock = self.directory.clock
        """What deadlines are measured by: the shell has its time pass."""
        self.parcels = self.directory.backlog.parcels
        """Large payloads: the shell reads what is `unread`, and closes what is `released`."""
        self._dispatch = Dispatch(self.directory, self._deliveries)
        self._calls = Calls(self.directory, self._deliveries)
        self._requests = Requests(self.directory, self._deliveries, self._dispatch, self._calls)
        self._away = Away(self.directory, self._deliveries)
        self.uploads = Uploads(self.directory, self._deliveries)
        """What comes ahead of publishes: the shell says what came, and ends what is overdue."""
        speaker = Identity(SUPERVISOR, AGENT, incarnation=epoch)
        self._admission = Admission(
            self.directory, self._deliveries, self.uploads, self._dispatch, self.handed_up
        )
        self._supervisor = Session(speaker, Declared(), self.directory.backlog, 0)
        self._announcements = Announcements(self.directory, self._deliveries, epoch)

    # ---- sessions -----------------------------------------------------------------------------

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self.directory.limits

    def open(
        self,
        identity: Identity,
        declared: Declared,
        now_ns: int,
        carriage: Carriage = NO_CARRIAGE,
        number: int = 0,
    ) -> Session:
        """A client has proved who it is, and takes large payloads so.

        With a `number` that nobody can guess it may go on with its session over another connection.
        """
        return self.directory.enter(identity, declared, now_ns, carriage, number)

    def find(self, wanted: Return, identity: Identity, declared: Declared) -> Session | None:
        """The session that a client wants to go on with, if it may; it may have a connection."""
        return self._away.find(wanted, identity, declared)

    def go_on(self, session: Session, wanted: Return, carriage: Carriage) -> Resumption:
        """A session that was parked has another connection.

        Whether it is complete; NONE: it is over, and what was said of it made no sense.
        """
        self.unfinished.take(session)
        resumption = self._away.resume(session, wanted, carriage)
        if session in self.directory.replays:
            self.unfinished.keep(session, [])  # what its subscription was to be sent still is
        return resumption

    def park(self, session: Session) -> None:
        """The connection is lost, and may come back; harmless when the session is over already."""
        if session.standing is Standing.PRESENT:
            self._away.park(session)
        self.uploads.forget(session)
        self._settle()

    def close(self, session: Session, cause: str = DISCONNECTED) -> None:
        """The connection is gone for good; harmless when the session is over already."""
        self._deliveries.release(session, cause)
        self.uploads.forget(session)
        self._settle()

    @property
    def missing(self) -> list[Session]:
        """Those that may come back, or are waited for with a will: the shell looks after them."""
        return list(
            {**dict.fromkeys(self.directory.away), **dict.fromkeys(self.directory.wills.waiting)}
        )

    def bury(self, session: Session, *, is_explained: bool) -> None:
        """Its process has ended, so nobody comes back; with `is_explained`, `end` will say why."""
        self.close(session)
        if not is_explained:
            self.directory.wills.hurry(session)

    def end(self, identity: str, incarnation: int, cause: str) -> None:
        """That incarnation is over: its sessions are doomed, everything of theirs released.

        0 is every incarnation of that identity.
        """
        which = f"incarnation {incarnation}" if incarnation else identity
        for session in self.directory.named(identity):
            if incarnation in (0, session.identity.incarnation):
                ending = Ending("ended", f"{which} ended: {cause}", cause)
                self._deliveries.condemn(session, ending)
        self._settle()
        self.directory.presence.ended(identity, incarnation, cause)
        self.directory.wills.ended(identity, incarnation, cause)

    def cut_off(self, session: Session, ending: Ending) -> None:
        """The session is over by the shell's word, and its connection doomed."""
        self._deliveries.condemn(session, ending)
        self._settle()

    def set_rules(self, limits: Limits, access: AccessList) -> None:
        """Replace limits and access list; what is no longer allowed ends with a notice."""
        for session, subscription, decision in self.directory.replace_rules(limits, access):
            notice = Notice(
                "unsubscribed",
                topic=subscription.filter.text,
                detail="the access list has changed",
                rule=decision.rule,
                subscription=subscription.number,
            )
            self._deliveries.tell(session, notice)
            self.directory.reports.denied(
                session.identity.name, "receive", notice.topic, notice.rule
            )
        self.dirty.update(self.directory)
        self._settle()

    def tell(self, session: Session, value: Value) -> None:
        """Say something of the broker's own: a ping, a notice."""
        self._deliveries.tell(session, value)
        self._settle()

    def statistics(self) -> Statistics:
        """Everything counted; walks all sessions, so ask once a second, not more."""
        total = Tally.empty()
        total.add(self._deliveries.past)
        published = self._deliveries.published
        published += self._supervisor.publishing.messages + self._announcements.heard
        for session in self.directory:
            total.add(session.outbox.tally())
            published += session.publishing.messages
        groups, work = self.directory.groups, self.directory.groups.work()
        queued = total.queued  # what groups have lost was offered to no stream
        total.lost.update(work.lost)
        return Statistics(
            clients=len(self.directory),
            away=len(self.directory.away),
            subscriptions=self.directory.subscriptions,
            published=published,
            delivered=total.delivered,
            lost=dict(total.lost),
            refused=dict(self._deliveries.refusals),
            queued=queued,
            queued_bytes=self.directory.backlog.bytes,
            large_bytes=self.parcels.bytes,
            large_descriptors=self.parcels.descriptors,
            postponed=self.unfinished.postponed,
            groups=len(groups),
            handled=work.handled,
            group_waiting=sum(each.waiting for each in groups),
            group_in_flight=len(groups.in_flight),
            group_bytes=groups.room.bytes,
            calls=self._calls.taken,
            replies=self._calls.replies,
            failed=dict(self._calls.failed),
        )

    def _settle(self) -> None:
        """Cut off who has to go; others get, or are told, what they had in hand."""
        self._deliveries.settle()
        while self.directory.groups.due or self.directory.servers.happened:
            self._dispatch.run()
            self._calls.run()
            self._deliveries.settle()

    # ---- time ---------------------------------------------------------------------------------

    def keep_time(self, now_ns: int) -> None:
        """Do what is due; `now_ns` is Unix time in ns."""
        self.clock.reset()
        self._away.keep_time()
        self._dispatch.keep_time()
        while self._dispatch.dead:
            self._announcements.bury(self._dispatch.dead.popleft(), now_ns)
        for last in self.directory.wills.due():
            self._send_will(last, now_ns)
        self._announcements.tell_news(now_ns)
        self._calls.keep_time()
        self._settle()

    def _send_will(self, last: Last, now_ns: int) -> None:
        """Publish what a client wanted said, if it may still say so."""
        publishing = last.session.publishing
        topic = last.will.topic
        try:
            route = self._admission.route(last.session, topic)
            sequence = min(route.sequence, LAST_SEQUENCE) + 1  # there is always one to refuse
            raw = encode_publish(last.heading, [last.will.payload], [now_ns], sequence)
            stamp = publishing.stamp + arrival_stamp(now_ns)
            # There is nobody to try again with a key: who can take it gets it.
            self._admission.admit(last.session, read_outer(raw), raw, stamp, whole=False)
            # Who comes back numbers on from what it has said itself.
            route.sequence = sequence - 1
        except BusError as error:
            self._deliveries.note_refusal(last.session, error, "publish", topic)
        self._deliveries.published += 1

    # ---- frames in ----------------------------------------------------------------------------

    def next_turn(self) -> list[Session]:
        """A turn of the shell begins; the sessions to `resume`, in this order."""
        waiting = self.unfinished.next_turn()
        if not waiting:
            return waiting
        for session in waiting:
            if session not in self.directory:
                self.unfinished.take(session)
        return [session for session in waiting if session in self.unfinished]

    def resume(self, session: Session, now_ns: int) -> None:
        """Take the frames that waited for this turn.  Raises what `receive` does."""
        frames, replays = self.unfinished.take(session), self.directory.replays
        if session in replays and replays[session].go_on():
            self.unfinished.keep(session, frames)
            self._deliveries.settle()
            return
        replays.pop(session, None)
        self.receive(session, frames, now_ns)

    def receive(self, session: Session, frames: Iterable[bytes], now_ns: int) -> None:
        """Take the frames of one turn; what is too much work for it waits, in order.

        Nothing behind a goodbye, or behind what costs a session its connection, is looked at.
        Raises RemoteProtocolError when they break the protocol, and TooLarge for a parcel past
        the limit; what stood before is delivered, and the session has to be closed.
        """
        if session in self.doomed:
            return
        publishing, directory = session.publishing, self.directory
        routes, max_bytes = publishing.routes, self.limits.frame_bytes
        stamp = publishing.stamp + arrival_stamp(now_ns)
        joining = Joining(self._deliveries, session.identity.name, stamp)
        add = joining.add
        following, left = iter(frames), WORK_IN_A_TURN
        try:
            for raw in following:
                frame = read_outer(raw)
                if frame.kind == PUBLISH:
                    topic, count, sequence = frame.topic, frame.count, frame.sequence
                    route = routes.get(topic)
                    if (
                        route is not None
                        and route.generation == directory.generation
                        and route.plain
                        and route.sequence < sequence
                        and 0 < count * MIN_MESSAGE_BYTES <= len(raw) <= max_bytes
                        and not (frame.request or frame.target or frame.expires_at)
                        and not (frame.guarantee or frame.retain)
                        and not (frame.descriptors or frame.large_bytes)
                    ):
                        route.sequence = sequence + count - 1
                        publishing.messages += count
                        add(route, raw, count, topic)
                        continue
                value = None if frame.kind in _WITH_A_BATCH else client_value(frame)
                left = self.unfinished.spend(left, session, value)
                if left < 0:
                    self.unfinished.keep(session, [raw, *following])
                    break
                joining.flush()
                if value is None:
                    left -= self._take(session, frame, raw, stamp, now_ns)
                else:
                    left -= self._obey(session, value, now_ns)
                if self._is_done_with(session, following):
                    break
        except NotAFrame as error:
            raise RemoteProtocolError(f"bytes that are no frame: {error}") from error
        except Exception as error:  # that of a bug ends this broker, and is looked for
            error.add_note(f"while it took frames of {session}")
            raise
        finally:
            joining.flush()
            if publishing.messages - publishing.confirmed >= CONFIRM_EVERY:
                self._deliveries.confirm(session)
            self._deliveries.settle()
            if directory.groups.due or directory.servers.happened:
                self._settle()

    def _is_done_with(self, session: Session, following: Iterable[bytes]) -> bool:
        """Whether no more of its frames is looked at in this turn; those that follow are kept.

        It has to go, or values are on their way to it.
        """
        if self._deliveries.is_condemned(session):
            return True
        if session not in self.directory.replays:
            return False
        self.unfinished.keep(session, list(following))
        return True

    def _take(
        self, session: Session, frame: OuterFrame, raw: bytes, stamp: bytes, now_ns: int
    ) -> int:
        """Take a call, or a publish that is not plain; how much more work that was than usual."""
        if frame.kind == CALL:
            self._calls.call(session, frame, raw, stamp, now_ns)
            return self._calls.extra_work
        self._admission.publish(session, frame, raw, stamp)
        return self._admission.extra_work

    def _obey(self, session: Session, value: Value, now_ns: int) -> int:
        """Do what a client says; how much more work that was than usual."""
        if type(value) is Chunk:
            self.uploads.take(session, value)
            return 0
        self._requests.obey(session, value, now_ns)
        return self._requests.extra_work

    def say(
        self,
        topic: str,
        payload: Payload,
        now_ns: int,
        *,
        content_type: str = "",
        target: str = "",
        retain: bool = False,
    ) -> int:
        """Publish as `supervisor`; how many sessions took it.

        Raises InvalidTopic, AccessDenied, TooLarge, LocalProtocolError, and BusError when what is
        to be retained finds no room.
        """
        content, found_type = encode_payload(payload)
        session = self._supervisor
        heading = Heading(
            topic, target=target, content_type=content_type or found_type, retain=retain
        )
        sequence = self._admission.route(session, topic).sequence + 1
        raw = encode_publish(heading, [content], [now_ns], sequence)
        stamp = session.publishing.stamp + arrival_stamp(now_ns)
        subscribers = self._admission.admit(session, read_outer(raw), raw, stamp)
        session.publishing.messages += 1
        self._settle()
        return subscribers

    def is_heard(self, topic: str) -> bool:
        """Whether anybody would get what is published there."""
        return bool(self.directory.listeners(topic))

    def announce(self, topic: str, payload: Payload, now_ns: int) -> None:
        """Publish as `broker`, where nobody else may: below `$bus`."""
        self._announcements.say(topic, payload, now_ns)
        self._settle()

    def count_refusal(self, error: BusError) -> None:
        """The shell could not do what somebody wanted."""
        self._deliveries.count_refusal(error)
