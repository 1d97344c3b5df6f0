"""Large payloads that did not come, came twice, are not what they claim, or come out of order.

Part of the decoder's target.  Descriptors are numbers here: each that ever came has to be let go of
once, whatever was said about it, and the room for large payloads has to be free in the end.
"""

from __future__ import annotations

import random
from contextlib import suppress

from daemoneye.bus.broker.parcels import NO_DESCRIPTOR
from daemoneye.bus.broker.session import Passed
from daemoneye.bus.frames import (
    Chunk,
    Envelope,
    Heading,
    Release,
    Replay,
    encode,
    encode_large,
    parcel_stamp,
)
from daemoneye.errors import RemoteProtocolError, TooLarge
from tests.bus.carriers import CHUNKS, DESCRIPTORS, Carrier, Yard
from tests.bus.support import NOW
from tests.fuzz.corpus import FROM_CLIENTS, TICK
from tests.fuzz.mutations import mutated

LARGE, DESCRIPTORS_AT_MOST = 40_000, 6
SIZES = (0, 1, 2, 99, 100, 101, 9_999, 10_000, 10_001, 39_999, 40_000, 1 << 31, (1 << 64) - 1)


class Hoard:
    """What mallory has to send with."""

    def __init__(self, dice: random.Random, carrier: Carrier) -> None:
        self.dice = dice
        self.carrier = carrier
        self.content = b"mallory's" * 1111
        self.offsets: dict[int, int] = {}
        self.sequence = 0

    def passed(self) -> list[Passed]:
        """Descriptors that come with what she says: good ones, others, lost ones, none."""
        if self.dice.random() < 0.6:
            return []
        found = []
        for _ in range(self.dice.choice((1, 1, 1, 2, 5))):
            descriptor = self.carrier.memory.hold(self.content)
            size = self.dice.choice((len(self.content), len(self.content), 0))
            found.append(self.dice.choice((Passed(descriptor, size),) * 9 + (LOST,)))
        return found

    def frames(self) -> list[bytes]:
        return [self.frame() for _ in range(self.dice.choice((1, 1, 2, 5, 20)))]

    def frame(self) -> bytes:
        choice = self.dice.random()
        if choice < 0.4:
            return self.chunk()
        if choice < 0.7:
            return self.publish()
        if choice < 0.8:
            numbers = [self.dice.randrange(20) for _ in range(self.dice.randrange(5))]
            return encode(Release(tuple(numbers)))
        return self.dice.choice(FROM_CLIENTS)

    def chunk(self) -> bytes:
        """The next of a parcel as a rule, else any."""
        dice, parcel = self.dice, self.dice.randrange(6)
        offset = self.offsets.get(parcel, 0)
        size = dice.choice((len(self.content),) * 9 + SIZES)
        content = self.content[offset : offset + dice.choice((0, 1, 1000, 9_999, 20_000))]
        if dice.random() < 0.1:
            offset += dice.choice((-1, 1, 5000))
        self.offsets[parcel] = offset + len(content)
        if size == 0 or self.offsets[parcel] >= len(self.content):
            self.offsets.pop(parcel, None)
        raw = encode(Chunk(parcel, size, max(0, offset), content))
        return mutated(dice, raw) if dice.random() < 0.1 else raw

    def publish(self) -> bytes:
        """Of what came, as a rule."""
        dice = self.dice
        self.sequence += 1
        size = dice.choice((len(self.content),) * 9 + SIZES)
        raw = encode_large(Heading(dice.choice((TICK, "$bus.x"))), size, NOW, self.sequence)
        stamp = parcel_stamp(dice.randrange(6), dice.choice((0, 0, 1, 1, 1, 2, 99)))
        return mutated(dice, raw + stamp) if dice.random() < 0.1 else raw + stamp


LOST = Passed(NO_DESCRIPTOR, 0)


def hostile_carrier(dice: random.Random) -> None:
    """One round: some turns of hers, after each of which others publish and read as ever."""
    yard = Yard(
        large_bytes=LARGE, large_descriptors=DESCRIPTORS_AT_MOST, payload_bytes=20_000,
        urgent_bytes=1 << 20,
    )  # fmt: skip
    good = yard.carrier("good")
    takers = [yard.carrier("one", DESCRIPTORS), yard.carrier("two", CHUNKS)]
    for each in takers:
        each.subscribe("events.#")
    came: list[int] = []
    mallory: Carrier | None = None
    for number in range(1, dice.randrange(3, 15)):
        if mallory is None:
            mallory = yard.carrier("mallory", dice.choice((DESCRIPTORS, CHUNKS)))
            mallory.subscribe("events.#", replay=Replay.NONE)
            hoard = Hoard(dice, mallory)
        if not _turn(yard, mallory, hoard, came):
            mallory = None
        _check_room(yard)
        _check_others(yard, good, takers, number)
    for each in (good, *takers, *([mallory] if mallory else [])):
        each.router.close(each.session)
    assert yard.in_flight == (0, 0)
    assert sorted(yard.router.parcels.released) == sorted(came)
    seen = yard.router.statistics()
    assert (seen.clients, seen.queued, seen.queued_bytes) == (0, 0, 0)


def _turn(yard: Yard, mallory: Carrier, hoard: Hoard, came: list[int]) -> bool:
    """What she says in one turn; whether she may stay."""
    router, session = yard.router, mallory.session
    try:
        passed = hoard.passed()
        came += [each.descriptor for each in passed if each.descriptor != NO_DESCRIPTOR]
        if passed:
            router.uploads.came(session, passed)
        router.receive(session, hoard.frames(), NOW)
        while session in router.unfinished:
            router.next_turn()
            router.resume(session, NOW)
    except (RemoteProtocolError, TooLarge):
        router.close(session)
        return False
    yard.read_unread()
    if hoard.dice.random() < 0.5:
        with suppress(RemoteProtocolError, TooLarge):  # of hers, who may have lost count
            mallory.read()
    if session in router.doomed:
        router.close(session)
    return router.doomed.pop(session, None) is None


def _check_room(yard: Yard) -> None:
    """Never more than the limits in flight but for what is not claimed; nobody else cut off."""
    flying, descriptors = yard.in_flight
    unclaimed = sum(
        each.descriptor != NO_DESCRIPTOR
        for session in yard.router.directory
        for each in session.arrivals.waiting
    )
    assert 0 <= flying <= LARGE
    assert 0 <= descriptors - unclaimed <= DESCRIPTORS_AT_MOST
    assert not yard.router.doomed
    assert not set(yard.router.parcels.released) & {
        parcel.descriptor
        for session in yard.router.directory
        for held in (session.outbox.holding.waiting, session.outbox.holding.sending)
        for parcel in held.values()
        if parcel.descriptor != NO_DESCRIPTOR
    }


def _check_others(yard: Yard, good: Carrier, takers: list[Carrier], number: int) -> None:
    """A small event of somebody else arrives, behind whatever came of hers."""
    good.publish("events.good.tick", b"%d" % number)
    for taker in takers:
        heard = []
        while True:
            yard.read_unread()
            found = taker.read()
            heard += [each for each in found if isinstance(each, Envelope)]
            if not found:
                break
            if taker.got:
                taker.release()
        ours = [each.payload for each in heard if each.publisher.name == "good"]
        assert ours == [b"%d" % number]
        for each in heard:
            assert each.publisher.name in ("good", "mallory")
