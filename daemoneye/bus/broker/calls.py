"""Calls: handed to one who serves their topic, replied to once, and each ends exactly once.  Pure.

    caller ── CALL ──▶ the server with the fewest calls in hand: a publish with the number of a slot
    caller ◀── REPLY ── from the slot's owner, once; the broker says who that is

A call that nobody can take is refused at once, and so it never waits here: who serves has a bounded
number in hand, which is queue enough, and its caller knows better what to do instead of waiting.
Refused: a queue of calls for servers that are full, in which callers would wait out their deadlines
behind calls of others who have given up.

A call is bound to both connections: one that is lost ends it, also when its session goes on over
another.  However a call ends (a reply, the end of its server, its deadline, its caller's word or
end), it is taken out of all tables first, and whatever comes afterwards finds none.
"""

from __future__ import annotations

from collections import Counter
from math import inf

from daemoneye.bus.broker.answers import refusal
from daemoneye.bus.broker.deliveries import REFUSED, Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.runs import Run, make_run
from daemoneye.bus.broker.servers import (
    Call,
    Ended,
    Gone,
    Lost,
    ReplyStream,
    Server,
    Unheard,
)
from daemoneye.bus.broker.session import Session, Standing
from daemoneye.bus.broker.statistics import DENIED, reason_of
from daemoneye.bus.broker.streams import EXPIRED
from daemoneye.bus.envelope import Publisher
from daemoneye.bus.frames import (
    MIN_MESSAGE_BYTES,
    Cancel,
    Notice,
    OuterFrame,
    Reply,
    call_stamp,
    encode,
)
from daemoneye.errors import (
    AccessDenied,
    BackPressure,
    BusError,
    DeadlineExceeded,
    LocalProtocolError,
    NoResponder,
    TooLarge,
)
from daemoneye.framing import pack, pack_length

CANCELLED = "cancelled"
"""The code of a notice: nobody waits for the reply any more.  And why a call failed."""

LATE = "late-reply"
"""The code of a notice, and what is counted: a reply to a call that is over."""

CALLER_GONE = "caller-gone"
"""Why a call failed: the session that made it is over, or its connection."""

LOOK_INTERVAL = 0.005
"""Deadlines closer together than this, in seconds, are looked at together."""

LOOKED_AT_FOR_ONE = 16
"""So many servers that are looked at cost as much as one frame."""

MAY_BE_DONE = "it may have been done all the same; call again if that does no harm"


class Calls:
    """All calls that are in somebody's hands."""

    __slots__ = (
        "_by_caller",
        "_deliveries",
        "_directory",
        "_open",
        "_servers",
        "extra_work",
        "failed",
        "replies",
        "taken",
    )

    def __init__(self, directory: Directory, deliveries: Deliveries) -> None:
        self._directory = directory
        self._deliveries = deliveries
        self._servers = directory.servers
        self._open: dict[int, Call] = {}  # by slot
        self._by_caller: dict[Session, dict[int, Call]] = {}  # by their requests
        self.extra_work = 0
        """What the last call cost beyond its frame, as the agenda counts."""
        self.taken = 0
        """How many calls were handed to somebody."""
        self.replies = 0
        """How many of those were replied to, rejections included."""
        self.failed: Counter[str] = Counter()
        """How many of them ended without, by reason."""

    def __len__(self) -> int:
        return len(self._open)

    # ---- calling --------------------------------------------------------------------------------

    def call(
        self, caller: Session, frame: OuterFrame, raw: bytes, stamp: bytes, now_ns: int
    ) -> None:
        """Hand it to somebody, or answer why not; `now_ns` is Unix time in ns."""
        self.extra_work = 0
        try:
            self._check(caller, frame, len(raw))
            left = (frame.expires_at - now_ns) / 1e9 if frame.expires_at else inf
            if left <= 0:
                raise DeadlineExceeded(
                    f"the time for the call of {frame.topic} was up when it came"
                )
            server = self._choose(frame.topic, len(raw))
        except BusError as error:
            self._deliveries.refuse(caller, frame.request, error, "publish", frame.topic)
            return
        number = self._deliveries.next_number()
        whole = stamp + call_stamp(number)
        data = b"".join((pack_length(len(raw) + len(whole)), raw, whole))
        origin = (caller.identity.name, frame.topic)
        run = make_run((number, data, 1, frame.expires_at, origin, None))
        deadline = self._directory.clock.now + left
        call = Call(caller, frame.request, frame.topic, deadline, server, run)
        self._open[number] = server.in_hand[number] = call
        self._by_caller.setdefault(caller, {})[frame.request] = call
        self._servers.rotate(server)
        self.taken += 1
        self._directory.clock.wake_at(deadline)
        self._deliveries.give(server.session, server.stream, run)

    def _check(self, caller: Session, frame: OuterFrame, size: int) -> None:
        """Raises the BusError that says why this call cannot be made."""
        limits, topic = self._directory.limits, frame.topic
        self._check_right(caller, topic)
        if not frame.request:
            raise LocalProtocolError("a call needs a request number, for its reply")
        if frame.large_bytes or frame.descriptors or size > limits.frame_bytes:
            raise TooLarge(
                f"a call of {topic} has to fit into a frame of {limits.frame_bytes} bytes",
                hint="put what is large in a file, and send the name",
            )
        if frame.count != 1 or size < MIN_MESSAGE_BYTES:
            raise LocalProtocolError(f"a call is one message, not {frame.count}")
        if frame.target or frame.retain:
            raise LocalProtocolError(
                "a call goes to whoever serves its topic: it has no target and is not retained"
            )
        mine = self._by_caller.get(caller, {})
        if frame.request in mine:
            raise LocalProtocolError(f"the call {frame.request} is not over yet")
        if len(mine) >= limits.calls:
            raise BackPressure(
                f"{len(mine)} calls of {caller.identity.name} wait for replies already",
                hint="wait for some of them first; `calls` of [bus] is the setting",
            )

    def _check_right(self, caller: Session, topic: str) -> None:
        """Raises AccessDenied and InvalidTopic."""
        decision = self._directory.access.may_publish(caller.identity, caller.declared, topic)
        if not decision.allowed:
            raise AccessDenied(
                f"{caller.identity.name} may not publish on {topic}",
                rule=decision.rule,
                hint=decision.hint,
            )

    def _choose(self, topic: str, size: int) -> Server:
        """Who gets it.  Raises NoResponder and BackPressure."""
        may_receive = self._directory.access.may_receive
        servers = self._servers.of(topic)
        self.extra_work = len(servers) // LOOKED_AT_FOR_ONE
        serving = [
            each
            for each in servers
            if not self._deliveries.is_condemned(each.session)
            and may_receive(each.session.identity, each.session.declared, topic).allowed
        ]
        if not serving:
            raise NoResponder(
                f"nobody serves {topic}", hint="start what serves it, or look at the topic's name"
            )
        free = [each for each in serving if each.has_room(size, self._directory.limits)]
        if not free:
            names = ", ".join(sorted({each.session.identity.name for each in serving})[:4])
            raise BackPressure(
                f"whoever serves {topic} has enough in hand ({names})",
                hint="call again in a moment, or have more processes serve it",
            )
        return min(free, key=_in_hand)

    # ---- replying -------------------------------------------------------------------------------

    def reply(self, server: Session, reply: Reply) -> None:
        """Pass it on to the caller, or tell who said it why not."""
        call = self._open.get(reply.delivery)
        if call is not None and call.server.session is server and self._is_over(call):
            self._expire(call)
            call = None
        if call is None or call.server.session is not server:
            self._refuse_reply(server, reply.delivery, is_over=call is None)
            return
        try:
            self._check_right(call.caller, call.topic)
        except AccessDenied as error:
            self._fail(call, DENIED, error)
            return
        who = server.identity
        said = Reply(
            request=call.request,
            content_type=reply.content_type,
            payload=reply.payload,
            time=reply.time,
            rejected=reply.rejected,
            publisher=Publisher(who.name, who.role, who.pid, who.incarnation),
        )
        self._pass_on(call, pack(encode(said)))

    def _pass_on(self, call: Call, data: bytes) -> None:
        caller = call.caller
        stream = caller.outbox.streams.get(ReplyStream.KEY)
        if stream is None:
            stream = ReplyStream(caller, self._servers.happened)
            caller.outbox.streams[ReplyStream.KEY] = stream
        assert isinstance(stream, ReplyStream)
        if not stream.has_room(len(data), self._directory.limits):
            self._fail(call, reason_of(_UNREAD), _UNREAD)
            return
        self._end(call)
        self.replies += 1
        origin = (call.server.session.identity.name, call.topic)
        run: Run = make_run((self._deliveries.next_number(), data, 1, 0, origin, None))
        stream.expect(run, call.request)
        self._deliveries.give(caller, stream, run)

    def _refuse_reply(self, server: Session, slot: int, *, is_over: bool) -> None:
        code = LATE if is_over else REFUSED
        self._deliveries.refusals[code if is_over else "senseless"] += 1
        detail = (
            "the call is over: it was replied to, its time was up, or nobody waits any more"
            if is_over
            else "the call is in somebody else's hands"
        )
        self._deliveries.tell(server, Notice(code, detail=detail, delivery=slot))

    def cancel(self, caller: Session, cancel: Cancel) -> None:
        """The caller waits no more; when the reply is on its way already, nothing happens."""
        self.run()  # what was lost before it was written is not to be told of
        call = self._by_caller.get(caller, {}).get(cancel.request)
        if call is not None:
            self._take_back(call, "its caller waits no more")
            self._fail(call, CANCELLED)

    # ---- what happens meanwhile -----------------------------------------------------------------

    def keep_time(self) -> None:
        """End the calls whose time is up."""
        self.run()  # what was lost before it was written is not to be told of
        for call in [each for each in self._open.values() if self._is_over(each)]:
            self._expire(call)
        clock = self._directory.clock
        nearest = min((each.deadline for each in self._open.values()), default=inf)
        clock.wake_at(max(nearest, clock.now + LOOK_INTERVAL) if nearest < inf else inf)

    def run(self) -> None:
        """End the calls of whoever went or lost something since this was asked last."""
        happened, self._servers.happened[:] = list(self._servers.happened), []
        for each in happened:
            match each:
                case Ended(server, why):
                    for call in list(server.in_hand.values()):
                        self._abandon(call, self._why_gone(server.session) or why)
                case Gone(session):
                    for call in list(self._by_caller.get(session, {}).values()):
                        self._take_back(call, "its caller has gone")
                        self._fail(call, CALLER_GONE)
                case Lost(slot, reason) if slot in self._open:
                    if reason == EXPIRED:
                        # Whoever serves has not seen it, and is told nothing.
                        self._fail(self._open[slot], EXPIRED, _UNWRITTEN)
                    else:
                        self._fail(self._open[slot], reason_of(_LOST), _LOST)
                case Unheard(session, request) if session in self._directory:
                    self._deliveries.tell(session, refusal(request, _UNREAD))

    def _is_over(self, call: Call) -> bool:
        return call.deadline <= self._directory.clock.now

    def _why_gone(self, session: Session) -> str:
        """Empty: it is still there."""
        if session.standing is Standing.PRESENT:
            return ""
        ending = self._deliveries.doomed.get(session)
        if ending is None or not ending.detail:
            return "its connection is gone"
        return ending.detail

    def _abandon(self, call: Call, why: str) -> None:
        """Its server has gone."""
        error = NoResponder(
            f"{call.server.session} served {call.topic} and did not reply: {why}", hint=MAY_BE_DONE
        )
        self._fail(call, reason_of(error), error)

    def _expire(self, call: Call) -> None:
        self._take_back(call, "its time is up")
        error = DeadlineExceeded(
            f"no reply to the call of {call.topic} came in time from {call.server.session}",
            hint=MAY_BE_DONE,
        )
        self._fail(call, EXPIRED, error)

    def _take_back(self, call: Call, why: str) -> None:
        """Its server need not go on: it does not get the call, or is told so."""
        server = call.server
        if server.session not in self._directory:
            return
        stream = server.opened
        if stream is not None and call.run in stream.queue:
            stream.queue.remove(call.run)
            stream.withdraw(call.run)
        else:
            notice = Notice(CANCELLED, call.topic, why, delivery=call.slot)
            self._deliveries.tell(server.session, notice)

    def _fail(self, call: Call, reason: str, error: BusError | None = None) -> None:
        """It ends without a reply; the error is for its caller, if that waits."""
        self._end(call)
        self.failed[reason] += 1
        if error is not None and call.caller in self._directory:
            self._deliveries.tell(call.caller, refusal(call.request, error))

    def _end(self, call: Call) -> None:
        """It is over, and in no table any more."""
        del self._open[call.slot]
        del call.server.in_hand[call.slot]
        mine = self._by_caller[call.caller]
        del mine[call.request]
        if not mine:
            del self._by_caller[call.caller]


def _in_hand(server: Server) -> int:
    return len(server.in_hand)


_UNREAD = BackPressure(
    "the reply found no room: too many wait to be read", hint="read faster, or call less at once"
)
_UNWRITTEN = DeadlineExceeded(
    "the time for the call was up before it was written to who serves",
    hint="give it more time, or have more processes serve it",
)
_LOST = BackPressure(
    "the call was dropped before it was written to who serves: too much waits for it",
    hint="call again in a moment",
)
