"""Large payloads in flight: who holds them, how much that is, and for whom there is room.  Pure.

A *parcel* is one large payload at the broker.  It counts once, however many clients it goes to,
from its descriptor or first chunk until nobody holds it any more.  Holders are the publisher that
is still sending it, outboxes where it waits, and clients that were given its descriptor and have
not let go of it: a client that stopped keeps memory in use that nobody sees in the broker.

What waits in chunks is memory of the broker, what waits as a descriptor is the kernel's; both are
bounded by the same limits, apart from what else waits.  One connection has a share of them: of what
waits for it, and of what it was given, each may pass the share by one parcel, because a parcel may
be as large as a share.  What waits is dropped when others need the room, and who keeps what it was
given is cut off.  What is only announced is bounded for all connections of an identity together: a
promise of chunks by a share, and it takes no more room than what has come of it.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from daemoneye.bus.arrivals import UNCLAIMED
from daemoneye.bus.broker.clock import Clock
from daemoneye.bus.frames import Carriage, parcel_stamp
from daemoneye.bus.limits import Limits

SHARES = 4
"""A client's share of what may be in flight is one in so many."""

DAWDLING = 3
"""So many times as long as a write may take a client may take to send a payload in chunks, when
others need the room: who sends a byte now and then would keep it for ever."""

NO_DESCRIPTOR = -1


class Cuttable(Protocol):
    """What chunks can be cut from."""

    def __getitem__(self, part: slice, /) -> bytes | memoryview:
        """So much from there.  Raises OSError and MemoryError when that cannot be read."""


class Parcel:
    """One large payload."""

    __slots__ = ("content", "descriptor", "holders", "number", "publish", "size")

    def __init__(self, number: int, size: int, descriptor: int = NO_DESCRIPTOR) -> None:
        self.number = number
        """Under which it is delivered; rises with every parcel of the broker."""
        self.size = size
        self.descriptor = descriptor
        """Of sealed memory; NO_DESCRIPTOR when it came in chunks."""
        self.content: Cuttable | None = None
        """To cut chunks from; of a descriptor it is there when somebody needs chunks of it."""
        self.publish = b""
        """Its publish as it follows chunks, packed: what waits as data of its run."""
        self.holders = 1

    @property
    def frame(self) -> bytes:
        """The publish that owns its descriptor, packed.

        Made when it is written: it may be as large as a frame, and waits as `publish` already.
        """
        stamp = parcel_stamp(self.number, descriptors=1)
        return self.publish[: -len(stamp)] + stamp

    def __repr__(self) -> str:
        return f"<Parcel {self.number}, {self.size} bytes, {self.holders} holders>"


class Parcels:
    """All parcels of a broker."""

    __slots__ = ("_numbered", "bytes", "clock", "descriptors", "limits", "released", "unread")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._numbered = 0
        self.bytes = 0
        """How much is in flight."""
        self.descriptors = 0
        """How many of them have a descriptor, and how many have come that no publish owns yet."""
        self.clock = Clock()
        """By which it is measured how long somebody keeps something."""
        self.released: list[int] = []
        """Descriptors that nobody holds any more: the shell closes them."""
        self.unread: list[Parcel] = []
        """Of these chunks are needed: the shell gives them their content."""

    @property
    def share_bytes(self) -> int:
        """How much of it is a client's."""
        return max(1, self.limits.large_bytes // SHARES)

    @property
    def share_descriptors(self) -> int:
        """How many of the descriptors are."""
        return max(1, self.limits.large_descriptors // SHARES)

    def has_room(self) -> bool:
        """Whether no more is in flight than may be, the one that comes included."""
        limits = self.limits
        return self.bytes <= limits.large_bytes and self.descriptors <= limits.large_descriptors

    def add(self, size: int, descriptor: int = NO_DESCRIPTOR) -> Parcel:
        """A new parcel, held once: by whoever asked for it."""
        self._numbered += 1
        self.bytes += size
        self.descriptors += descriptor != NO_DESCRIPTOR
        return Parcel(self._numbered, size, descriptor)

    def let_go(self, parcel: Parcel) -> None:
        """One holder less."""
        parcel.holders -= 1
        if not parcel.holders:
            self.bytes -= parcel.size
            parcel.content = None
            if parcel.descriptor != NO_DESCRIPTOR:
                self.descriptors -= 1
                self.released.append(parcel.descriptor)


class Held(dict[int, Parcel]):
    """Parcels by number, the oldest first, and how much they are.

    It changes by `put` and `take` only: every publish asks how much waits, however much that is.
    """

    __slots__ = ("bytes", "descriptors")

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.descriptors = 0

    def put(self, number: int, parcel: Parcel) -> None:
        """One more."""
        self[number] = parcel
        self.bytes += parcel.size
        self.descriptors += parcel.descriptor != NO_DESCRIPTOR

    def take(self, number: int) -> Parcel | None:
        """One less; None when it is not there."""
        parcel = self.pop(number, None)
        if parcel is not None:
            self.bytes -= parcel.size
            self.descriptors -= parcel.descriptor != NO_DESCRIPTOR
        return parcel


class Owner:
    """What all connections of one identity (of a child: of one incarnation) have announced.

    Announcing costs nothing, so it is bounded for all connections together that a key is good for:
    else one client could take the room of all others with four connections.
    """

    __slots__ = ("promised", "promises", "unclaimed")

    def __init__(self) -> None:
        self.promises = 0
        """How many parcels they have begun to send in chunks."""
        self.promised = 0
        """How large those will be, in bytes."""
        self.unclaimed = 0
        """How many of their descriptors wait for their publish."""


class Holding:
    """What one client holds, and how it takes it."""

    __slots__ = (
        "_begun",
        "_fed_at",
        "_given_at",
        "_promised",
        "carriage",
        "coming",
        "given",
        "owner",
        "parcels",
        "sending",
        "unclaimed",
        "waiting",
    )

    def __init__(self, parcels: Parcels) -> None:
        self.parcels = parcels
        self.carriage = Carriage()
        """What the client takes; of descriptors, whether they travel on its connection."""
        self.waiting = Held()
        """In its outbox, by number, the oldest first."""
        self.sending = Held()
        """Being written."""
        self.given = Held()
        """With it, until it lets go of them."""
        self.coming = Held()
        """What it is sending in chunks, by its own number: as large as what has come of it."""
        self.owner = Owner()
        """Shared with the other connections of its identity."""
        self.unclaimed: deque[float] = deque()
        """Since when, by the clock of `parcels`, what has come waits for its publish, in order."""
        self._given_at: dict[int, float] = {}  # of what is given, by number: since when
        self._fed_at = 0.0
        self._promised: dict[int, int] = {}  # of what is coming, by number: how large it will be
        self._begun: dict[int, float] = {}  # of what is coming, by number: since when

    # ---- how much -------------------------------------------------------------------------------

    @property
    def bytes(self) -> int:
        """All that it holds."""
        return self.waiting.bytes + self.sending.bytes + self.given.bytes + self.coming.bytes

    @property
    def is_over(self) -> bool:
        """Whether more waits for it than its share, and more than one parcel."""
        parcels, waiting = self.parcels, self.waiting
        return len(waiting) > 1 and (
            waiting.bytes > parcels.share_bytes or waiting.descriptors > parcels.share_descriptors
        )

    @property
    def is_sated(self) -> bool:
        """Whether it has been given all of its share: no more until it lets go of something."""
        parcels, sending, given = self.parcels, self.sending, self.given
        return (
            len(sending) + len(given) >= parcels.share_descriptors
            or sending.bytes + given.bytes >= parcels.share_bytes
        )

    @property
    def is_crowding(self) -> bool:
        """Whether its owner has begun to send more than a share, and more than one parcel."""
        owner = self.owner
        return owner.promises > 1 and owner.promised > self.parcels.share_bytes

    @property
    def is_littering(self) -> bool:
        """Whether more descriptors of its owner wait than a share, and than on one connection."""
        return self.owner.unclaimed > max(UNCLAIMED, self.parcels.share_descriptors)

    def is_stale(self, patience: float) -> bool:
        """Whether it has kept what it was given for longer, sends on no more, or dawdles.

        Longer than so many seconds.
        """
        now = self.parcels.clock.now
        if now - next(iter(self._given_at.values()), now) > patience:
            return True
        begun = next(iter(self._begun.values()), now)
        return bool(self.coming) and (
            now - self._fed_at > patience or now - begun > DAWDLING * patience
        )

    def passes(self, parcel: Parcel) -> bool:
        """Whether this parcel goes to it as a descriptor; else it goes in chunks."""
        return self.carriage.descriptors and parcel.descriptor != NO_DESCRIPTOR

    # ---- going out ------------------------------------------------------------------------------

    def take(self, parcel: Parcel) -> None:
        """It waits for this client, too."""
        parcel.holders += 1
        self.waiting.put(parcel.number, parcel)

    def send(self, parcel: Parcel) -> None:
        """It does not wait any more: it is being written."""
        self.waiting.take(parcel.number)
        self.sending.put(parcel.number, parcel)

    def drop(self, parcel: Parcel) -> None:
        """It is not for this client any more, or all its chunks are; harmless when it was given."""
        for held in (self.waiting, self.sending):
            if held.take(parcel.number) is not None:
                self.parcels.let_go(parcel)

    def give(self, parcel: Parcel) -> None:
        """Its descriptor is on its way: the client has it until it lets go of it."""
        self.sending.take(parcel.number)
        self.given.put(parcel.number, parcel)
        self._given_at[parcel.number] = self.parcels.clock.now

    def release(self, number: int) -> None:
        """The client has let go of what it was given; harmless for a number that it was not."""
        self._given_at.pop(number, None)
        parcel = self.given.take(number)
        if parcel is not None:
            self.parcels.let_go(parcel)

    # ---- coming in ------------------------------------------------------------------------------

    def begin(self, number: int, size: int) -> None:
        """It begins to send a parcel of that size in chunks, under this number of its own."""
        self.coming.put(number, self.parcels.add(0))
        self._promised[number] = size
        self.owner.promises += 1
        self.owner.promised += size
        self._begun[number] = self.parcels.clock.now

    def fed(self, number: int, size: int) -> None:
        """So much more of it has come; it only counts as a sign of life when there was no room."""
        self._fed_at = self.parcels.clock.now
        parcel = self.coming.get(number)
        if parcel is not None:
            parcel.size += size
            self.coming.bytes += size
            self.parcels.bytes += size

    def arrived(self, number: int) -> Parcel | None:
        """It is whole, and let go of by whoever takes it; None when there was no room for it."""
        parcel = self.coming.take(number)
        if parcel is not None:
            self.owner.promises -= 1
            self.owner.promised -= self._promised.pop(number)
            del self._begun[number]
        return parcel

    def expect(self, count: int) -> None:
        """So many descriptors have come, whose publishes follow."""
        self.unclaimed.extend([self.parcels.clock.now] * count)
        self.owner.unclaimed += count

    def claimed(self) -> None:
        """The first of those has its publish, or will never have one."""
        self.unclaimed.popleft()
        self.owner.unclaimed -= 1

    def give_up(self, number: int) -> None:
        """The rest will not come."""
        parcel = self.arrived(number)
        if parcel is not None:
            self.parcels.let_go(parcel)

    def leave(self) -> None:
        """It has to go: what it was given and what it sends on is not waited for."""
        for number in list(self.given):
            self.release(number)
        for number in list(self.coming):
            self.give_up(number)

    # ---- the end --------------------------------------------------------------------------------

    def close(self) -> None:
        """The client is gone."""
        self.leave()
        for parcel in (*self.waiting.values(), *self.sending.values()):
            self.drop(parcel)
