"""A good frame of every kind, as both sides say them: what mutations begin with."""

from __future__ import annotations

from daemoneye.bus.access import AccessRule, Declared
from daemoneye.bus.frames import (
    Answer,
    Cancel,
    Challenge,
    Choice,
    Chunk,
    Clear,
    ClientRow,
    Confirm,
    Correlation,
    Credit,
    Goodbye,
    Heading,
    Hello,
    Notice,
    Overflow,
    Ping,
    Pong,
    Proof,
    Publisher,
    Query,
    Refusal,
    Release,
    Reply,
    Settle,
    Settling,
    StreamMark,
    Subscribe,
    SubscriptionRow,
    Unsubscribe,
    Value,
    Welcome,
    Will,
    arrival_stamp,
    call_stamp,
    encode,
    encode_call,
    encode_large,
    encode_publish,
    identity_stamp,
    parcel_stamp,
)
from daemoneye.bus.orders import Admit, Credential, Ended, Rules, Say, encode_order
from daemoneye.bus.topics import TopicFilter

TICK = "events.demo.tick"
WISH = "control.collector.lifecycle"

HANDSHAKE: tuple[Value, ...] = (
    Hello(1, "operator", 7, bytes(32)),
    Challenge(bytes(32), 9),
    Proof(bytes(32)),
    Welcome(bytes(32), "agent", 1 << 20, 5.0, 3),
    Refusal("busy", "no room"),
)

SAID_BY_CLIENTS: tuple[Value, ...] = (
    Subscribe(1, "events.#", request=1),
    Subscribe(2, "events.demo.+", Overflow.LATEST, 10, 1000, 5, 5000, request=2),
    Subscribe(3, "control.#", Overflow.DROP_NEWEST, request=3),
    Subscribe(4, TICK, Overflow.DISCONNECT, 5, request=4),
    Subscribe(5, TICK, group="workers", request=13),
    Subscribe(6, "events.demo.+", group="sorters", choice=Choice.BY_KEY, request=14),
    Settle(Settling.RETRY, (1, 2, 3), seconds=2.5, request=15),
    Settle(Settling.REJECT, (2, 4, 5, 6), reason="no"),
    Settle(Settling.EXTEND, (7,), seconds=1.0),
    Credit(1, 5000, 1 << 24),
    Credit(2, 10, 10_000),
    Unsubscribe(2, 5),
    Query("clients", request=6),
    Query("subscriptions", request=7),
    Query("access", "mallory", "publish", TICK, 8),
    Ping(9),
    Pong(10),
    Chunk(1, 600, 0, b"x" * 300),
    Chunk(1, 600, 300, b"y" * 300),
    Chunk(2, 0),
    Release((1, 2)),
    Clear(TICK, 11),
    Will(TICK, b"gone", retain=True, request=12),
    Subscribe(5, "control.demo.echo", serve=True, request=14),
    Reply(1, content_type="t", payload=b"x", time=1),
    Reply(2, rejected="no"),
    Cancel(15),
    Goodbye(),
)

SAID_BY_BROKERS: tuple[Value, ...] = (
    Answer(1, subscribers=2, narrowed=("events.secret.#",), rule="allow"),
    Answer(2, "AccessDenied", "no", "ask", "deny"),
    Answer(6, acknowledge_timeout=30.0, choice=Choice.STANDBY),
    Answer(
        3,
        clients=(ClientRow("a", "agent", 1, 2, 3, 4, 5, 6, 7, 8),),
        subscriptions=(SubscriptionRow("a", 1, "a.#", "default", 2, 3, 4),),
    ),
    StreamMark((1,)),
    StreamMark((1, 2), {"overflow": 3}),
    StreamMark((2,), {"expired": 1, "denied": 2}),
    Notice("denied", TICK, "no", "deny"),
    Notice("unsubscribed", TICK, "gone", "deny", 1),
    Notice("going-down"),
    Notice("cancelled", TICK, "no", delivery=1),
    Notice("late-reply", delivery=2),
    Reply(request=1, content_type="t", payload=b"x", time=1, publisher=Publisher("a", "b", 1, 2)),
    Reply(request=2, rejected="no"),
    Confirm(1024),
    Ping(4),
    Pong(5),
    Chunk(1, 600, 0, b"x" * 300),
    Chunk(1, 600, 300, b"y" * 300),
    Chunk(2, 0),
)

_EVERY_OPTION = Heading(
    TICK,
    target="operator",
    content_type="application/json",
    correlation=Correlation("i", "p", "r", "s", (("k", "v"), ("l", "")), "t"),
    expires_at=(1 << 62),
)

PUBLISHES: tuple[bytes, ...] = (
    encode_publish(Heading(TICK), [b"x"], [1], 1),
    encode_publish(Heading(TICK), [b"x", b"", b"y" * 200], [1, 2, 3], 2),
    encode_publish(Heading(TICK), [b"x"], [1], 9, request=11),
    encode_publish(_EVERY_OPTION, [b"{}"] * 2, [1, 2], 20, request=12),
    encode_publish(Heading(TICK, retain=True), [b"x", b"y"], [1, 2], 25),
    encode_publish(Heading(TICK, partition_key="k", content_type="t"), [b"x"] * 3, [1] * 3, 30),
    encode_publish(Heading("control.health.heartbeat"), [b"x"], [1], 1),
    encode_publish(Heading(WISH, target="netmond"), [b'{"verb":"start"}'], [1], 1),
    encode_publish(Heading("$bus.x"), [b"x"], [1], 1, request=13),
)

_STAMP = identity_stamp("procmond", "collector", 4242, 3) + arrival_stamp(1)

CALLS: tuple[bytes, ...] = (
    encode_call(Heading(TICK, expires_at=1 << 62), b"x", 1, 15),
    encode_call(Heading("control.demo.echo", content_type="t"), b"x", 1, 16),
    encode_call(_EVERY_OPTION, b"", 1, 17),
)

FROM_CLIENTS: tuple[bytes, ...] = (*map(encode, SAID_BY_CLIENTS), *PUBLISHES, *CALLS)
LARGE: tuple[bytes, ...] = (
    encode_large(Heading(TICK), 600, 1, 30) + parcel_stamp(1, 0),
    encode_large(Heading(TICK), 600, 1, 31) + parcel_stamp(7, 1),
)
"""Publishes of what came ahead: in the chunks above, or with a descriptor."""

FROM_BROKERS: tuple[bytes, ...] = (
    *map(encode, SAID_BY_BROKERS),
    *(raw + _STAMP for raw in (*PUBLISHES, *LARGE)),
    *(raw + _STAMP + call_stamp(9) for raw in CALLS),
)
FRAMES: tuple[bytes, ...] = (*map(encode, HANDSHAKE), *FROM_CLIENTS, *FROM_BROKERS)

ORDERS: tuple[bytes, ...] = (
    encode_order(
        Rules((AccessRule("role:worker", "read-only", "a.#", deny=True),), {"connections": 5.0})
    ),
    encode_order(Admit(Credential("w", "worker", bytes(32), "", 3, 4))),
    encode_order(
        Admit(Credential("p", "collector", bytes(32), "k", 1, 0, Declared((TopicFilter("a"),))))
    ),
    encode_order(Ended("w", 3, "signal:9")),
    encode_order(Say(TICK, b"x", "text/plain", "w", True)),
)
