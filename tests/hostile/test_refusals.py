"""What the broker refuses, drops or ends: told, counted, and no cost to anybody else.

The other side can read why; the count stands under a word of the documents; and a client that has
nothing to do with it notices nothing.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemoneye.bus.access import AccessRule
from daemoneye.bus.client.bus_client import BusClient
from daemoneye.bus.frames import (
    Answer,
    Chunk,
    Credit,
    Goodbye,
    Heading,
    Hello,
    Notice,
    Overflow,
    Ping,
    Pong,
    Proof,
    Query,
    Refusal,
    Reply,
    StreamMark,
    Subscribe,
    encode_call,
    encode_publish,
)
from daemoneye.bus.handshake import Claim
from daemoneye.bus.orders import Ended, Rules
from daemoneye.framing import pack
from tests.bus.brokers import TICK, Running, broker_in_thread
from tests.hostile.support import Bystander, Caller
from tests.support import document, table_in, wait_for

Provoke = Callable[["Attack"], str]
"""Does something to the broker; returns what the other side could read of why it did not work."""

HELLO = Hello(1, "mallory", 1, bytes(32))
NOBODY = Hello(1, "nobody", 1, bytes(32))
OF_TOMORROW = Hello(2, "mallory", 1, bytes(32))
MANY = 20
"""Messages: more than any subscription here has room for."""


@dataclass
class Attack:
    """A broker, and who does things to it."""

    broker: Running
    bus: BusClient
    """A client that means well, to publish what mallory does not read."""
    stack: ExitStack = field(default_factory=ExitStack)

    def caller(self) -> Caller:
        """A new connection."""
        return self.stack.enter_context(Caller(self.broker.path))

    def mallory(self) -> Caller:
        """A new connection of hers, proven."""
        caller = self.caller()
        caller.prove(Claim("mallory", 1, self.broker.keys["mallory"]))
        return caller

    def said(self, *words: object) -> Caller:
        """The same, after she has said this."""
        caller = self.mallory()
        caller.say(*words)  # type: ignore[arg-type]  # words of all kinds
        return caller

    def publish(self, count: int, topic: str = TICK) -> None:
        """So many messages of somebody else, each in a frame of its own, all taken."""
        for _ in range(count):
            self.bus.publish(topic, b"x")
        assert self.bus.publish_confirmed("events.attack.done", b"").subscribers >= 0


def publish(sequence: int = 1, topic: str = TICK, size: int = 1, expires_at: int = 0) -> bytes:
    """A publish of hers that wants an answer."""
    stated = Heading(topic, expires_at=expires_at)
    return pack(encode_publish(stated, [b"x" * size], [1], sequence, request=7))


# ---- what is read -------------------------------------------------------------------------------


def refusal(caller: Caller) -> str:
    *_, last = caller.hear_all()
    assert isinstance(last, Refusal)
    return f"{last.reason}: {last.detail}"


def notice(caller: Caller) -> str:
    """The broker's last word to a session."""
    notices = [each for each in caller.hear_all() if isinstance(each, Notice)]
    return f"{notices[-1].code}: {notices[-1].detail}"


def answer(caller: Caller) -> str:
    while not isinstance(heard := caller.hear(), Answer) or not heard.error:
        assert heard is not None
    return f"{heard.error}: {heard.detail} ({heard.hint or heard.rule})"


def loss(caller: Caller) -> str:
    """The reasons in the first mark that tells any."""
    while not isinstance(heard := caller.hear(), StreamMark) or not heard.lost:
        assert heard is not None
    return " ".join(heard.lost)


# ---- connections that come to nothing -----------------------------------------------------------


def too_many(attack: Attack) -> str:
    callers = [attack.caller() for _ in range(9)]
    return refusal(callers[0])


def silent(attack: Attack) -> str:
    return refusal(attack.caller())


def unproven(*words: Hello | Proof | bytes | Goodbye) -> Provoke:
    def provoke(attack: Attack) -> str:
        caller = attack.caller()
        caller.say(*words)
        return refusal(caller)

    return provoke


def in_another_process(attack: Attack) -> str:
    attack.broker.admit("child", "worker", incarnation=1, pid=os.getppid())
    return unproven(Hello(1, "child", 1, bytes(32)))(attack)


def hung_up(attack: Attack) -> str:
    """Its hello is there, and nobody any more to be challenged."""
    caller = attack.caller()
    caller.say(HELLO)
    caller.sock.close()
    return "nobody"


# ---- sessions that end --------------------------------------------------------------------------


def gone_silent(attack: Attack) -> str:
    attack.broker.obey(Rules((), {**LIMITS, "heartbeat_interval": 0.1, "missed_heartbeats": 2}))
    caller = attack.mallory()
    return notice(caller)


def rubbish(attack: Attack) -> str:
    return notice(attack.said(pack(b"\xff")))


def frame_past_the_limit(attack: Attack) -> str:
    return notice(attack.said((2 << 20).to_bytes(4, "big")))


def does_not_read_what_it_may_not_miss(attack: Attack) -> str:
    wish = Subscribe(1, TICK, Overflow.DISCONNECT, 5, credit_messages=1, request=1)
    caller = attack.said(wish)
    assert isinstance(caller.hear(), Answer)
    attack.publish(MANY)
    return notice(caller)


def does_not_read_answers(attack: Attack) -> str:
    attack.broker.obey(Rules((), {**LIMITS, "urgent_bytes": 1000.0}))
    return notice(attack.said(*[Ping(7)] * 400))


def overlapping_filters(attack: Attack) -> str:
    """Eleven filters that a topic's levels match in every combination, and nothing is read."""
    levels = range(11)
    filters = [".".join("a" if n == at else "+" for n in levels) for at in levels]
    wishes = [Subscribe(n, f"events.{f}", credit_messages=1) for n, f in enumerate(filters, 1)]
    caller = attack.said(*wishes, Ping(5))
    for number in range(1100):
        bits = [("b", "a")[number >> at & 1] for at in levels]
        attack.bus.publish(f"events.{'.'.join(bits)}", b"x")
    attack.bus.flush()
    return notice(caller)


def over(attack: Attack) -> str:
    caller = attack.mallory()
    attack.broker.obey(Ended("mallory", 1, "signal:9"))
    return notice(caller)


def keeps_the_room_for_large_payloads(attack: Attack) -> str:
    """It has begun to send one and does not go on, and somebody else needs the room."""
    room = {"large_bytes": 400_000.0, "write_timeout": 0.2}
    attack.broker.obey(Rules((), {**LIMITS, **room}))
    caller = attack.said(Chunk(1, 300_000, 0, bytes(200_000)), Ping(5))
    assert isinstance(caller.hear(), Pong)

    time.sleep(0.3)  # longer than a write may take
    attack.bus.publish_confirmed(TICK, bytes(300_000))
    return notice(caller)


def takes_nothing(attack: Attack) -> str:
    """Closed without a word, because none would be taken."""
    attack.broker.obey(Rules((), {**LIMITS, "write_timeout": 0.2}))
    caller = attack.said(Subscribe(1, TICK, credit_messages=9999, request=1))
    assert isinstance(caller.hear(), Answer)

    def given_up() -> int:
        attack.bus.publish(TICK, b"x" * 60_000)
        return counted(attack, "cut_off").get("stuck", 0)

    wait_for(given_up, "it to be given up")
    return "nothing is taken"


# ---- what is refused ----------------------------------------------------------------------------


def denied(attack: Attack) -> str:
    return answer(attack.said(publish(topic="$bus.x")))


def no_topic(attack: Attack) -> str:
    return answer(attack.said(publish(topic="a..b")))


def frame_past_new_limits(attack: Attack) -> str:
    caller = attack.mallory()
    attack.broker.obey(Rules((), {**LIMITS, "frame_bytes": 5000.0}))
    caller.say(publish(size=6000))
    return answer(caller)


def too_many_wishes(attack: Attack) -> str:
    attack.broker.obey(Rules((), {**LIMITS, "wishes": 1.0}))
    wish = Heading("control.collector.lifecycle", target="netmond")
    frame = encode_publish(wish, [b"\x0a\x04stop"] * 2, [1, 1], 1, request=7)
    return answer(attack.said(pack(frame)))


def sequence_that_does_not_rise(attack: Attack) -> str:
    return answer(attack.said(publish(5), publish(5)))


def call_that_nobody_serves(attack: Attack) -> str:
    return answer(attack.said(pack(encode_call(Heading(TICK), b"x", 1, 7))))


def reply_to_no_call(attack: Attack) -> str:
    caller = attack.said(Reply(999))
    while not isinstance(heard := caller.hear(), Notice):
        assert heard is not None
    return f"{heard.code}: {heard.detail}"


def question_about_nobody(attack: Attack) -> str:
    return answer(attack.said(Query("access", "nobody", "publish", "a", 7)))


# ---- what is lost -------------------------------------------------------------------------------


def slow(attack: Attack) -> str:
    caller = attack.said(Subscribe(1, TICK, max_messages=5, credit_messages=1, request=1))
    assert isinstance(caller.hear(), Answer)
    attack.publish(MANY)
    caller.say(Credit(1, 100, 1 << 20))
    return loss(caller)


def too_late(attack: Attack) -> str:
    caller = attack.said(Subscribe(1, TICK, request=1), publish(expires_at=1))
    return loss(caller)


def larger_than_its_outbox(attack: Attack) -> str:
    caller = attack.said(Subscribe(1, TICK, max_bytes=1, request=1), publish(size=200_000))
    return loss(caller)


def rights_taken_away(attack: Attack) -> str:
    caller = attack.said(Subscribe(1, "events.demo.#", credit_messages=1, request=1))
    assert isinstance(caller.hear(), Answer)
    attack.publish(MANY)
    secret = AccessRule("mallory", "read-only", "events.demo.secret.#", deny=True)
    attack.broker.obey(Rules((secret,), LIMITS))
    return loss(caller)


def leaves_with_something_waiting(attack: Attack) -> str:
    """What waited for who has gone: nobody is left to tell."""
    caller = attack.said(Subscribe(1, TICK, credit_messages=1, request=1))
    assert isinstance(caller.hear(), Answer)
    attack.publish(MANY)
    caller.say(Goodbye())
    caller.hear_all()
    return "nobody"


LIMITS: Mapping[str, float] = {"authentication_timeout": 0.3}

TABLE: dict[str, dict[str, tuple[Provoke, str]]] = {
    "turned_away": {
        "unknown-identity": (
            unproven(NOBODY),
            "unknown-identity: no key",
        ),
        "busy": (too_many, "busy: too many"),
        "timeout": (silent, "timeout: no proof"),
        "bad-proof": (unproven(HELLO, Proof(bytes(32))), "bad-proof: this is not the key"),
        "wrong-process": (in_another_process, "wrong-process: process"),
        "wrong-version": (
            unproven(OF_TOMORROW),
            "wrong-version: this broker",
        ),
        "protocol": (unproven(Proof(bytes(32))), "protocol: a Proof cannot"),
        "gone": (hung_up, "nobody"),
    },
    "cut_off": {
        "heartbeat": (gone_silent, "cut-off: heartbeat: nothing came"),
        "protocol": (rubbish, "protocol: bytes that are no frame"),
        "oversize": (frame_past_the_limit, "protocol: a frame of 2097152 bytes is past"),
        "overflow": (does_not_read_what_it_may_not_miss, "cut-off: overflow: the outbox of"),
        "unread": (does_not_read_answers, "cut-off: unread: "),
        "streams": (overlapping_filters, "cut-off: streams: its overlapping filters"),
        "ended": (over, "cut-off: ended: incarnation 1 ended: signal:9"),
        "parcels": (keeps_the_room_for_large_payloads, "cut-off: parcels: it kept 200000 bytes"),
        "stuck": (takes_nothing, "nothing is taken"),
    },
    "refused": {
        "denied": (denied, "AccessDenied: mallory may not publish on"),
        "invalid-topic": (no_topic, "InvalidTopic: level 2"),
        "oversize": (frame_past_new_limits, "TooLarge: a frame of"),
        "back-pressure": (too_many_wishes, "BackPressure: "),
        "senseless": (sequence_that_does_not_rise, "LocalProtocolError: the sequence on"),
        "no-responder": (call_that_nobody_serves, "NoResponder: nobody serves"),
        "late-reply": (reply_to_no_call, "late-reply: the call is over"),
        "refused": (question_about_nobody, "BusError: nobody called 'nobody'"),
    },
    "lost": {
        "overflow": (slow, "overflow"),
        "expired": (too_late, "expired"),
        "oversize": (larger_than_its_outbox, "oversize"),
        "denied": (rights_taken_away, "denied"),
        "disconnected": (leaves_with_something_waiting, "nobody"),
    },
}
"""How each comes about, and how what the other side reads begins."""

ELSEWHERE = {
    "foreign-user": "a stranger gets no byte; tests/bus/test_endpoint.py",
    "exhausted": "there is no descriptor to say it with; tests/hostile/test_descriptors.py",
    "abandoned": "it takes a delivery to a group; tests/bus/broker/test_dispatch_room.py",
    "no-key": "the same; tests/bus/broker/test_dispatch_refusals.py",
    "rejected": "the same; tests/bus/broker/test_dispatch.py",
    "late": "the same; tests/bus/broker/test_dispatch.py",
    "unclaimed": "it takes a descriptor; tests/bus/broker/test_passing.py",
    "unreadable": "what is taken can be read as a rule; tests/bus/broker/test_transfers.py",
}


def counted(attack: Attack, group: str) -> Mapping[str, int]:
    found: Mapping[str, int] = getattr(attack.broker.broker.statistics(), group)
    return found


@pytest.mark.parametrize(
    ("group", "word"), [(group, word) for group, words in TABLE.items() for word in words]
)
def test_a_refusal_is_told_and_counted_and_costs_nobody_else(
    tidy: Path, group: str, word: str
) -> None:
    provoke, told = TABLE[group][word]
    with broker_in_thread(tidy, **LIMITS) as broker:
        broker.admit("mallory")
        with broker.client("other") as other, broker.client("helpful") as helpful:
            attack = Attack(broker, helpful)
            with Bystander(other).undisturbed(within=1.0), attack.stack:
                assert provoke(attack).startswith(told)
            wait_for(lambda: counted(attack, group).get(word), f"{group} {word} to be counted")
            for name in ("turned_away", "cut_off", "refused"):
                # Whoever was not turned away hangs up in the end.
                assert set(counted(attack, name)) - {"gone"} <= {word if name == group else ""}


def test_every_word_of_the_documents_is_in_the_table() -> None:
    wire = document("docs/wire.md")
    documented = {
        re.findall(r"`([a-z_]+)`", row[0])[0]: set(re.findall(r"`([a-z-]+)`", row[1]))
        for row in table_in(wire, "counted | words")
    }
    at_the_door, _, in_session = wire.partition("## Endings")
    documented["turned_away"] |= reasons(at_the_door)
    documented["cut_off"] |= reasons(in_session)
    documented["cut_off"] -= {"cut-off"}
    for group, words in TABLE.items():
        assert documented[group] - set(ELSEWHERE) == set(words), group


def reasons(markdown: str) -> set[str]:
    return {row[0].strip("`") for row in table_in(markdown, "reason")}
