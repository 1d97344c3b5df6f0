"""What waits for one client, in lanes, and which of it is written next.  Pure.

Three lanes: the broker's own frames, control, events.  The order is strict, except that every
sixteenth pick begins at the bottom, so that no flood above starves what is below.  Within a lane
the run that arrived first goes first, whichever stream it waits in; so order holds even when a
new subscription moves a topic from one stream to another.

What `take` has given belongs to the connection (`sending`): at most `turn_bytes` and one run, so
control is never far behind.

A large payload goes ahead of its run.  As a descriptor it goes with the first byte that the kernel
takes of a write, so a write has one descriptor at most, and its run is the last in it.  In chunks
(`transfers`) it goes piece by piece, and between two of them the lanes above may write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from daemoneye.bus.broker.lanes import Lanes
from daemoneye.bus.broker.runs import RUN_OVERHEAD_BYTES, Run
from daemoneye.bus.broker.sending import Sending
from daemoneye.bus.broker.streams import (
    DENIED,
    DISCONNECTED,
    EXPIRED,
    OVERFLOW,
    UNREADABLE,
    Backlog,
    Lane,
    Stream,
    StreamKey,
    Subscription,
    Tally,
    fullness,
)
from daemoneye.bus.broker.transfers import Transfer, Transfers, last_word
from daemoneye.bus.limits import Limits
from daemoneye.bus.terms import Overflow

MAX_BUFFERS = 64
"""How many buffers are gathered into one write; the kernel takes 1024."""

MAX_STREAMS = 1024
"""At so many a session's empty streams are let go of; when half are left, it has to go."""


class Outbox:
    """Everything that waits for one client."""

    __slots__ = (
        "_lanes",
        "_transfers",
        "_urgent",
        "_urgent_bytes",
        "backlog",
        "gone",
        "holding",
        "is_away",
        "sending",
        "streams",
    )

    def __init__(self, whole: Backlog) -> None:
        self.backlog = Backlog(whole)
        self.holding = self.backlog.holding
        """The large payloads that the client holds."""
        self.sending = Sending(self.holding)
        """What belongs to the connection already."""
        self.is_away = False
        """Whether there is no connection now."""
        self._transfers = Transfers()
        self.streams: dict[StreamKey, Stream] = {}
        self.gone = Tally.empty()
        """What streams counted that no subscription is left of."""
        self._urgent: deque[bytes] = deque()
        self._urgent_bytes = 0
        self._lanes = Lanes(self.holding)

    # ---- what comes in ------------------------------------------------------------------------

    def say(self, frame: bytes, limits: Limits) -> str:
        """Queue a frame of the broker's own (with its header); why the client has to go, or "".

        Not for who is away: it belongs to a connection, and the next one begins with what the
        client says, and is told of that.
        """
        if self.is_away:
            return ""
        self._urgent.append(frame)
        self._urgent_bytes += len(frame)
        self.backlog.change(len(frame))
        if self._urgent_bytes > limits.urgent_bytes:
            return f"{self._urgent_bytes} bytes of answers and notices were not read"
        excess = self.backlog.bytes - limits.client_bytes
        return self.shed(excess) if excess > 0 else ""

    @property
    def urgent_bytes(self) -> int:
        """How much of the broker's own waits."""
        return self._urgent_bytes

    def offer(self, stream: Stream, run: Run, limits: Limits) -> str:
        """Queue a run; why the client has to go, or "".

        What `take` would give next in any case, it gives without having waited in a queue: the one
        run that meets an idle outbox, of the stream that was announced last.
        """
        sending = self.sending
        if stream is sending.marked and self.is_idle and stream.admits(run):
            sending.append(run.data, stream, stream.begin(run))
            return ""
        if not stream.queue:
            self._lanes.ready[stream.key.lane][stream] = None
        cause = stream.offer(run)
        if not cause and self.backlog.bytes > limits.client_bytes:
            return self.shed(self.backlog.bytes - limits.client_bytes)
        return cause

    def refuse(self, stream: Stream, run: Run, reason: str) -> None:
        """Count a run as lost that is not taken at all; it is told soon."""
        stream.refuse(run, reason)
        self._lanes.add(stream)

    def lacks_room(self, stream: Stream, messages: int, size: int, limits: Limits) -> str:
        """Why so much more would make a stream lose what may not be lost, or "".

        It is a `block` stream where something waits, and there is no room in it, among all that
        waits for this client, or for all of them.
        """
        if stream.would_lose(messages, size):
            return fullness(stream)
        if stream.policy is Overflow.BLOCK and stream.queue:
            return self.crowding(size, limits)
        return ""

    def crowding(self, size: int, limits: Limits) -> str:
        """Why a run of `size` bytes more would cost somebody what waits, or ""."""
        cost, whole = size + RUN_OVERHEAD_BYTES, self.backlog.whole
        if self.backlog.bytes + cost > limits.client_bytes:
            return f"{self.backlog.bytes} bytes wait for it"
        if whole is not None and whole.bytes + cost > limits.outbound_bytes:
            return f"{whole.bytes} bytes wait for all clients"
        return ""

    def shed(self, excess: int) -> str:
        """Make room for `excess` bytes at the cost of the greediest streams, events first.

        Of `block` streams only when all others are empty: what was confirmed may not be lost.
        """
        goal = self.backlog.bytes - excess
        return self.shed_to(goal, of_block=False) or self.shed_to(goal, of_block=True)

    def shed_to(self, goal: int, *, of_block: bool) -> str:
        """Have no more than `goal` bytes waiting, at the cost of `block` streams or of all others.

        Why the client has to go instead, or "".
        """
        self._lanes.credited()
        for lane in reversed(self._lanes.ready):
            while self.backlog.bytes > goal:
                waiting = [
                    stream
                    for stream in lane
                    if stream.queue and (stream.policy is Overflow.BLOCK) is of_block
                ]
                if not waiting:
                    break
                greediest = max(waiting, key=lambda stream: stream.cost)
                if greediest.policy is Overflow.DISCONNECT:
                    return f"{self.backlog.bytes} bytes wait for this client"
                while self.backlog.bytes > goal and greediest.queue:
                    if of_block:
                        greediest.lose_newest(OVERFLOW)  # what nobody was promised came last
                    else:
                        greediest.lose_oldest(OVERFLOW)
        return ""

    def credited(self) -> None:
        """There may be credit where there was none: look at all streams again."""
        self._lanes.credited()

    # ---- what goes out ------------------------------------------------------------------------

    def take(self, max_bytes: int, now_ns: int) -> list[bytes | memoryview]:
        """Buffers for one gathered write: the rest of the last ones, then what may follow."""
        sending, (control, events) = self.sending, self._lanes.ready
        frames = sending.frames
        while (
            (events or control or self._urgent or self._transfers)
            and sending.bytes < max_bytes
            and len(frames) < MAX_BUFFERS
            and sending.passing is None
            and self._next(now_ns)
        ):
            pass
        return sending.buffers() if frames else []

    def pass_no_more(self) -> None:
        """What was to be passed cannot be: from now on, payloads go to this client in chunks.

        The parcel's content has to be there.
        """
        self.holding.carriage = replace(self.holding.carriage, descriptors=False)
        self._transfers.begin(*self.sending.pass_nothing())

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing that `take` would have to look at: cheaper than asking it."""
        return not (
            self.sending.frames
            or self._urgent
            or self._transfers
            or self._lanes.ready[0]
            or self._lanes.ready[1]
        )

    @property
    def pending(self) -> bool:
        """Whether `take` has something to give, credit considered."""
        if self.sending.frames or self._urgent or self._transfers:
            return True
        return self._lanes.may_send

    def _next(self, now_ns: int) -> bool:
        """Move one thing into what is being written; False when there is none that may."""
        lanes = self._lanes
        from_below = lanes.picks_from_below()
        if self._transfers:
            return self._next_beside_transfers(now_ns, from_below)
        if from_below:
            return self._next_run(reversed(lanes.ready), now_ns) or self._next_urgent()
        return self._next_urgent() or self._next_run(lanes.ready, now_ns)

    def _next_beside_transfers(self, now_ns: int, from_below: bool) -> bool:
        """The same while payloads are on their way in chunks: each has its lane for itself."""
        if not from_below and self._next_urgent():
            return True
        for lane in sorted(Lane, reverse=from_below):
            transfer = self._transfers.at(lane)
            if transfer is not None:
                self._send_chunk(transfer)
                return True
            if self._next_run((self._lanes.ready[lane],), now_ns):
                return True
        return from_below and self._next_urgent()

    def _next_urgent(self) -> bool:
        if not self._urgent:
            return False
        frame = self._urgent.popleft()
        self._urgent_bytes -= len(frame)
        self.backlog.change(-len(frame))
        self.sending.append(frame, None, None)
        return True

    def _next_run(self, lanes: Iterable[dict[Stream, None]], now_ns: int) -> bool:
        for lane in lanes:
            while lane and (stream := self._lanes.oldest(lane)) is not None:
                queue = stream.queue
                while queue and 0 < queue[0].expires_at <= now_ns:
                    stream.lose_oldest(EXPIRED)
                something = bool(queue or stream.untold)
                if something:
                    self._send(stream)
                if not queue:
                    del lane[stream]
                if something:
                    return True
        return False

    def _send(self, stream: Stream) -> None:
        self.sending.announce(stream)
        if stream.queue:
            run = stream.begin_oldest()
            if run.parcel is None:
                self.sending.append(run.data, stream, run)
            elif self.holding.passes(run.parcel):
                self.sending.passing = run.parcel
                self.sending.append(run.parcel.frame, stream, run)
            else:
                self._transfers.begin(stream, run)

    def _send_chunk(self, transfer: Transfer) -> None:
        if not transfer.is_whole:
            most = self.backlog.parcels.limits.frame_bytes  # what every client is ready for
            chunk = transfer.chunk(most)
            if chunk is None:
                self._lose(transfer.stream, UNREADABLE, self._give_up(transfer.stream))
            else:
                self.sending.append(chunk, transfer.stream, None)
            return
        self._transfers.end(transfer)
        self.sending.announce(transfer.stream)
        self.sending.append(transfer.run.data, transfer.stream, transfer.run)

    def _give_up(self, stream: Stream) -> list[Run]:
        """End what is on its way of a stream in chunks; returns it, not counted yet."""
        transfer = self._transfers.of(stream)
        if transfer is None:
            return []
        self._transfers.end(transfer)
        word = last_word(transfer.run)
        self._urgent.append(word)
        self._urgent_bytes += len(word)
        self.backlog.change(len(word))
        return [transfer.run]

    def _lose(self, stream: Stream, reason: str, runs: Iterable[Run]) -> None:
        """Lose what was on its way of a stream and was taken back; it is told soon."""
        for run in runs:
            stream.take_back(run, reason)
        if stream.untold:
            self._lanes.add(stream)

    # ---- subscriptions come and go ------------------------------------------------------------

    def stream_for(
        self, subscriptions: tuple[Subscription, ...], lane: Lane, default: Overflow
    ) -> Stream:
        """The stream of exactly these subscriptions (in the order of their numbers)."""
        key = StreamKey(tuple(each.number for each in subscriptions), lane, default)
        stream = self.streams.get(key)
        if stream is None:
            stream = self.streams[key] = Stream(key, subscriptions, self.backlog)
        return stream

    def prune(self) -> bool:
        """Let go of empty streams; whether any was, and routes that know them are stale."""
        before, telling = len(self.streams), self.sending.telling
        for stream in [each for each in self.streams.values() if not each.messages]:
            if stream.untold or stream in telling:
                continue
            del self.streams[stream.key]
            self._lanes.remove(stream)
            for subscription in stream.subscriptions:
                subscription.past.add(stream.tally)
            self.gone.add(stream.tally)
            self.sending.forget(stream)
            self.sending.unreceived.forget_all()  # it may be of a stream that is no more
        return len(self.streams) < before

    def release(self, subscription: Subscription, *, denied: bool = False) -> None:
        """The subscription is over: what waited for it alone is dropped, what it shared stays.

        Its streams become those of the subscriptions that are left.  What is dropped counts as
        never offered, or as lost when it was `denied`.
        """
        self.credited()
        heirs: dict[Stream, Stream] = {}
        for stream in [
            each for each in self.streams.values() if subscription in each.subscriptions
        ]:
            del self.streams[stream.key]
            self.sending.forget(stream)
            left = tuple(each for each in stream.subscriptions if each is not subscription)
            if left:
                heir = self._pass_on(stream, left)
                if heir is not stream:
                    heirs[stream] = heir
            else:
                if denied:
                    self._deny(stream)
                self._drop(stream)
        if heirs:
            self.sending.hand_over(heirs)

    def discard(self, key: StreamKey) -> None:
        """What waits in this stream, if there is one, is for nobody any more."""
        stream = self.streams.pop(key, None)
        if stream is not None:
            self.sending.forget(stream)
            self._drop(stream)

    def purge(self, subscription: Subscription) -> None:
        """Drop what waits for it: its rights became fewer after that was queued."""
        self.credited()
        for stream in self.streams.values():
            if subscription in stream.subscriptions:
                self._deny(stream)

    def detach(self) -> None:
        """The connection is gone, and the session waits for another; what waits still does."""
        self.is_away = True
        for transfer in self._transfers.take_all():
            transfer.stream.abandon(transfer.run)
        self.sending.detach()
        self.backlog.change(-self._urgent_bytes)
        self._urgent.clear()
        self._urgent_bytes = 0
        for stream in self.streams.values():
            if stream.untold:
                self._lanes.add(stream)

    def put_first(self, stream: Stream, runs: Iterable[Run]) -> None:
        """These wait before all else of their stream; they are older, and counted already."""
        stream.put_first(runs)
        self._lanes.add(stream)

    def close(self) -> None:
        """The connection is gone or has to go: what waits is lost, the broker's last words are not.

        A frame that has been begun is kept, so that what follows it can still be understood.
        """
        self.sending.close()
        self.sending.unreceived.forget_all()
        for transfer in self._transfers.take_all():
            transfer.stream.abandon(transfer.run)
        for stream in self.streams.values():
            stream.lose_all(DISCONNECTED)
            self.gone.add(stream.tally)
        self.streams.clear()
        self._lanes.clear()
        self.backlog.detach()

    def tally(self) -> Tally:
        """What became of all that was ever offered to this client."""
        total = Tally.empty()
        total.add(self.gone)
        for stream in self.streams.values():
            total.add(stream.tally)
        return total

    def _pass_on(self, stream: Stream, left: tuple[Subscription, ...]) -> Stream:
        """Make a stream the one of the subscriptions that are left, or part of it; that one."""
        key = stream.key._replace(numbers=tuple(each.number for each in left))
        heir = self.streams.get(key)
        if heir is None:
            stream.serve(key, left)
            self.streams[key] = stream
            return stream
        heir.absorb(stream)
        if (transfer := self._transfers.of(stream)) is not None:
            transfer.stream = heir
        if self._lanes.remove(stream):
            self._lanes.add(heir)
        return heir

    def _drop(self, stream: Stream) -> None:
        for run in (*self._give_up(stream), *self.sending.take_back(stream)):
            stream.withdraw(run)
        self.sending.settle(stream)
        stream.withdraw_all()
        self._lanes.remove(stream)
        self.gone.add(stream.tally)

    def _deny(self, stream: Stream) -> None:
        """Nothing of it may arrive any more that can be kept back."""
        stream.lose_all(DENIED)
        self._lose(stream, DENIED, (*self._give_up(stream), *self.sending.take_back(stream)))
