"""What waits at a broker stays within its bounds, whatever clients do."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from daemoneye.bus.frames import Credit, Query, Subscribe, Unsubscribe
from daemoneye.errors import RemoteProtocolError
from tests.bus.support import NOW, Bus, Client

CLIENTS = 6
TURN, FRAME, URGENT = 1024, 3000, 3000
OF_ONE, OF_ALL = 20_000, 30_000
TOPICS = ("events.a", "events.b", "control.health.status", "control.x")
FILTERS = ("#", "events.#", "events.a", "control.#")


@dataclass
class Crowd:
    """Clients who come, publish, ask, read as they like, and go."""

    bus: Bus = field(
        default_factory=lambda: Bus(
            turn_bytes=TURN,
            frame_bytes=FRAME,
            urgent_bytes=URGENT,
            client_bytes=OF_ONE,
            outbound_bytes=OF_ALL,
        )
    )
    clients: dict[int, Client] = field(default_factory=dict)

    def who(self, number: int) -> Client:
        """That client; it comes (again) when it is not there."""
        found = self.clients.get(number)
        if found is None or found.session not in self.bus.router.directory:
            found = self.clients[number] = self.bus.client(f"c{number}")
        return found

    def publish(self, number: int, size: int, pick: int) -> None:
        self.who(number).publish(TOPICS[pick % len(TOPICS)], bytes(size % (FRAME - 200)))

    def subscribe(self, number: int, size: int, pick: int) -> None:
        wish = Subscribe(
            pick % 8 + 1,
            FILTERS[pick % len(FILTERS)],
            credit_messages=1 + size % 50,
            credit_bytes=1 + 10 * size,
            request=1,
        )
        self.who(number).say(wish)

    def unsubscribe(self, number: int, size: int, pick: int) -> None:
        self.who(number).say(Unsubscribe(pick % 8 + 1, 1))

    def credit(self, number: int, size: int, pick: int) -> None:
        self.who(number).say(Credit(pick % 8 + 1, size, size * 100))

    def ask(self, number: int, size: int, pick: int) -> None:
        client = self.who(number)
        for _ in range(1 + pick % 8):
            if client.session in self.bus.router.directory:
                client.say(Query("clients", request=1))

    def take(self, number: int, size: int, pick: int) -> None:
        """The kernel takes a part of what is written, or nothing."""
        session = self.who(number).session
        buffers = session.take(TURN, NOW)
        session.written(min(size if pick % 2 else 0, sum(map(len, buffers))))

    def leave(self, number: int, size: int, pick: int) -> None:
        self.bus.router.close(self.who(number).session)


acts = st.tuples(
    st.sampled_from(
        [Crowd.publish] * 6
        + [Crowd.subscribe] * 3
        + [Crowd.ask] * 3
        + [Crowd.take, Crowd.credit, Crowd.unsubscribe, Crowd.leave]
    ),
    st.integers(0, CLIENTS - 1),
    st.integers(0, FRAME),
    st.integers(0, 63),
)


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.lists(acts, min_size=40, max_size=120))
def test_what_waits_stays_within_its_bounds(chosen: list[tuple[object, int, int, int]]) -> None:
    crowd = Crowd()
    directory = crowd.bus.router.directory
    for act, number, size, pick in chosen:
        try:
            act(crowd, number, size, pick)  # type: ignore[operator]  # a method of Crowd
        except RemoteProtocolError:
            raise AssertionError("nothing here breaks the protocol") from None
        each = [session.outbox.backlog.bytes for session in directory]
        assert sum(each) == directory.backlog.bytes
        assert directory.backlog.bytes <= OF_ALL
        assert max(each, default=0) <= OF_ONE
