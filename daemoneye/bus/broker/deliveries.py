"""Runs on their way into outboxes, and who has to be written to or cut off for it.  Pure."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from daemoneye.bus.broker.answers import refusal
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.parcels import Parcel
from daemoneye.bus.broker.routes import Recipients, Route
from daemoneye.bus.broker.runs import Run, make_run
from daemoneye.bus.broker.session import Session
from daemoneye.bus.broker.shares import offer_large
from daemoneye.bus.broker.shedding import Shedding
from daemoneye.bus.broker.statistics import DENIED, reason_of
from daemoneye.bus.broker.streams import OVERFLOW, Stream, Tally
from daemoneye.bus.broker.wills import CLEAN
from daemoneye.bus.frames import Confirm, Notice, Value, parcel_stamp
from daemoneye.bus.topics import MAX_CHARACTERS
from daemoneye.errors import AccessDenied, BusError
from daemoneye.framing import pack, pack_length


class Ending(NamedTuple):
    """Why a session is over although its connection is not."""

    reason: str
    """A word of `docs/wire.md`."""
    detail: str = ""
    """For a person."""
    cause: str = ""
    """How its process ended, when that is known; empty: the reason is all there is."""


GOODBYE = Ending(CLEAN)
"""It asked for it."""

TOO_MANY_STREAMS = Ending(
    "streams",
    "its overlapping filters make more streams than are kept: read faster, or use fewer filters",
)
"""Its filters match topics in too many combinations."""

UNREAD = "unread"
"""It does not read answers and notices; for one that may not miss events it is OVERFLOW."""

CONFIRM_EVERY = 1024
"""A publisher is told after so many messages how many were taken; a ping tells it too."""

REFUSED = "refused"
"""The notice of what was refused for another reason than a rule."""


class Deliveries:
    """Puts runs and the broker's own frames into outboxes.

    Whoever has to go is cut off by `settle`, at the end of a turn, so that no run of the turn
    meets an outbox that is closed.
    """

    __slots__ = (
        "_directory",
        "_failing",
        "_runs",
        "dirty",
        "doomed",
        "past",
        "published",
        "refusals",
    )

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._runs = 0
        self._failing: dict[Session, Ending] = {}
        self.dirty: set[Session] = set()
        """Sessions that may have something to write."""
        self.doomed: dict[Session, Ending] = {}
        """Sessions that are over and whose connection has to be closed."""
        self.past = Tally.empty()
        """What was counted for sessions that are no more."""
        self.published = 0
        """How many messages those had published."""
        self.refusals: Counter[str] = Counter()
        """How many frames were, by reason."""

    def deliver(
        self,
        recipients: Recipients,
        data: bytes,
        messages: int,
        origin: tuple[str, str],
        expires_at: int = 0,
    ) -> None:
        """Queue one run at each recipient."""
        self._runs += 1
        run = make_run((self._runs, data, messages, expires_at, origin, None))
        limits, dirty = self._directory.limits, self.dirty
        for session, stream in recipients:
            cause = session.outbox.offer(stream, run, limits)
            dirty.add(session)
            if cause:
                self._failing[session] = Ending(OVERFLOW, cause)
        if self._directory.backlog.bytes > limits.outbound_bytes:
            self._shed()

    def deliver_large(
        self,
        recipients: Recipients,
        parcel: Parcel,
        frame: bytes,
        origin: tuple[str, str],
        expires_at: int = 0,
    ) -> None:
        """Queue a publish at each recipient whose payload goes ahead of it.

        `frame` is stamped with everything but the way it goes, which is the recipient's.
        """
        data = parcel.publish = pack(frame + parcel_stamp(parcel.number, descriptors=0))
        self._runs += 1
        run = make_run((self._runs, data, 1, expires_at, origin, parcel))
        limits = self._directory.limits
        for session, stream in recipients:
            outbox = session.outbox
            cause = offer_large(outbox, stream, run, limits)
            self.dirty.add(session)
            if cause:
                self._failing[session] = Ending(OVERFLOW, cause)
            if parcel.content is None and not outbox.holding.passes(parcel):
                self._directory.backlog.parcels.unread.append(parcel)

    def next_number(self) -> int:
        """The number of a run that is made elsewhere, and given to one client with `give`."""
        self._runs += 1
        return self._runs

    def give(self, session: Session, stream: Stream, run: Run) -> None:
        """Queue a run at one client."""
        limits = self._directory.limits
        cause = session.outbox.offer(stream, run, limits)
        self.dirty.add(session)
        if cause:
            self._failing[session] = Ending(OVERFLOW, cause)
        if self._directory.backlog.bytes > limits.outbound_bytes:
            self._shed()

    def replay(
        self,
        recipient: tuple[Session, Stream],
        data: bytes,
        origin: tuple[str, str],
        expires_at: int,
    ) -> None:
        """Queue a retained value at the one it is said again to; without room there, it is lost."""
        session, stream = recipient
        self._runs += 1
        run = make_run((self._runs, data, 1, expires_at, origin, None))
        if stream.has_room_for(run):
            session.outbox.offer(stream, run, self._directory.limits)
        else:
            session.outbox.refuse(stream, run, OVERFLOW)
        self.dirty.add(session)

    def lose(self, recipient: tuple[Session, Stream], messages: int) -> None:
        """So many messages find no room there; they are lost, and it is told soon."""
        session, stream = recipient
        self._runs += 1
        run = make_run((self._runs, b"", messages, 0, ("", ""), None))
        session.outbox.refuse(stream, run, OVERFLOW)
        self.dirty.add(session)

    def tell(self, session: Session, value: Value) -> None:
        """Queue a frame of the broker's own."""
        directory = self._directory
        cause = session.tell(value, directory.limits)
        self.dirty.add(session)
        if cause:
            self._failing[session] = Ending(UNREAD, cause)
        if directory.backlog.bytes > directory.limits.outbound_bytes:
            self._shed()

    def confirm(self, session: Session) -> None:
        """Tell a publisher how many of its messages were taken, if that is news."""
        publishing = session.publishing
        if publishing.messages > publishing.confirmed:
            publishing.confirmed = publishing.messages
            self.tell(session, Confirm(publishing.messages))

    def count_refusal(self, error: BusError) -> None:
        """One frame more is refused for this."""
        self.refusals[reason_of(error)] += 1

    def note_refusal(self, session: Session, error: BusError, action: str, topic: str) -> None:
        """Count what is refused to a client, and report it when that is for want of a right.

        `action` is what it wanted to do with the topic; empty: nothing that there are rights for.
        """
        self.count_refusal(error)
        if action and isinstance(error, AccessDenied):
            self._directory.reports.denied(session.identity.name, action, topic, error.rule)

    def tell_refusal(
        self, session: Session, request: int, error: BusError, topic: str = "", more: str = ""
    ) -> None:
        """Answer it, or say so in a notice, with some `more`, when nobody waits for an answer."""
        said = refusal(request, error)
        if request:
            self.tell(session, said)
            return
        code, detail = DENIED if said.rule else REFUSED, f"{said.error}: {said.detail}{more}"
        self.tell(session, Notice(code, topic[:MAX_CHARACTERS], detail, said.rule))

    def refuse(
        self, session: Session, request: int, error: BusError, action: str = "", topic: str = ""
    ) -> None:
        """Count, report and tell that something is refused."""
        self.note_refusal(session, error, action, topic)
        self.tell_refusal(session, request, error, topic)

    def condemn(self, session: Session, ending: Ending) -> None:
        """The session has to go at the end of this turn."""
        self._failing[session] = ending

    def is_condemned(self, session: Session) -> bool:
        """Whether it has to go at the end of this turn: it is not obeyed any more."""
        return session in self._failing

    def settle(self) -> None:
        """Cut off who has to go, with a last word that says why."""
        for session in self._directory.overgrown:
            self.condemn(session, TOO_MANY_STREAMS)
        while self._failing:
            session, ending = self._failing.popitem()
            if session not in self._directory:
                continue
            if ending != GOODBYE:
                detail = f"{ending.reason}: {ending.detail}"
                session.tell(Notice("cut-off", detail=detail), self._directory.limits)
            self.release(session, ending.cause or ending.reason)
            self.doomed[session] = ending

    def release(self, session: Session, cause: str) -> None:
        """The session is over, for this cause; harmless when it is already."""
        if session in self._directory:
            self._directory.leave(session)
            self._directory.presence.left(session, cause)
            self._directory.wills.left(session, cause, self._directory.limits.will_timeout)
            self._directory.reports.left(session)
            self.past.add(session.outbox.tally())
            self.published += session.publishing.messages
            self.dirty.discard(session)

    def make_room(self, size: int) -> None:
        """If so much more has none, have identities pay for it that have more than their share."""
        excess = self._directory.backlog.bytes + size - self._directory.limits.outbound_bytes
        if excess > 0:
            shedding = self._shedding()
            shedding.shed_overgrown(excess)
            self._take_note(shedding)

    def _shed(self) -> None:
        """All clients together have too much waiting."""
        shedding = self._shedding()
        shedding.shed()
        self._take_note(shedding)

    def _shedding(self) -> Shedding:
        staying = [session for session in self._directory if session not in self._failing]
        return Shedding(staying, self._directory.limits.outbound_bytes)

    def _take_note(self, shedding: Shedding) -> None:
        self.dirty |= shedding.touched
        for session, cause in shedding.condemned.items():
            self._failing[session] = Ending(OVERFLOW, cause)


class Joining:
    """The run that is being joined of one publisher's consecutive frames."""

    __slots__ = ("_deliveries", "_messages", "_name", "_parts", "_recipients", "_stamp", "_topic")

    def __init__(self, deliveries: Deliveries, name: str, stamp: bytes) -> None:
        self._deliveries = deliveries
        self._name = name
        self._stamp = stamp
        self._topic = ""
        self._recipients: Recipients = ()
        self._parts: list[bytes] = []
        self._messages = 0

    def add(self, route: Route, raw: bytes, count: int, topic: str) -> None:
        """One frame more, for the recipients of this route."""
        recipients = route.recipients
        if recipients is not self._recipients or self._messages >= route.run_messages:
            self.flush()
            self._recipients = recipients
            self._topic = topic
        if recipients:
            self._messages += count
            stamp = self._stamp
            self._parts += (pack_length(len(raw) + len(stamp)), raw, stamp)

    def flush(self) -> None:
        """Deliver what is joined so far."""
        if self._messages:
            data, messages = b"".join(self._parts), self._messages
            self._parts.clear()
            self._messages = 0
            self._deliveries.deliver(self._recipients, data, messages, (self._name, self._topic))
        self._recipients = ()
