"""What was missed, by the broker's word or by sequences: told once, with the next message."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.client.gaps import Gaps
from daemoneye.bus.client.interests import Interest, Options
from daemoneye.bus.envelope import NO_LOSS, Envelope, Header, Publisher
from daemoneye.bus.frames import Replay

ME = Publisher("me", "agent", 1, 1)
HEADER = Header("events.demo.tick", ME, "", "", None, 0, 0)


def run(*sequences: int) -> list[Envelope]:
    return [Envelope((b"", 0, number, HEADER, NO_LOSS)) for number in sequences]


def interest(number: int, owner: str = "me", replay: Replay = Replay.IF_NEW) -> Interest[str]:
    return Interest(number, "events.#", Options(replay=replay), owner)


class Heard:
    """Gaps, and what each owner is told as its runs come."""

    def __init__(self, *owners: str) -> None:
        self.gaps: Gaps[str] = Gaps()
        self.interests: dict[str, tuple[Interest[str], ...]] = {
            owner: (interest(number, owner),) for number, owner in enumerate(owners, start=1)
        }
        for owner in owners:
            self.gaps.begin(owner)

    def told(self, owner: str, *sequences: int) -> list[dict[str, int]]:
        """What is said to be lost before each message of a run."""
        events = self.gaps.tell(owner, self.interests[owner], run(*sequences))
        return [dict(each.lost) for each in events]

    def repeated(self, owner: str, sequence: int) -> list[int]:
        """The sequences of what is left of a value that may have come before."""
        events = self.gaps.tell_repeated(owner, self.interests[owner], run(sequence))
        return [each.sequence for each in events]


def test_a_run_with_nothing_missed_is_the_run() -> None:
    heard, events = Heard("me"), run(1, 2)
    assert heard.gaps.tell("me", heard.interests["me"], events) is events


def test_what_the_broker_tells_stands_at_the_next_message_of_each_owner() -> None:
    heard = Heard("me", "you", "other")
    heard.gaps.lose(("me", "you"), {"overflow": 3}, 0)
    assert heard.told("other", 1) == [{}]
    assert heard.told("me", 1, 2) == [{"overflow": 3}, {}]
    assert heard.told("me", 3) == [{}]
    assert heard.told("you", 2) == [{"overflow": 3}]


def test_what_is_told_with_no_message_behind_it_adds_up() -> None:
    heard = Heard("me")
    heard.gaps.lose(("me",), {"overflow": 3, "expired": 1}, 0)
    heard.gaps.lose(("me",), {"overflow": 2}, 0)
    assert heard.told("me") == []
    assert heard.told("me", 1) == [{"overflow": 5, "expired": 1}]


def test_who_is_gone_is_owed_nothing() -> None:
    heard = Heard("me")
    heard.gaps.reconnect("disconnected", [1])
    heard.gaps.lose(("me",), {"overflow": 3}, 0)
    heard.gaps.leave(1)
    heard.gaps.forget("me")
    heard.gaps.begin("me")
    assert heard.told("me", 1) == [{}]


def test_after_another_session_each_subscription_is_told_once() -> None:
    heard = Heard("me")
    first, second = interest(1), interest(2)
    heard.gaps.reconnect("broker-restart", [1, 2])

    def told(*interests: Interest[str]) -> dict[str, int]:
        (event,) = heard.gaps.tell("me", interests, run(1))
        return dict(event.lost)

    assert told(first) == {"broker-restart": 0}
    assert told(first) == {}
    assert told(first, second) == {"broker-restart": 0}
    assert told(second) == {}


def test_what_sequences_show_is_counted_with_what_the_broker_told() -> None:
    heard = Heard("me")
    heard.told("me", 1, 2)
    heard.gaps.lose(("me",), {"overflow": 1}, 2)
    heard.gaps.reconnect("disconnected", [1])
    assert heard.told("me", 6, 9) == [{"overflow": 1, "disconnected": 3}, {}]


def test_a_run_whose_sequences_say_nothing_tells_only_the_brokers_word() -> None:
    heard = Heard("me")
    heard.told("me", 1)
    heard.gaps.reconnect("disconnected", [])
    heard.gaps.lose(("me",), {"unsettled": 1}, 1)
    (event,) = heard.gaps.tell_owed("me", heard.interests["me"], run(9))
    assert dict(event.lost) == {"unsettled": 1}


# ---- the same session over another connection ---------------------------------------------------


def test_what_was_told_last_is_told_again_and_counted_once() -> None:
    heard = Heard("me", "you")
    heard.gaps.lose(("me",), {"overflow": 3}, 5)  # a message of you was behind it
    heard.gaps.lose(("me", "you"), {"expired": 1}, 6)
    heard.gaps.go_on(6)
    assert heard.told("me", 1) == [{"overflow": 3}]
    assert heard.told("you", 1) == [{}]


def test_what_a_delivery_came_behind_is_not_told_again() -> None:
    heard = Heard("me")
    heard.gaps.lose(("me",), {"overflow": 3}, 5)
    heard.gaps.go_on(6)
    heard.gaps.go_on(5)  # what was told is known of one connection only
    assert heard.told("me", 1) == [{"overflow": 3}]


def test_another_session_tells_nothing_again() -> None:
    heard = Heard("me")
    heard.gaps.lose(("me",), {"overflow": 3}, 0)
    heard.gaps.end_session()
    heard.gaps.go_on(0)
    assert heard.told("me", 1) == [{"overflow": 3}]


# ---- values that may come again -----------------------------------------------------------------


def test_a_value_that_was_heard_is_dropped_and_what_is_owed_waits() -> None:
    heard = Heard("me")
    assert heard.repeated("me", 3) == [3]
    heard.gaps.reconnect("disconnected", [1])
    assert heard.repeated("me", 3) == []
    assert heard.told("me", 5) == [{"disconnected": 1}]


def test_a_new_value_tells_what_is_missing_before_it() -> None:
    heard = Heard("me")
    heard.told("me", 1)
    heard.gaps.reconnect("disconnected", [1])
    (event,) = heard.gaps.tell_repeated("me", heard.interests["me"], run(4))
    assert dict(event.lost) == {"disconnected": 2}


def test_a_value_that_is_said_again_hides_no_loss_behind_it() -> None:
    heard = Heard("me")
    heard.told("me", 1, 2, 3, 4)
    heard.gaps.reconnect("disconnected", {1})
    events = heard.gaps.tell_repeated("me", heard.interests["me"], run(5))
    assert [dict(each.lost) for each in events] == [{"disconnected": 0}]
    assert heard.told("me", 9) == [{"disconnected": 3}]
    assert heard.told("me", 12) == [{}]


def test_what_may_have_been_lost_comes_again_once() -> None:
    heard = Heard("me")
    heard.told("me", 1, 4)
    assert heard.repeated("me", 3) == []
    heard.gaps.lose(("me",), {"overflow": 2}, 2)
    assert [heard.repeated("me", 3) for _ in range(2)] == [[3], []]


def test_who_wants_all_values_gets_each_of_them() -> None:
    heard = Heard("me")
    heard.interests["me"] = (interest(1), interest(2, replay=Replay.ALL))
    heard.told("me", 4)
    assert [heard.repeated("me", number) for number in (3, 4)] == [[3], [4]]


def test_who_wants_no_values_is_told_none_by_their_publisher_either() -> None:
    heard = Heard("me")
    heard.interests["me"] = (interest(1, replay=Replay.NONE),)
    again = [each.repeated() for each in run(5)]
    assert heard.gaps.tell_repeated("me", heard.interests["me"], again) == []
    assert heard.gaps.tell_repeated("me", heard.interests["me"], run(6)) == run(6)  # it is new


def test_of_a_value_that_cannot_be_read_nothing_is_left() -> None:
    heard = Heard("me")
    heard.gaps.lose(("me",), {"overflow": 2}, 0)
    assert heard.gaps.tell_repeated("me", heard.interests["me"], []) == []
    assert heard.told("me", 1) == [{"overflow": 2}]


def test_publishers_say_again_what_they_said_only_in_another_session() -> None:
    gaps: Gaps[str] = Gaps()
    gaps.go_on(0)
    assert not gaps.repeats
    gaps.reconnect("disconnected", [])
    assert gaps.repeats


# ---- nothing is told twice, and nothing is kept back --------------------------------------------

LOSSES = st.tuples(st.just("lose"), st.sets(st.sampled_from("ab"), min_size=1), st.integers(1, 9))
RUNS = st.tuples(st.just("run"), st.sets(st.sampled_from("ab"), min_size=1), st.integers(1, 3))
RESUMES = st.tuples(st.just("resume"), st.just(set[str]()), st.just(0))


@given(st.lists(st.one_of(LOSSES, RUNS, RESUMES)))
def test_whatever_comes_in_one_session_each_loss_is_told_once(
    steps: list[tuple[str, set[str], int]],
) -> None:
    """A broker that goes on tells the losses again behind which nothing came, as ours does."""
    heard, received, sequence = Heard("a", "b"), 0, 0
    said = {owner: Counter[str]() for owner in "ab"}
    told = {owner: Counter[str]() for owner in "ab"}
    last: list[tuple[set[str], int]] = []
    for step, owners, amount in [*steps, ("run", {"a"}, 1), ("run", {"b"}, 1)]:
        if step == "lose":
            heard.gaps.lose(owners, {"overflow": amount}, received)
            last.append((owners, amount))
            for owner in owners:
                said[owner]["overflow"] += amount
        elif step == "run":
            received, last = received + amount, []
            for owner in owners:
                for lost in heard.told(owner, *range(sequence + 1, sequence + 1 + amount)):
                    told[owner].update(lost)
            sequence += amount
        else:
            heard.gaps.go_on(received)
            for again, lost_again in last:
                heard.gaps.lose(again, {"overflow": lost_again}, received)
    assert told == said
