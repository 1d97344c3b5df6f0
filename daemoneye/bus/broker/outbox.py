"""What waits for one client, in lanes, and what of it is being written.  Pure.

Three lanes: the broker's own frames, control, events.  The order is strict, except that every
sixteenth pick begins at the bottom, so that no flood above starves what is below.  Within a lane
the run that arrived first goes first, whichever stream it waits in; so order holds even when a
new subscription moves a topic from one stream to another.

What `take` has given belongs to the connection: nothing overtakes inside a frame, and nothing of it
is dropped to make room.  That is at most `turn_bytes` and one run, so control is never far behind.
What nobody wants or may have any more is taken out of it, but for a frame that has been begun.

A large payload goes ahead of its run.  As a descriptor it goes with the first byte that the kernel
takes of a write, so a write has one descriptor at most, and its run is the last in it.  In chunks
(`transfers`) it goes piece by piece, and between two of them the lanes above may write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from daemoneye.bus.broker.parcels import Parcel
from daemoneye.bus.broker.runs import Run
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
)
from daemoneye.bus.broker.transfers import Transfer, Transfers, last_word
from daemoneye.bus.kinds import Overflow
from daemoneye.bus.limits import Limits

SHARE = 16
"""One pick in so many begins with the lowest lane."""

MAX_BUFFERS = 64
"""How many buffers are gathered into one write; the kernel takes 1024."""

MAX_STREAMS = 1024
"""At so many a session's empty streams are let go of; when half are left, it has to go."""


class _Sent(NamedTuple):
    """One buffer that belongs to the connection."""

    data: bytes
    stream: Stream | None
    """Whose it is; None: a frame of the broker's own."""
    run: Run | None
    """None: a chunk of its payload."""


_sent: Callable[[tuple[bytes, Stream | None, Run | None]], _Sent] = partial(tuple.__new__, _Sent)
"""A _Sent of a tuple of its fields, at a third of the price of calling it."""


class Outbox:
    """Everything that waits for one client."""

    __slots__ = (
        "_begun",
        "_blocked",
        "_lanes",
        "_marked",
        "_picks",
        "_sending",
        "_sending_bytes",
        "_transfers",
        "_urgent",
        "_urgent_bytes",
        "backlog",
        "gone",
        "holding",
        "passing",
        "streams",
    )

    def __init__(self, whole: Backlog) -> None:
        self.backlog = Backlog(whole)
        self.holding = self.backlog.holding
        """The large payloads that the client holds."""
        self.passing: Parcel | None = None
        """The one whose descriptor goes with what `take` gave last.

        Its frame is the last of that, and it counts as being written until the kernel took it:
        nobody else may close a descriptor whose number stands here.
        """
        self._transfers = Transfers()
        self.streams: dict[StreamKey, Stream] = {}
        self.gone = Tally.empty()
        """What streams counted that no subscription is left of."""
        self._urgent: deque[bytes] = deque()
        self._urgent_bytes = 0
        self._lanes: tuple[dict[Stream, None], ...] = ({}, {})
        """The streams of each lane that have something to write or to tell."""
        self._blocked: tuple[dict[Stream, None], ...] = ({}, {})
        """Those that were found without credit: nobody looks at them until there is more."""
        self._sending: deque[_Sent] = deque()
        self._sending_bytes = 0
        """How much of that is not written yet."""
        self._begun = 0
        """How much of its first buffer is."""
        self._marked: Stream | None = None
        """The stream that was announced last on this connection."""
        self._picks = 0

    # ---- what comes in ------------------------------------------------------------------------

    def say(self, frame: bytes, limits: Limits) -> str:
        """Queue a frame of the broker's own (with its header); why the client has to go, or ""."""
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
        if stream is self._marked and self.is_idle and stream.admits(run):
            self._append(run.data, stream, stream.begin(run))
            return ""
        if not stream.queue:
            self._lanes[stream.key.lane][stream] = None
        cause = stream.offer(run)
        if not cause and self.backlog.bytes > limits.client_bytes:
            return self.shed(self.backlog.bytes - limits.client_bytes)
        return cause

    def refuse(self, stream: Stream, run: Run, reason: str) -> None:
        """Count a run as lost that is not taken at all; it is told soon."""
        stream.refuse(run, reason)
        self._lanes[stream.key.lane][stream] = None

    def shed(self, excess: int) -> str:
        """Make room for `excess` bytes at the cost of the greediest streams, events first."""
        self.credited()
        goal = self.backlog.bytes - excess
        for lane in reversed(self._lanes):
            while self.backlog.bytes > goal:
                waiting = [stream for stream in lane if stream.queue]
                if not waiting:
                    break
                greediest = max(waiting, key=lambda stream: stream.cost)
                if greediest.policy is Overflow.DISCONNECT:
                    return f"{self.backlog.bytes} bytes wait for this client"
                while self.backlog.bytes > goal and greediest.queue:
                    greediest.lose_oldest(OVERFLOW)
        return ""

    def credited(self) -> None:
        """There may be credit where there was none: look at all streams again."""
        for lane, blocked in zip(self._lanes, self._blocked, strict=True):
            lane.update(blocked)
            blocked.clear()

    # ---- what goes out ------------------------------------------------------------------------

    def take(self, max_bytes: int, now_ns: int) -> list[bytes | memoryview]:
        """Buffers for one gathered write: the rest of the last ones, then what may follow."""
        sending, (control, events) = self._sending, self._lanes
        while (
            (events or control or self._urgent or self._transfers)
            and self._sending_bytes < max_bytes
            and len(sending) < MAX_BUFFERS
            and self.passing is None
            and self._next(now_ns)
        ):
            pass
        buffers: list[bytes | memoryview] = [each[0] for each in sending]
        if self._begun:
            buffers[0] = memoryview(buffers[0])[self._begun :]
        return buffers

    def written(self, count: int) -> None:
        """The kernel took the first `count` bytes of what `take` gave last, and what it passed.

        A descriptor goes with the first byte, so the client has it though its frame may not be
        written yet.
        """
        if self.passing is not None:
            self.holding.give(self.passing)
            self.passing = None
        self._sending_bytes -= count
        left = self._begun + count
        sending = self._sending
        while sending and left >= (size := len(sending[0][0])):
            _, stream, run = sending.popleft()
            left -= size
            if stream is not None and run is not None:
                stream.delivered(run)
        self._begun = left

    def pass_no_more(self) -> None:
        """What was to be passed cannot be: from now on, payloads go to this client in chunks.

        The parcel's content has to be there.
        """
        parcel, self.passing = self.passing, None
        assert parcel is not None
        data, stream, run = self._sending.pop()
        self._sending_bytes -= len(data)
        self.holding.carriage = replace(self.holding.carriage, descriptors=False)
        assert stream is not None
        assert run is not None
        self._transfers.begin(stream, run)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing that `take` would have to look at: cheaper than asking it."""
        return not (
            self._sending or self._urgent or self._lanes[0] or self._lanes[1] or self._transfers
        )

    @property
    def pending(self) -> bool:
        """Whether `take` has something to give, credit considered."""
        if self._sending or self._urgent or self._transfers:
            return True
        return any(lane and self._oldest(lane) is not None for lane in self._lanes)

    def _next(self, now_ns: int) -> bool:
        """Move one thing into what is being written; False when there is none that may."""
        self._picks += 1
        if self._transfers:
            return self._next_beside_transfers(now_ns)
        if self._picks % SHARE == 0:
            return self._next_run(reversed(self._lanes), now_ns) or self._next_urgent()
        return self._next_urgent() or self._next_run(self._lanes, now_ns)

    def _next_beside_transfers(self, now_ns: int) -> bool:
        """The same while payloads are on their way in chunks: each has its lane for itself."""
        from_below = self._picks % SHARE == 0
        if not from_below and self._next_urgent():
            return True
        for lane in sorted(Lane, reverse=from_below):
            transfer = self._transfers.at(lane)
            if transfer is not None:
                self._send_chunk(transfer)
                return True
            if self._next_run((self._lanes[lane],), now_ns):
                return True
        return from_below and self._next_urgent()

    def _next_urgent(self) -> bool:
        if not self._urgent:
            return False
        frame = self._urgent.popleft()
        self._urgent_bytes -= len(frame)
        self.backlog.change(-len(frame))
        self._append(frame, None, None)
        return True

    def _next_run(self, lanes: Iterable[dict[Stream, None]], now_ns: int) -> bool:
        for lane in lanes:
            while lane and (stream := self._oldest(lane)) is not None:
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

    def _oldest(self, lane: dict[Stream, None]) -> Stream | None:
        """The stream with the oldest run that may be sent, or with losses and nothing else."""
        oldest: Stream | None = None
        blocked: list[Stream] = []
        for stream in lane:
            if not stream.queue:
                oldest = stream
                break
            if oldest is None or stream.queue[0].number < oldest.queue[0].number:
                if stream.has_credit and not (self.holding.given and self._is_held_up(stream)):
                    oldest = stream
                else:
                    blocked.append(stream)
        for stream in blocked:
            del lane[stream]
            self._blocked[stream.key.lane][stream] = None
        return oldest

    def _is_held_up(self, stream: Stream) -> bool:
        """Whether what comes next is a descriptor, and the client has enough of those."""
        parcel = stream.queue[0].parcel
        return parcel is not None and self.holding.passes(parcel) and self.holding.is_sated

    def _send(self, stream: Stream) -> None:
        self._announce(stream)
        if stream.queue:
            run = stream.begin_oldest()
            if run.parcel is None:
                self._append(run.data, stream, run)
            elif self.holding.passes(run.parcel):
                self.passing = run.parcel
                self._append(run.parcel.frame, stream, run)
            else:
                self._transfers.begin(stream, run)

    def _announce(self, stream: Stream) -> None:
        if self._marked is not stream or stream.untold:
            self._append(stream.mark(), None, None)
            self._marked = stream

    def _send_chunk(self, transfer: Transfer) -> None:
        if not transfer.is_whole:
            most = self.backlog.parcels.limits.frame_bytes  # what every client is ready for
            chunk = transfer.chunk(most)
            if chunk is None:
                self._lose(transfer.stream, UNREADABLE, self._give_up(transfer.stream))
            else:
                self._append(chunk, transfer.stream, None)
            return
        self._transfers.end(transfer)
        self._announce(transfer.stream)
        self._append(transfer.run.data, transfer.stream, transfer.run)

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
            self._lanes[stream.key.lane][stream] = None

    def _append(self, data: bytes, stream: Stream | None, run: Run | None) -> None:
        self._sending.append(_sent((data, stream, run)))
        self._sending_bytes += len(data)

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
        before = len(self.streams)
        for stream in [each for each in self.streams.values() if not each.messages]:
            if stream.untold:
                continue
            del self.streams[stream.key]
            self._lanes[stream.key.lane].pop(stream, None)
            for subscription in stream.subscriptions:
                subscription.past.add(stream.tally)
            self.gone.add(stream.tally)
            if self._marked is stream:
                self._marked = None
        return len(self.streams) < before

    def release(self, subscription: Subscription, *, denied: bool = False) -> None:
        """The subscription is over: what waited for it alone is dropped, what it shared stays.

        Its streams become those of the subscriptions that are left.  What is dropped counts as
        never offered, or as lost when it was `denied`.
        """
        self.credited()
        for stream in [
            each for each in self.streams.values() if subscription in each.subscriptions
        ]:
            del self.streams[stream.key]
            if self._marked is stream:
                self._marked = None
            left = tuple(each for each in stream.subscriptions if each is not subscription)
            if left:
                self._pass_on(stream, left)
            else:
                if denied:
                    self._deny(stream)
                self._drop(stream)

    def purge(self, subscription: Subscription) -> None:
        """Drop what waits for it: its rights became fewer after that was queued."""
        self.credited()
        for stream in self.streams.values():
            if subscription in stream.subscriptions:
                self._deny(stream)

    def close(self) -> None:
        """The connection is gone or has to go: what waits is lost, the broker's last words are not.

        A frame that has been begun is kept, so that what follows it can still be understood.
        """
        begun = self._sending.popleft() if self._begun else None
        for sent in self._sending:
            if sent.stream is not None and sent.run is not None:
                sent.stream.abandon(sent.run)
        self._sending.clear()
        self._sending_bytes = 0
        self.passing = None
        for transfer in self._transfers.take_all():
            transfer.stream.abandon(transfer.run)
        if begun is not None:
            if begun.stream is not None and begun.run is not None:
                begun.stream.abandon(begun.run)
            self._append(begun.data, None, None)
            self._sending_bytes -= self._begun
        for stream in self.streams.values():
            stream.lose_all(DISCONNECTED)
            self.gone.add(stream.tally)
        self.streams.clear()
        for lane in (*self._lanes, *self._blocked):
            lane.clear()
        self.backlog.detach()

    def tally(self) -> Tally:
        """What became of all that was ever offered to this client."""
        total = Tally.empty()
        total.add(self.gone)
        for stream in self.streams.values():
            total.add(stream.tally)
        return total

    def _pass_on(self, stream: Stream, left: tuple[Subscription, ...]) -> None:
        """Make a stream the one of the subscriptions that are left, or part of it."""
        key = stream.key._replace(numbers=tuple(each.number for each in left))
        heir = self.streams.get(key)
        if heir is None:
            stream.serve(key, left)
            self.streams[key] = stream
            return
        for position, sent in enumerate(self._sending):
            if sent.stream is stream:
                self._sending[position] = sent._replace(stream=heir)
        heir.absorb(stream)
        if (transfer := self._transfers.of(stream)) is not None:
            transfer.stream = heir
        if self._lanes[key.lane].pop(stream, heir) is None:
            self._lanes[key.lane][heir] = None

    def _drop(self, stream: Stream) -> None:
        for run in self._take_out(stream):
            stream.withdraw(run)
        self._settle(stream)
        stream.withdraw_all()
        self._lanes[stream.key.lane].pop(stream, None)
        self.gone.add(stream.tally)

    def _deny(self, stream: Stream) -> None:
        """Nothing of it may arrive any more that can be kept back."""
        stream.lose_all(DENIED)
        self._lose(stream, DENIED, self._take_out(stream))

    def _take_out(self, stream: Stream) -> list[Run]:
        """Take back what is on its way of a stream and can be; returns it, not counted yet."""
        found = self._give_up(stream)
        sending = list(self._sending)
        self._sending.clear()
        for position, sent in enumerate(sending):
            run = sent.run
            is_begun = position == 0 and self._begun > 0
            if sent.stream is not stream or is_begun or self._owns_what_is_given(run):
                self._sending.append(sent)
                continue
            self._sending_bytes -= len(sent.data)
            if run is None:
                continue
            found.append(run)
            if run.parcel is not None and run.parcel is self.passing:
                self.passing = None
            elif run.parcel is not None:
                self._append(last_word(run), None, None)
        return found

    def _owns_what_is_given(self, run: Run | None) -> bool:
        """Whether a descriptor is on its way, or there, that the client would miss a frame for."""
        if run is None or run.parcel is None:
            return False
        return run.parcel.number not in self.holding.sending

    def _settle(self, stream: Stream) -> None:
        """Count what has to be finished of a stream that ends as delivered already."""
        for position, sent in enumerate(self._sending):
            if sent.stream is stream:
                if sent.run is not None:
                    stream.delivered(sent.run)
                self._sending[position] = _Sent(sent.data, None, None)
