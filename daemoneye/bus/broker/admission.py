"""One publish at a time, with everything that can be asked of it: rights, receipts, targets.  Pure.

The router takes plain publishes by itself; what comes here is looked at whole, costs a publisher
an answer or a notice when it is refused, and never its session.  First it is decided what becomes
of a publish (`Admitted`): up to there it can be refused, and nobody has been sent any of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from daemoneye.bus.broker.deliveries import Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.dispatch import NO_OFFER, Dispatch, Offer
from daemoneye.bus.broker.jobs import Pledge
from daemoneye.bus.broker.parcels import Parcel
from daemoneye.bus.broker.retained import Kept, value_of
from daemoneye.bus.broker.routes import Recipients, Route
from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES
from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.broker.shedding import lack_of_share
from daemoneye.bus.broker.uploads import Uploads
from daemoneye.bus.broker.wishes import WISH_TOPICS, HandedUp, wishes_of
from daemoneye.bus.frames import MIN_MESSAGE_BYTES, Answer, OuterFrame, Overflow
from daemoneye.bus.topics import check_topic
from daemoneye.errors import AccessDenied, BackPressure, BusError, TooLarge
from daemoneye.framing import pack_length

LOOKED_AT_FOR_ONE = 16
"""So many subscriptions that are asked what they want cost as much as one frame."""

OPENED_FOR_ONE = 2
"""The same of messages that are opened for groups."""


class Admitted(NamedTuple):
    """A publish that is let in, and what becomes of it."""

    route: Route
    """Its publisher's, on its topic."""
    value: Kept | None
    """What is retained of it."""
    wishes: Sequence[HandedUp] = ()
    """For the supervisor, and then for nobody else."""
    recipients: Recipients = ()
    """Whose subscriptions it goes to."""
    missed: int = 0
    """How many of these are not there and have no room for it."""
    offer: Offer = NO_OFFER
    """What groups make of it."""
    parcel: Parcel | None = None
    """Its payload, when that came ahead of it."""


class Admission:
    """Lets publishes in, or says why not."""

    __slots__ = (
        "_deliveries",
        "_directory",
        "_dispatch",
        "_handed_up",
        "_uploads",
        "extra_work",
    )

    def __init__(
        self,
        directory: Directory,
        deliveries: Deliveries,
        uploads: Uploads,
        dispatch: Dispatch,
        handed_up: deque[HandedUp],
    ) -> None:
        self._directory = directory
        self._deliveries = deliveries
        self._dispatch = dispatch
        self._uploads = uploads
        self._handed_up = handed_up
        self.extra_work = 0
        """What the last publish cost beyond its frame, as the agenda counts."""

    def publish(self, session: Session, frame: OuterFrame, raw: bytes, stamp: bytes) -> None:
        """The slow path: everything is looked at, and a receipt is given if one is wanted."""
        self.extra_work = 0
        is_large = frame.large_bytes or frame.descriptors
        parcel = self._uploads.claim(session, frame) if is_large else None
        possible = 0 < frame.count * MIN_MESSAGE_BYTES <= len(raw)
        session.publishing.messages += frame.count if possible else 1
        pledge = Pledge(session, frame.request) if frame.until_handled and frame.request else None
        try:
            subscribers = self.admit(session, frame, raw, stamp, parcel, pledge)
        except BusError as error:
            self._refuse(session, frame, error)
        else:
            if pledge is not None:
                pledge.subscribers = subscribers  # told when all of them have handled it
            elif frame.request:
                self._deliveries.tell(session, Answer(frame.request, subscribers=subscribers))
        if is_large:
            self._uploads.let_go(parcel)
            self._deliveries.confirm(session)  # at once: what it sends next depends on it

    def admit(
        self,
        session: Session,
        frame: OuterFrame,
        raw: bytes,
        stamp: bytes,
        parcel: Parcel | None = None,
        pledge: Pledge | None = None,
        *,
        whole: bool = True,
    ) -> int:
        """Deliver one frame; how many took it.  Raises the BusError that says why not.

        `parcel` is the payload that came ahead of it, if one did and could be kept; the `pledge` is
        that its publisher will be told when groups have handled it.  When it has to be delivered
        it is refused for a group that cannot take it, unless it need not be `whole`.
        """
        admitted = self._decide(session, frame, raw, stamp, parcel, pledge, whole=whole)
        return self._take(admitted, session, frame, raw, stamp, pledge)

    def _decide(
        self,
        session: Session,
        frame: OuterFrame,
        raw: bytes,
        stamp: bytes,
        parcel: Parcel | None,
        pledge: Pledge | None,
        *,
        whole: bool,
    ) -> Admitted:
        """What becomes of a publish.  Raises the BusError that says why nothing does."""
        topic, name = frame.topic, session.identity.name
        route = self.route(session, topic)
        if route.decision is not None:
            raise AccessDenied(
                f"{name} may not publish on {topic}",
                rule=route.decision.rule,
                hint=route.decision.hint,
            )
        route.check(frame, len(raw), self._directory.limits)
        value = self._value(session, frame, stamp) if frame.retain else None
        is_large = bool(frame.large_bytes or frame.descriptors)
        recipients: Recipients = route.recipients
        if route.selective:
            recipients, looked_at = self._directory.selected(route, frame)
            self.extra_work += looked_at // LOOKED_AT_FOR_ONE
        if frame.target:
            if topic in WISH_TOPICS and not self._directory.named(frame.target):
                return Admitted(route, value, self._wishes(frame, name, is_large))
            recipients = tuple(each for each in recipients if each[0].identity.name == frame.target)
        groups = route.groups if not frame.target else ()
        offer = NO_OFFER
        if groups or pledge is not None:
            offer = self._dispatch.offer(groups, frame, raw, stamp, name, whole=whole)
            self.extra_work += offer.work // OPENED_FOR_ONE
        missed = 0
        if frame.request:
            missed = self._check_room(recipients, frame.count, len(raw) + len(stamp), is_large)
            self._dispatch.check_room(offer)
        if is_large:
            parcel = self._uploads.admit(parcel, frame)
        return Admitted(route, value, (), recipients, missed, offer, parcel)

    def _take(
        self,
        admitted: Admitted,
        session: Session,
        frame: OuterFrame,
        raw: bytes,
        stamp: bytes,
        pledge: Pledge | None,
    ) -> int:
        """Do what was decided; how many took it."""
        route, value, wishes, recipients, missed, offer, parcel = admitted
        route.sequence = frame.sequence + frame.count - 1
        if value is not None:
            self._directory.retained.keep(value)
        if wishes:
            self._handed_up += wishes
            return 1
        origin = (session.identity.name, frame.topic)
        if parcel is not None:
            frame_bytes, expires_at = raw + stamp, frame.expires_at
            self._deliveries.deliver_large(recipients, parcel, frame_bytes, origin, expires_at)
        elif recipients:
            data = b"".join((pack_length(len(raw) + len(stamp)), raw, stamp))
            self._deliveries.deliver(recipients, data, frame.count, origin, frame.expires_at)
        taken = self._dispatch.put(offer, frame.count, pledge) if offer is not NO_OFFER else 0
        return len(recipients) - missed + taken

    def route(self, session: Session, topic: str) -> Route:
        """The route of a publisher's topic, found anew when it is stale.  Raises InvalidTopic."""
        routes = session.publishing.routes
        route = routes.get(topic)
        if route is None:
            check_topic(topic)
            route = routes.remember(topic, self._directory.limits.routes)
        if route.generation != self._directory.generation:
            self.extra_work += self._directory.find(route, session, topic)
        return route

    def _value(self, session: Session, frame: OuterFrame, stamp: bytes) -> Kept:
        """What this publish asks to be kept.  Raises BusError when it cannot be."""
        value = value_of(frame, session.identity.name, stamp)
        self._directory.retained.check(value, self._directory.limits)
        return value

    def _wishes(self, frame: OuterFrame, publisher: str, is_large: bool) -> list[HandedUp]:
        """What the supervisor is handed of it.  Raises BusError when it cannot be."""
        if is_large:
            raise TooLarge("a wish has to fit into a frame", hint="leave out what is long")
        return wishes_of(frame, publisher, len(self._handed_up), self._directory.limits.wishes)

    def _refuse(self, session: Session, frame: OuterFrame, error: BusError) -> None:
        """Count it; answer it, or say so with the first, second, fourth, eighth … of a topic."""
        topic, request = frame.topic, frame.request
        self._deliveries.note_refusal(session, error, "publish", topic)
        if request:
            self._deliveries.tell_refusal(session, request, error)
            return
        refusals = session.publishing.count_refusal(topic)
        if refusals & (refusals - 1) == 0:
            self._deliveries.tell_refusal(session, 0, error, topic, f" ({refusals} so far)")

    def _check_room(self, recipients: Recipients, messages: int, size: int, is_large: bool) -> int:
        """Refuse a confirmed publish as a whole that somebody would lose who may lose nothing.

        Whose connection is lost holds up nobody: it may never come back, and is told what it lost
        when it does; returns how many those are.  Raises BackPressure, which says who and where.
        """
        limits, missed = self._directory.limits, 0
        for session, stream in recipients:
            lack = session.outbox.lacks_room(stream, messages, size, limits)
            if lack:
                self._deliveries.make_room(size + RUN_OVERHEAD_BYTES)
                lack = session.outbox.lacks_room(stream, messages, size, limits)
            elif stream.policy is Overflow.BLOCK and stream.queue:
                lack = lack_of_share(self._directory.named(session.identity.name), size, limits)
            if session.standing is not Standing.PRESENT:
                missed += bool(lack or is_large)
            elif lack:
                raise BackPressure(
                    f"{session.identity.name} has no room: {lack}",
                    hint="nothing was sent to anybody: try again when it has read some",
                )
        return missed
