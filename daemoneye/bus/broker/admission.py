"""One publish at a time, with everything that can be asked of it: rights, receipts, targets.  Pure.

The router takes plain publishes by itself; what comes here is looked at whole, costs a publisher
an answer or a notice when it is refused, and never its session.
"""

from __future__ import annotations

from collections import deque

from daemoneye.bus.broker.deliveries import Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.dispatch import NO_OFFER, Dispatch
from daemoneye.bus.broker.jobs import Pledge
from daemoneye.bus.broker.parcels import Parcel
from daemoneye.bus.broker.retained import Kept, value_of
from daemoneye.bus.broker.routes import Recipients, Route
from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.broker.uploads import Uploads
from daemoneye.bus.broker.wishes import WISH_TOPICS, HandedUp, hand_up
from daemoneye.bus.frames import MIN_MESSAGE_BYTES, Answer, OuterFrame
from daemoneye.bus.topics import check_topic
from daemoneye.errors import AccessDenied, BackPressure, BusError, TooLarge
from daemoneye.framing import pack_length

LOOKED_AT_FOR_ONE = 16
"""So many subscriptions that are asked what they want cost as much as one frame."""

OPENED_FOR_ONE = 2
"""The same of messages that are opened for groups."""


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
    ) -> int:
        """Deliver one frame; how many took it.  Raises the BusError that says why not.

        `parcel` is the payload that came ahead of it, if one did and could be kept; the `pledge` is
        that its publisher will be told when groups have handled it.
        """
        topic = frame.topic
        route = self.route(session, topic)
        if route.decision is not None:
            raise AccessDenied(
                f"{session.identity.name} may not publish on {topic}",
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
                if is_large:
                    raise TooLarge("a wish has to fit into a frame", hint="leave out what is long")
                hand_up(
                    self._handed_up, frame, session.identity.name, self._directory.limits.wishes
                )
                route.sequence = frame.sequence + frame.count - 1
                self._keep(value)
                return 1
            recipients = tuple(each for each in recipients if each[0].identity.name == frame.target)
        name = session.identity.name
        groups = route.groups if not frame.target else ()
        offer = NO_OFFER
        if groups or pledge is not None:
            offer = self._dispatch.offer(groups, frame, raw, stamp, name)
            self.extra_work += offer.work // OPENED_FOR_ONE
        missed = 0
        if frame.request:
            missed = self._check_room(recipients, frame.count, len(raw) + len(stamp), is_large)
            self._dispatch.check_room(offer)
        if is_large:
            parcel = self._uploads.admit(parcel, frame)
        route.sequence = frame.sequence + frame.count - 1
        self._keep(value)
        origin = (name, topic)
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
            self._directory.find(route, session, topic)
        return route

    def _value(self, session: Session, frame: OuterFrame, stamp: bytes) -> Kept:
        """What this publish asks to be kept.  Raises BusError when it cannot be."""
        value = value_of(frame, session.identity.name, stamp)
        self._directory.retained.check(value, self._directory.limits)
        return value

    def _keep(self, value: Kept | None) -> None:
        if value is not None:
            self._directory.retained.keep(value)

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
            if session.standing is not Standing.PRESENT:
                missed += bool(lack or is_large)
            elif lack:
                raise BackPressure(
                    f"{session.identity.name} has no room: {lack}",
                    hint="nothing was sent to anybody: try again when it has read some",
                )
        return missed
