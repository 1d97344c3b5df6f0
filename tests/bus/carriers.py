"""Large payloads in memory: clients that pass descriptors or cut chunks, with no kernel between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from daemoneye.bus.access import AccessRule, Declared, Identity
from daemoneye.bus.arrivals import Arrivals
from daemoneye.bus.broker.session import Passed
from daemoneye.bus.frames import (
    PUBLISH,
    Carriage,
    Chunk,
    Envelope,
    Heading,
    Release,
    chunk_head,
    control_value,
    encode,
    encode_large,
    large_envelopes,
    parcel_stamp,
    parse,
)
from tests.bus.support import NOW, Bus, Client, Heard

DESCRIPTORS = Carriage(descriptors=True, max_payload_bytes=1 << 30)
CHUNKS = Carriage(descriptors=False, max_payload_bytes=1 << 30)


@dataclass
class Memory:
    """What stands behind descriptors that are only numbers."""

    contents: dict[int, bytes] = field(default_factory=dict)

    def hold(self, content: bytes) -> int:
        """A new descriptor of this."""
        descriptor = 100 + len(self.contents)
        self.contents[descriptor] = content
        return descriptor


@dataclass
class Carrier(Client):
    """A client that sends and takes large payloads."""

    memory: Memory = field(default_factory=Memory)
    arrivals: Arrivals[int] = field(default_factory=lambda: Arrivals(1 << 30))
    parcels: int = 0
    chunks: int = 0
    """How many have come."""
    got: list[int] = field(default_factory=list)
    """The numbers of what came with a descriptor."""

    def frame_of(self, topic: str, size: int, request: int = 0, **heading: object) -> bytes:
        """The publish of a payload of that size, but for how it goes."""
        sequence = self.sequences[topic] = self.sequences.get(topic, 0) + 1
        stated = replace(Heading(topic), **heading)  # type: ignore[arg-type]  # fields by name
        return encode_large(stated, size, NOW, sequence, request)

    def pass_on(
        self,
        topic: str,
        content: bytes,
        *,
        request: int = 0,
        now_ns: int = NOW,
        passed: Passed | None = None,
        **heading: object,
    ) -> int:
        """Publish this with a descriptor, or what is said to have come instead; which it is."""
        it = passed or Passed(self.memory.hold(content), len(content))
        self.router.uploads.came(self.session, [it])
        raw = self.frame_of(topic, len(content), request, **heading) + parcel_stamp(0, 1)
        self.router.receive(self.session, [raw], now_ns)
        return it.descriptor

    def cut(
        self,
        topic: str,
        content: bytes,
        *,
        size: int = 10,
        request: int = 0,
        now_ns: int = NOW,
        **heading: object,
    ) -> None:
        """Publish this in chunks of that size."""
        self.parcels += 1
        starts = range(0, len(content), size)
        parts = [(at, content[at : at + size]) for at in starts]
        frames = [
            chunk_head(self.parcels, len(content), at, len(part)) + part for at, part in parts
        ]
        raw = self.frame_of(topic, len(content), request, **heading)
        frames.append(raw + parcel_stamp(self.parcels, 0))
        self.router.receive(self.session, frames, now_ns)

    def begin(self, size: int, parcel: int = 99, content: bytes = b"x") -> None:
        """Send the first byte of a payload of that size, or so much of it."""
        self.router.receive(self.session, [encode(Chunk(parcel, size, 0, content))], NOW)

    def read(self, now_ns: int = NOW, at_once: int = 1 << 16) -> list[Heard]:
        """Everything that may be read now."""
        heard: list[Heard] = []
        while (found := self.read_once(now_ns, at_once)) is not None:
            heard += found
        return heard

    def read_once(
        self, now_ns: int = NOW, at_once: int = 1 << 16, room: int = 1 << 30
    ) -> list[Heard] | None:
        """What one write brings, of which the kernel takes so much; None when there is none."""
        buffers = self.session.take(at_once, now_ns)
        if not buffers:
            return None
        if (descriptor := self.session.passing) is not None:
            self.arrivals.came([descriptor])
        data = b"".join(buffers)[:room]
        self.session.written(len(data))
        return [heard for raw in self.cutter.feed(data) for heard in self._understood(raw)]

    def _understood(self, raw: bytes) -> list[Heard]:
        frame = parse(raw)
        if frame.kind != PUBLISH:
            value = control_value(frame)
            if isinstance(value, Chunk):
                self.chunks += 1
                self.arrivals.add(value)
            return [value]
        if frame.descriptors:
            self.got.append(frame.parcel)
            content: bytes | memoryview | None = self.memory.contents[self.arrivals.claim()]
        elif frame.large_bytes:
            content = self.arrivals.collect(frame.parcel, frame.large_bytes)
        else:
            return Client._understood(self, raw)
        found = large_envelopes(frame, content)
        return list(found) if isinstance(found, list) else [found]

    def release(self, *numbers: int) -> None:
        """Let go of these, or of all that came with a descriptor."""
        self.say(Release(numbers or tuple(self.got)))
        self.got = [each for each in self.got if numbers and each not in numbers]


class Yard(Bus):
    """A router and clients with one memory."""

    def __init__(self, *rules: AccessRule, **limits: float) -> None:
        super().__init__(*rules, **{"large_from_bytes": 1, **limits})
        self.memory = Memory()

    def carrier(
        self, name: str, takes: Carriage = DESCRIPTORS, role: str = "agent", kind: str = ""
    ) -> Carrier:
        identity = Identity(name, role, kind, 1, pid=4242)
        session = self.router.open(identity, Declared(), NOW, takes)
        return Carrier(self.router, session, memory=self.memory)

    @property
    def in_flight(self) -> tuple[int, int]:
        """Bytes and descriptors."""
        return self.router.parcels.bytes, self.router.parcels.descriptors

    def read_unread(self) -> None:
        """What the shell does for clients that take chunks of what came as a descriptor."""
        for parcel in self.router.parcels.unread:
            if parcel.holders and parcel.content is None:
                parcel.content = memoryview(self.memory.contents[parcel.descriptor])
        self.router.parcels.unread.clear()


def lost(heard: list[Heard]) -> dict[str, int]:
    """What the marks among these told."""
    found: dict[str, int] = {}
    for each in heard:
        for reason, count in getattr(each, "lost", {}).items():
            if not isinstance(each, Envelope):
                found[reason] = found.get(reason, 0) + count
    return found


def payloads(heard: list[Heard]) -> list[bytes]:
    """Of the events among these."""
    return [bytes(each.payload) for each in heard if isinstance(each, Envelope)]
