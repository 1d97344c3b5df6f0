"""A broker's rules with clients in memory: what goes in and comes out, as values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker.router import Router
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import (
    Answer,
    BadBody,
    Envelope,
    Guarantee,
    Heading,
    Notice,
    Settle,
    Settling,
    StreamMark,
    Subscribe,
    Value,
    decode,
    encode,
    encode_publish,
    envelopes,
    parse,
)
from daemoneye.bus.limits import Limits
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.framing import FrameCutter

NOW = 1_700_000_000_000_000_000
EPOCH = 7

Heard = Value | Envelope | BadBody


class Given(NamedTuple):
    """A message of a group, as a member gets it."""

    delivery: int
    tries: int
    payload: bytes
    event: Envelope


@dataclass
class Client:
    """A client that says frames at once and reads when the test says so."""

    router: Router
    session: Session
    cutter: FrameCutter = field(default_factory=lambda: FrameCutter(4 << 20))
    sequences: dict[str, int] = field(default_factory=dict)

    def say(self, *values: Value, now_ns: int = NOW) -> None:
        """Say this in one turn, and have the router take as many more as it needs."""
        self.router.next_turn()
        self.router.receive(self.session, [encode(value) for value in values], now_ns)
        while self.session in self.router.unfinished:
            self.router.next_turn()
            self.router.resume(self.session, now_ns)

    def frame(self, topic: str, *payloads: bytes, request: int = 0, **heading: object) -> bytes:
        """The next frame of these payloads, numbered as a client does."""
        sequence = self.sequences.get(topic, 0) + 1
        self.sequences[topic] = sequence + len(payloads) - 1
        stated = replace(Heading(topic), **heading)  # type: ignore[arg-type]  # fields by name
        return encode_publish(stated, payloads, [NOW] * len(payloads), sequence, request)

    def publish(self, topic: str, *payloads: bytes, request: int = 0, **heading: object) -> None:
        raw = self.frame(topic, *payloads, request=request, **heading)
        self.router.receive(self.session, [raw], NOW)

    def publish_until_handled(
        self,
        topic: str,
        payload: bytes,
        request: int,
        expires_at: int = 0,
        guarantee: Guarantee = Guarantee.AT_LEAST_ONCE,
    ) -> None:
        """At least once if not said otherwise, and answered when it is handled."""
        raw = self.frame(
            topic,
            payload,
            request=request,
            guarantee=guarantee,
            expires_at=expires_at,
        )
        raw += pb.Frame(until_handled=True).SerializeToString()
        self.router.receive(self.session, [raw], NOW)

    def subscribe(self, filter_text: str, number: int = 1, **options: object) -> Answer:
        """Subscribe and return the answer, the last thing that is heard."""
        self.say(Subscribe(number, filter_text, request=number, **options))  # type: ignore[arg-type]  # fields by name
        answer = self.read()[-1]
        assert isinstance(answer, Answer)
        return answer

    def read(self, now_ns: int = NOW, at_once: int = 1 << 16) -> list[Heard]:
        """Everything that may be read now; envelopes one by one."""
        heard: list[Heard] = []
        while buffers := self.session.take(at_once, now_ns):
            data = b"".join(buffers)
            self.session.written(len(data))
            for raw in self.cutter.feed(data):
                heard += self._understood(raw)
        return heard

    def _understood(self, raw: bytes) -> list[Heard]:
        found = decode(raw)
        return list(found) if isinstance(found, list) else [found]

    def events(self, now_ns: int = NOW) -> list[bytes]:
        """The payloads of what may be read now."""
        return [bytes(each.payload) for each in self.read(now_ns) if isinstance(each, Envelope)]

    def jobs(self, now_ns: int = NOW) -> list[Given]:
        """What it is given of groups and may be read now."""
        heard: list[Given] = []
        while buffers := self.session.take(1 << 16, now_ns):
            data = b"".join(buffers)
            self.session.written(len(data))
            for frame in map(parse, self.cutter.feed(data)):
                if frame.delivery:
                    events = envelopes(frame)
                    assert isinstance(events, list)
                    (event,) = events
                    payload = bytes(event.payload)
                    heard.append(Given(frame.delivery, frame.delivery_count, payload, event))
        return heard

    def settle(
        self,
        what: Settling,
        *given: Given | int,
        seconds: float = 0.0,
        reason: str = "",
        request: int = 0,
    ) -> None:
        """Say what became of it."""
        numbers = tuple(each.delivery if isinstance(each, Given) else each for each in given)
        self.say(Settle(what, numbers, seconds, reason, request))

    def ack(self, *given: Given | int) -> None:
        self.settle(Settling.ACK, *given)

    def notices(self) -> list[Notice]:
        return [each for each in self.read() if isinstance(each, Notice)]

    def marks(self, now_ns: int = NOW) -> list[StreamMark]:
        return [each for each in self.read(now_ns) if isinstance(each, StreamMark)]


class Bus:
    """A router with the access list and the limits a test needs."""

    def __init__(self, *rules: AccessRule, **limits: float) -> None:
        self.router = Router(Limits.of(limits), AccessList(rules), EPOCH)

    def client(
        self, name: str, role: str = "agent", kind: str = "", incarnation: int = 1
    ) -> Client:
        identity = Identity(name, role, kind, incarnation, pid=4242)
        return Client(self.router, self.router.open(identity, Declared(), NOW))

    def pass_time(self, seconds: float) -> None:
        """So much later, by the broker's clock; what is due then is done."""
        clock = self.router.clock
        clock.pass_time(seconds)
        while clock.rings:
            self.router.keep_time(NOW)

    def procmond(self) -> Client:
        return self.client("procmond", "collector", "process")
