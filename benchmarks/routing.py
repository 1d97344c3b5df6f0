"""What the router costs: frames of one turn in, gathered buffers out; without any socket."""

from __future__ import annotations

from time import perf_counter_ns

from benchmarks.measure import Figure, Pace, percentile
from daemoneye.bus.access import AccessList, AccessRule, Declared, Identity
from daemoneye.bus.broker.router import Router
from daemoneye.bus.broker.session import Session
from daemoneye.bus.frames import Heading, encode, encode_publish
from daemoneye.bus.kinds import Subscribe
from daemoneye.bus.limits import Limits

TABLE = "rules and router, no sockets"
TOPIC = "bench.flood"
PAYLOAD = b"x" * 256
PLENTY = 1 << 40  # credit that nobody uses up
TURNS = 0.4  # turns for each call that the pace allows a rule
SHAPES = ((1, 16), (190, 1))  # messages in a frame, frames in a turn


def routing(pace: Pace) -> list[Figure]:
    """Turns of single messages and of full frames, to one and to eight subscribers."""
    turns = int(pace.calls * TURNS)
    return [turn(*shape, subscribers, turns) for shape in SHAPES for subscribers in (1, 8)]


def turn(messages: int, frames: int, subscribers: int, turns: int) -> Figure:
    """One turn of a publisher: what a message costs until its bytes are ready to be written."""
    router, publisher = a_router(), Identity("publisher", "agent")
    source = router.open(publisher, Declared(), 0)
    sinks = [subscribed(router, number) for number in range(subscribers)]
    took = []
    for number in range(turns):
        batch = [frame(messages, number * frames + each) for each in range(frames)]
        start = perf_counter_ns()
        router.receive(source, batch, start)
        for sink in sinks:
            drain(sink, start)
        took.append((perf_counter_ns() - start) / 1000 / (messages * frames))
    name = f"route a message, {messages} in a frame, 1→{subscribers}"
    return Figure(name, percentile(took, 0.5), "µs", "less", TABLE)


def a_router() -> Router:
    """A router on which guests may read the benchmark's topic."""
    return Router(Limits(), AccessList([AccessRule("*", "read-only", "bench.#")]), epoch=1)


def subscribed(router: Router, number: int) -> Session:
    """One more client that wants the topic and always has credit."""
    session = router.open(Identity(f"guest{number}", "worker"), Declared(), 0)
    wish = Subscribe(1, TOPIC, credit_messages=PLENTY, credit_bytes=PLENTY, request=1)
    router.receive(session, [encode(wish)], 0)
    drain(session, 0)
    return session


def frame(messages: int, number: int) -> bytes:
    """The publisher's frame of that number."""
    return encode_publish(
        Heading(TOPIC), [PAYLOAD] * messages, [1] * messages, 1 + number * messages
    )


def drain(session: Session, now_ns: int) -> None:
    """Write everything that may be written, to nowhere."""
    while buffers := session.take(64 << 10, now_ns):
        session.written(sum(map(len, buffers)))


BENCHMARKS = (routing,)
