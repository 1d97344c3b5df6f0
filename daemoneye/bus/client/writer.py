"""One way out: everything a client sends passes here, whatever thread it comes from.

A publish is put into the draft of a frame; the draft is written when it is full, when something
else has to go, or at once when publishes come one by one.  What is left of a burst is written by
the flusher within about two milliseconds (a thread that computes on without a pause can hold it
back for some ten, because it holds the interpreter; `flush` ends that).

Without a connection frames wait in the outage box, and go first when there is one again.  A frame
that was cut off in the middle goes again as a whole: the broker has thrown its half away.

A large payload goes apart from its frame (`freight`), in its place among the others; other threads
wait for that as for any write.

A turn (`turn`) lasts over a write (`outlet`).  That may take as long as the kernel's buffer is
full, which is short, because a broker never leaves a publisher's socket unread; past the write
timeout the connection is given up.  What a signal handler publishes in the midst of its own
thread's turn is written before that turn ends.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial

from daemoneye.bus.client.answers import no_connection
from daemoneye.bus.client.calling import sealed_call
from daemoneye.bus.client.flusher import Flusher
from daemoneye.bus.client.loading import Loading
from daemoneye.bus.client.outbound import Outbound
from daemoneye.bus.client.outgoing import (
    FLUSH_INTERVAL,
    Apart,
    Course,
    Outgoing,
    Sealed,
    seal,
    set_apart,
)
from daemoneye.bus.client.outlet import Outlet
from daemoneye.bus.client.turn import Turn
from daemoneye.bus.frames import Carriage, Content, Heading, Value, check_target, encode
from daemoneye.bus.limits import Limits
from daemoneye.bus.terms import NO_CARRIAGE
from daemoneye.bus.topics import check_topic
from daemoneye.errors import DeadlineExceeded
from daemoneye.framing import pack

_now_ns = time.time_ns


class Writer(Outbound):
    """What a client has to say, on its way to the socket."""

    __slots__ = ("_flusher", "_turn", "outlet")

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._turn = Turn()
        self.outlet = Outlet(limits.write_timeout)
        self._flusher = Flusher(self._flush_tail)

    # ---- publishing -----------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, content_type: str, target: str) -> None:
        """Join it to what was published before, or write it at once.

        Raises InvalidTopic, LocalProtocolError, TooLarge, and what `end` was given.
        """
        turn = self._turn
        with turn.lock:  # `Turn.taken` written out: this is where a publish spends its time
            if turn.busy:
                self._put_aside(Heading(topic, target, content_type), [payload])
                return
            turn.busy = True
            try:
                draft = self._draft
                course = self._courses.find(topic, content_type, target)
                if not draft.takes(course, len(payload)):
                    self._write_apart(course, payload)
                    return
                if not draft.fits(course):
                    self._write(draft.seal())
                sealed = draft.add(course, payload, _now_ns())
                if sealed is not None:
                    self._write(sealed)
                elif self._flusher.asleep:
                    self._flusher.wake()
            finally:
                turn.busy = False
                if turn.aside:
                    turn.finish()

    def publish_heading(self, heading: Heading, payload: Content) -> None:
        """Publish what shares its frame with no other.  Raises as `publish`."""
        with self._turn.taken() as ours:
            if not ours:
                self._put_aside(heading, [payload])
                return
            course = self._courses.make(heading)
            if self._draft.takes(course, len(payload)):
                self._write_in_order(course, [bytes(payload)])
            else:
                self._write_apart(course, payload)

    def request(self, heading: Heading, payload: Content, number: int, deadline: float) -> None:
        """Publish something whose answer somebody waits for: without a connection it is not kept.

        Raises as `publish`, BusBroken, DeadlineExceeded when it is not written at `deadline`, which
        costs the connection if a part of it is; LocalProtocolError in a signal handler that fell
        into a publish.
        """
        with self._turn.alone(deadline):
            course = self._courses.make(heading)
            in_frame = self._draft.takes(course, len(payload))
            self._clear_way(deadline)
            if in_frame:
                self._write(seal(course, [bytes(payload)], [_now_ns()], number), deadline)
            else:
                self._write(set_apart(course, payload, _now_ns(), number), deadline)

    def call(self, heading: Heading, payload: bytes, number: int, deadline: float) -> None:
        """Write a call behind what was published before.  Raises as `request`."""
        with self._turn.alone(deadline):
            sealed = sealed_call(heading, payload, _now_ns(), number, self._draft.frame_limit)
            self._clear_way(deadline)
            self._write(sealed, deadline)

    def publish_many(
        self, topic: str, payloads: Sequence[bytes], content_type: str, target: str
    ) -> None:
        """Publish these in order, and write them.  Raises as `publish`, before any is published."""
        self.publish_all(partial(self._courses.find, topic, content_type, target), payloads)

    def publish_all_with(self, heading: Heading, payloads: Sequence[bytes]) -> None:
        """The same, with all that a heading can say."""
        self.publish_all(partial(self._courses.make, heading), payloads)

    def publish_all(self, find: Callable[[], Course], payloads: Sequence[bytes]) -> None:
        """The same on the course that is found."""
        with self._turn.taken() as ours:
            if not ours:
                self._put_aside(find().heading, payloads)
                return
            course = find()
            self._draft.takes(course, max(map(len, payloads), default=0))
            self._write_in_order(course, payloads)

    def flush(self) -> None:
        """Write what waits for company."""
        with self._turn.taken() as ours:
            if ours:
                self._write_draft()
            else:
                self._turn.put_aside(self._write_draft)

    # ---- everything else ------------------------------------------------------------------------

    def send(self, value: Value, deadline: float = math.inf) -> None:
        """Write one of the client's own frames, whose answer somebody waits for.

        Raises BusBroken when there is no connection, what is left as `request`.
        """
        self.send_all(lambda: [value], deadline)

    def send_all(self, ask: Callable[[], Sequence[Value]], deadline: float) -> None:
        """Write what `ask` says, in one go; it is asked only once there is room for it.

        Raises as `send`, and what `ask` raises.
        """
        with self._turn.alone(deadline):
            self.outlet.await_room(deadline)
            # In one write: what the broker passes on between two of them, one owner would miss.
            said = b"".join(pack(encode(value)) for value in ask())
            if not self.outlet.write(said, deadline):
                raise no_connection()

    def tell(self, value: Value) -> None:
        """Write one that nobody waits for; without a connection there is nobody to tell.

        A signal handler that has more to tell than may wait for the turn it fell into costs the
        connection: the next one is told all that still counts, and nothing is lost in silence.
        """
        frame = pack(encode(value))
        with self._turn.taken() as ours:
            if ours:
                self.outlet.write(frame)
            elif not self._turn.put_aside(partial(self.outlet.write, frame)):
                self.outlet.cut_off()

    def tell_nowait(self, value: Value) -> bool:
        """Write one only if nobody has to wait for it: others may be writing, the broker busy.

        Whether it was written.
        """
        with self._turn.taken_nowait() as ours:
            if ours and self.outlet.has_room():
                return self.outlet.write(pack(encode(value)))
        return False

    @property
    def connected(self) -> bool:
        """Whether what is said now goes to a broker."""
        return self.outlet.sock is not None

    # ---- the connection -------------------------------------------------------------------------

    def attach(
        self,
        sock: socket.socket,
        first: Sequence[Value],
        frame_limit: int,
        carriage: Carriage = NO_CARRIAGE,
        epoch: int = 0,
    ) -> None:
        """There is a connection to the broker in this life of it.

        Say `first`, then what that has to retain, then what had to wait.  Raises BusBroken.
        """
        with self._turn.alone():
            said = self._begin(first, frame_limit, carriage)
            self.outlet.sock = sock
            if said and not self.outlet.write(said):
                raise no_connection()
            for sealed in self.retaining.due(epoch, _now_ns()):
                if not self._write_out(sealed):
                    raise no_connection()
            self.retaining.told(epoch)
            while len(self._box):
                outgoing = self._box.take()
                written = False
                try:
                    written = self._write_out(outgoing)
                finally:
                    if not written:
                        self._box.put_back(outgoing)
                if not written:
                    raise no_connection()

    def detach(self) -> None:
        """The connection is of no use any more."""
        with self._turn.alone():
            self.outlet.sock = None
            self.tally.close()

    def end(self, last: Value, timeout: float) -> None:
        """Write what waits and then `last`, as far as that goes in time; nothing after it."""
        deadline = time.monotonic() + timeout
        self._flusher.stop(timeout / 2)
        if not self._turn.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return  # somebody is stuck in a write: the socket's end will free them
        try:
            if self._turn.busy:
                return  # we are a signal handler in the midst of a write, which the end cuts off
            self._write_draft(deadline)
            self.outlet.write(pack(encode(last)), deadline)
        except DeadlineExceeded:
            pass
        finally:
            self.outlet.sock = None
            self._turn.lock.release()

    def leave(self, timeout: float) -> None:
        """Write what waits for company, as far as that goes in time: the process ends."""
        deadline = time.monotonic() + timeout
        if not self._turn.lock.acquire(timeout=timeout):
            return
        try:
            if not self._turn.busy:
                self._write_draft(deadline)
        except DeadlineExceeded:
            pass
        finally:
            self._turn.lock.release()

    # ---- inside; all of these are called in a turn -----------------------------------------------

    def _put_aside(self, heading: Heading, payloads: Sequence[Content]) -> None:
        """For our own thread's turn.  Raises as `publish`, and touches nothing."""
        check_topic(heading.topic)
        check_target(heading.target)
        longest = max(map(len, payloads), default=0)
        self._draft.takes(Course(heading, [1]), longest)
        copies = [bytes(each) for each in payloads]  # of what the caller may change by then
        if not self._turn.put_aside(partial(self._catch_up, heading, copies)):
            self._box.dropped += len(payloads)

    def _catch_up(self, heading: Heading, payloads: Sequence[bytes]) -> None:
        self._write_in_order(self._courses.make(heading), payloads)

    def _write_in_order(self, course: Course, payloads: Sequence[bytes]) -> None:
        """Write these behind what was published before, in full frames or apart from them."""
        self._write_draft()
        for outgoing in self._draft.ready(course, payloads, _now_ns()):
            self._write(outgoing)

    def _write_apart(self, course: Course, payload: Content) -> None:
        """Write one behind what was published before, its payload ahead of it."""
        self._write_draft()
        self._write(set_apart(course, payload, _now_ns()))

    def _clear_way(self, deadline: float) -> None:
        """Write what comes first.  Raises DeadlineExceeded, and BusBroken without a connection."""
        self.outlet.await_room(deadline)
        if len(self._draft):
            self._write_draft(deadline)
            self.outlet.await_room(deadline)
        if self.outlet.sock is None:
            raise no_connection()

    def _write_draft(self, deadline: float = math.inf) -> None:
        if len(self._draft):
            self._write(self._draft.seal(), deadline)

    def _write(self, outgoing: Outgoing, deadline: float = math.inf) -> None:
        try:
            written = self.outlet.sock is not None and self._write_out(outgoing, deadline)
        except BaseException:  # too late, or a Ctrl-C: half of it cannot be taken back
            self.outlet.cut_off()
            self.outlet.sock = None
            self._box.put(outgoing)
            raise
        if not written:
            self._box.put(outgoing)

    def _write_out(self, outgoing: Outgoing, deadline: float = math.inf) -> bool:
        """Whether it is done with: the kernel has taken all of it, or the broker never will.

        Raises DeadlineExceeded when it was not done in time, which costs the connection.
        """
        if type(outgoing) is Sealed:
            written = self.outlet.write(outgoing.data, deadline)
            if written and outgoing.retains:
                self.retaining.keep(outgoing, _now_ns())
        else:
            assert type(outgoing) is Apart
            if self._refuses(outgoing):
                return True
            written = self._write_large(outgoing, deadline)
        if written:
            self.tally.sent += outgoing.messages
        return written

    def _write_large(self, outgoing: Apart, deadline: float) -> bool:
        if self.outlet.sock is None:
            return False
        loading = Loading(outgoing, self._freight, self._draft.frame_limit, self.tally)
        try:
            return self.outlet.load(loading, deadline)
        finally:
            loading.close()

    def _flush_tail(self) -> bool:
        """For the flusher: write a draft that has waited long enough; whether to look again."""
        with self._turn.alone():
            if not len(self._draft):
                self._flusher.asleep = True
                return False
            if _now_ns() - self._draft.began_at >= FLUSH_INTERVAL * 1e9:
                self._write_draft()
            return True
