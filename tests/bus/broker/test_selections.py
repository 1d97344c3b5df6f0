"""Subscriptions that want some correlations alone: who gets what, and in how many copies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.access import AccessRule
from daemoneye.bus.broker.admission import LOOKED_AT_FOR_ONE
from daemoneye.bus.broker.agenda import WORK_IN_A_TURN
from daemoneye.bus.broker.outbox import MAX_STREAMS
from daemoneye.bus.frames import (
    SELECTION_CHARACTERS,
    Answer,
    Correlation,
    Envelope,
    Selection,
    StreamMark,
    Subscribe,
)
from tests.bus.support import NOW, Bus, Client

LIFECYCLE = "events.process.lifecycle"
CASE = Correlation("case-7", stage="checked", tags=(("host", "a"),))


def heard(client: Client) -> list[object]:
    """What is heard: the numbers of marks, the payloads of events."""
    told = client.read()
    return [
        each.subscriptions if isinstance(each, StreamMark) else each.payload
        for each in told
        if isinstance(each, (StreamMark, Envelope))
    ]


def test_who_has_many_asked_waits_for_the_next_turn() -> None:
    bus = Bus()
    source = bus.client("source")
    for number in range(4):
        listener = bus.client(f"listener{number}")
        for wish in range(1, 257):
            listener.say(Subscribe(wish, "events.demo.#", selection=Selection(tags=(("a", "b"),))))
    other = Correlation(tags=(("a", "c"),))
    frames = [source.frame("events.demo.tick", b"x", correlation=other) for _ in range(20)]
    bus.router.next_turn()
    bus.router.receive(source.session, frames, NOW)
    asked = 4 * 256 // LOOKED_AT_FOR_ONE
    assert len(bus.router.unfinished[source.session]) == 20 - -(-WORK_IN_A_TURN // (asked + 1))
    source.say()
    assert source.session.publishing.messages == 20


# ---- the rule -----------------------------------------------------------------------------------

words = st.sampled_from(["", "a", "b"])
pairs = st.dictionaries(words, words, max_size=2).map(lambda each: tuple(sorted(each.items())))


def model(wanted: Selection, said: Correlation) -> bool:
    """The same as a sentence: what is named has to be there."""
    named = {("stage", wanted.stage), *wanted.tags} - {("stage", "")}
    there = {("stage", said.stage), *said.tags}
    return named <= there and wanted.id in ("", said.id, said.root)


@given(
    st.builds(Selection, words, words, pairs),
    st.builds(Correlation, id=words, root=words, stage=words, tags=pairs),
)
def test_a_selection_matches_what_has_all_that_it_names(
    wanted: Selection, said: Correlation
) -> None:
    tags = frozenset(said.tags)
    assert wanted.matches(said.id, said.root, said.stage, tags) == model(wanted, said)


@given(
    st.lists(st.builds(Selection, words, words, pairs), max_size=4),
    st.none() | st.builds(Correlation, id=words, root=words, stage=words, tags=pairs),
)
def test_a_client_gets_one_copy_with_all_that_matched(
    wanted: list[Selection], said: Correlation | None
) -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    for number, selection in enumerate(wanted, 1):
        assert not agent.subscribe("events.#", number, selection=selection).error
    procmond.publish(LIFECYCLE, b"x", correlation=said)
    matched = tuple(
        number
        for number, each in enumerate(wanted, 1)
        if not each or (said is not None and model(each, said))
    )
    assert heard(agent) == ([matched, b"x"] if matched else [])


# ---- at the broker ------------------------------------------------------------------------------


def test_b9_selecting_and_other_subscriptions_of_one_client_share_one_copy() -> None:
    bus = Bus()
    agent, other, procmond = bus.client("operator"), bus.client("other"), bus.procmond()
    agent.subscribe("events.#", 1)
    agent.subscribe("events.process.#", 2, selection=Selection("case-7"))
    agent.subscribe(LIFECYCLE, 3, selection=Selection(stage="asked"))
    other.subscribe("events.#", 1)
    procmond.publish(LIFECYCLE, b"1")
    procmond.publish(LIFECYCLE, b"2", correlation=CASE)
    procmond.publish(LIFECYCLE, b"3", correlation=CASE.follow("asked", id="other"))
    assert heard(agent) == [(1,), b"1", (1, 2), b"2", (1, 2, 3), b"3"]
    assert heard(other) == [(1,), b"1", b"2", b"3"]


def test_a_receipt_counts_who_selected_it() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", selection=Selection("case-7"))
    for said, subscribers in ((CASE, 1), (Correlation("case-8"), 0), (None, 0)):
        procmond.publish(LIFECYCLE, b"x", request=5, correlation=said)
        answer = procmond.read()[-1]
        assert isinstance(answer, Answer)
        assert answer.subscribers == subscribers


def test_who_may_not_read_it_does_not_get_it_by_selecting_it() -> None:
    bus = Bus(AccessRule("watching", "read-only", LIFECYCLE, deny=True))
    watching, procmond = bus.client("watching", "observer"), bus.procmond()
    watching.subscribe("events.#", selection=Selection("case-7"))
    procmond.publish(LIFECYCLE, b"x", correlation=CASE)
    procmond.publish("events.process.metadata", b"y", correlation=CASE)
    assert heard(watching) == [(1,), b"y"]


def test_a_target_that_selects_something_else_gets_nothing() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", selection=Selection("case-8"))
    procmond.publish(LIFECYCLE, b"x", correlation=CASE, target="operator")
    assert heard(agent) == []


def test_what_nobody_selects_on_stays_plain() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    agent.subscribe("events.#", 1)
    agent.subscribe("events.network.#", 2, selection=Selection("case-7"))
    procmond.publish(LIFECYCLE, b"x", correlation=CASE)
    route = procmond.session.publishing.routes[LIFECYCLE]
    assert (route.plain, route.selective) == (True, {})


def test_a_selection_is_refused_past_its_bound_and_where_work_is_shared() -> None:
    agent = Bus().client("operator")
    at_most = Selection("x" * (SELECTION_CHARACTERS - 2), tags=(("k", "v"),))
    assert not agent.subscribe("events.#", 1, selection=at_most).error
    past = Selection(at_most.id, stage="s", tags=at_most.tags)
    for number, refused in enumerate(
        (
            Subscribe(2, "events.#", selection=past, request=2),
            Subscribe(3, "events.#", selection=at_most, group="g", request=3),
            Subscribe(4, LIFECYCLE, selection=at_most, serve=True, request=4),
        ),
        2,
    ):
        agent.say(refused)
        (answer,) = agent.read()
        assert isinstance(answer, Answer)
        assert (answer.request, answer.error) == (number, "LocalProtocolError")
    assert list(agent.session.subscriptions) == [1]


def test_selections_that_overlap_in_all_ways_make_no_streams_without_bound() -> None:
    bus = Bus()
    agent, procmond = bus.client("operator"), bus.procmond()
    for number in range(1, 12):
        agent.subscribe("events.#", number, selection=Selection(tags=((f"{number}", ""),)))
    for mixture in range(1, 1 << 11):
        tags = tuple((f"{number}", "") for number in range(1, 12) if mixture >> number - 1 & 1)
        procmond.publish(LIFECYCLE, b"x", correlation=Correlation(tags=tags))
        agent.read()
        assert len(agent.session.outbox.streams) <= MAX_STREAMS
    assert agent.session in bus.router.directory
    assert agent.session.outbox.tally().delivered == (1 << 11) - 1
