"""Whoever waits reads: every waiter gets its own, nobody is forgotten, all end together.

The stress is made so that lost wake-ups show: a thread that has its item stays away until the
round is over, so nobody comes back to rescue a lead that was dropped, and those that wait for
nothing leave by timeout.  A keeper would rescue it too, so every other run is without one.
`DAEMONEYE_STRESS_ROUNDS=20000` runs it for long.
"""

from __future__ import annotations

import math
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise

import pytest

from daemoneye.bus.client.reader import Inbox, Reader, Sorted
from daemoneye.errors import BusBroken, BusClosed, LocalProtocolError
from tests.bus.client.steps import fallen_into
from tests.support import scaled, wait_for

ROUNDS = int(os.environ.get("DAEMONEYE_STRESS_ROUNDS", "40"))


@dataclass
class Letters:
    """A protocol of one byte for each item: the number of the inbox it is for."""

    boxes: list[Inbox[bytes]]
    ours: socket.socket = field(init=False)
    theirs: socket.socket = field(init=False)
    recovered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.reader = Reader(self.read, self.recover, self.tend)
        self.tended: list[float] = []
        self.tend_interval = math.inf
        self.silence: Exception | None = None
        self.causes: list[BaseException | None] = []
        self.bug: BaseException | None = None

    def read(self, sock: socket.socket) -> Sorted:
        data = sock.recv(4096)
        if not data:
            raise EOFError("end")
        if self.bug is not None:
            bug, self.bug = self.bug, None
            raise bug
        return [(self.boxes[number], bytes((number,))) for number in data]

    def tend(self, now: float) -> float:
        """When to be called again; the connection is given up when the test says so."""
        self.tended.append(now)
        if self.silence is not None:
            error, self.silence = self.silence, None
            raise error
        return now + self.tend_interval

    def recover(self, cause: BaseException | None) -> socket.socket:
        """A new connection, when the test allows one."""
        self.causes.append(cause)
        self.recovered.acquire()
        if self.theirs.fileno() < 0:
            raise BusBroken("never again")
        return self.ours

    def reconnect(self) -> None:
        self.theirs.close()
        self.ours, self.theirs = socket.socketpair()
        self.recovered.release()

    def send(self, *numbers: int) -> None:
        self.theirs.sendall(bytes(numbers))

    def end(self) -> None:
        self.recovered.release()
        self.reader.close(BusClosed("closed"))
        self.reader.join(scaled(2))
        self.theirs.close()
        self.ours.close()


@pytest.fixture
def letters() -> Iterator[Letters]:
    made = Letters([Inbox() for _ in range(4)])
    made.reader.start(made.ours)
    yield made
    made.end()


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run it beside us; its result, or exception, will be in the list."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(call())
        except Exception as error:  # whatever it raises is the result
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def test_who_waits_reads_its_own(letters: Letters) -> None:
    letters.send(1)
    assert letters.reader.get(letters.boxes[1], scaled(5)) == b"\1"


def test_what_is_another_s_is_sorted_for_it(letters: Letters) -> None:
    letters.send(2, 1, 2)
    assert letters.reader.get(letters.boxes[1], scaled(5)) == b"\1"
    assert list(letters.boxes[2].items) == [b"\2", b"\2"]


def test_a_wait_has_an_end(letters: Letters) -> None:
    with pytest.raises(TimeoutError):
        letters.reader.get(letters.boxes[0], 0.01)
    with pytest.raises(TimeoutError):
        letters.reader.get(letters.boxes[0], 0)


def test_followers_get_theirs_from_the_leader(letters: Letters) -> None:
    waiting = [in_thread(lambda n=n: letters.reader.get(letters.boxes[n])) for n in range(4)]  # type: ignore[misc]  # bound now
    letters.send(3, 2, 1, 0)
    for number, (thread, found) in enumerate(waiting):
        thread.join(scaled(5))
        assert found == [bytes((number,))]


def test_the_keeper_reads_when_nobody_waits(letters: Letters) -> None:
    letters.send(3)
    wait_for(lambda: letters.boxes[3].items, "the keeper to read")


def test_an_ended_inbox_gives_what_it_has_and_then_why(letters: Letters) -> None:
    letters.send(0)
    wait_for(lambda: letters.boxes[0].items, "the item")
    letters.reader.end_inbox(letters.boxes[0], BusBroken("over"))
    assert letters.reader.get(letters.boxes[0]) == b"\0"
    with pytest.raises(BusBroken):
        letters.reader.get(letters.boxes[0])


def test_who_would_wait_for_itself_is_refused_and_others_are_not(letters: Letters) -> None:
    reader, refused = letters.reader, list[object]()

    def check() -> None:
        try:
            reader.check_outside()
        except LocalProtocolError as error:
            refused.append(error.hint)

    reader.check_outside()
    with reader._monitor:  # as a signal handler finds it
        check()
        thread, _ = in_thread(reader.check_outside)
        thread.join(scaled(5))
    assert len(refused) == 1
    read = reader._read

    def reading(sock: socket.socket) -> Sorted:
        check()
        return read(sock)

    reader._read = reading  # as a signal handler within a read
    letters.send(0)
    assert reader.get(letters.boxes[0], scaled(5)) == b"\0"
    assert len(refused) == 2
    reader.check_outside()


def test_ending_an_inbox_frees_who_sleeps_on_it(letters: Letters) -> None:
    leader, _ = in_thread(lambda: letters.reader.get(letters.boxes[1]))
    wait_for(lambda: letters.reader._state.leader, "a leader")
    follower, found = in_thread(lambda: letters.reader.get(letters.boxes[0]))
    wait_for(lambda: letters.boxes[0].waiting, "the follower to sleep")
    letters.reader.end_inbox(letters.boxes[0], BusBroken("over"))
    follower.join(scaled(5))
    assert isinstance(found[0], BusBroken)
    letters.send(1)
    leader.join(scaled(5))
    assert not leader.is_alive()


WAITING = {each.__code__ for each in (Reader.get, Reader._sleep, Reader._lead, Reader._pass_on)}


@pytest.mark.parametrize("leads", [True, False], ids=["leading", "following"])
def test_a_signal_handler_may_end_the_wait_that_it_falls_into_at_any_step(leads: bool) -> None:
    patience = scaled(0.1)
    for step in count(1):
        letters = Letters([Inbox() for _ in range(4)])
        letters.reader.start(letters.ours)
        fell_at: list[float] = []
        outcome: list[object] = []

        def end(letters: Letters = letters, fell_at: list[float] = fell_at) -> None:
            letters.reader.end_inbox(letters.boxes[3], BusClosed("ended"))
            letters.reader.close(BusClosed("closed"))
            fell_at.append(time.monotonic())

        def wait(
            letters: Letters = letters, step: int = step, outcome: list[object] = outcome
        ) -> None:
            get = partial(letters.reader.get, letters.boxes[0], patience)
            try:
                outcome.append(fallen_into(WAITING, get, step, end))
            except (BusClosed, TimeoutError) as error:
                outcome.append(error)

        if not leads:
            other, _ = in_thread(partial(letters.reader.get, letters.boxes[1], scaled(20)))
            wait_for(partial(getattr, letters.reader._state, "leader"), "somebody to lead")
        began = time.monotonic()
        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        waiting.join(scaled(5))
        assert outcome, f"it waits for itself at step {step}"
        letters.end()
        if not leads:
            other.join(scaled(5))
            assert not other.is_alive(), f"who led is left behind at step {step}"
        if not fell_at:
            assert step > 10
            return
        closed = isinstance(outcome[0], BusClosed)
        assert closed or fell_at[0] - began > patience / 2, f"not freed at step {step}"


def test_waiting_goes_on_over_a_reconnect(letters: Letters) -> None:
    waiting = [in_thread(lambda n=n: letters.reader.get(letters.boxes[n])) for n in range(3)]  # type: ignore[misc]  # bound now
    letters.reconnect()
    wait_for(lambda: letters.causes, "the loss to be noticed")
    assert isinstance(letters.causes[0], EOFError)
    letters.send(0, 1, 2)
    for thread, found in waiting:
        thread.join(scaled(5))
        assert len(found) == 1


def test_a_ctrl_c_while_sorting_marks_the_connection_broken(letters: Letters) -> None:
    letters.bug = KeyboardInterrupt()
    letters.send(1, 1)
    with pytest.raises(KeyboardInterrupt):
        letters.reader.get(letters.boxes[1], scaled(5))
    wait_for(lambda: letters.causes, "the keeper to recover")
    assert isinstance(letters.causes[0], KeyboardInterrupt)
    letters.reconnect()
    letters.send(1)
    assert letters.reader.get(letters.boxes[1], scaled(5)) == b"\1"


def test_when_there_is_never_to_be_a_connection_all_are_told(letters: Letters) -> None:
    thread, found = in_thread(lambda: letters.reader.get(letters.boxes[0]))
    letters.theirs.close()
    letters.recovered.release()
    thread.join(scaled(5))
    assert isinstance(found[0], BusBroken)


def test_closing_frees_all_and_ends_the_keeper() -> None:
    letters = Letters([Inbox() for _ in range(4)])
    letters.reader.start(letters.ours)
    waiting = [in_thread(lambda n=n: letters.reader.get(letters.boxes[n])) for n in range(4)]  # type: ignore[misc]  # bound now
    wait_for(lambda: len(letters.reader._asleep) == 3, "three to sleep and one to lead")
    letters.end()
    for thread, found in waiting:
        thread.join(scaled(2))
        assert isinstance(found[0], BusClosed)
    assert letters.ours.fileno() < 0
    assert not letters.reader._keeper.is_alive()


# ---- the stress ---------------------------------------------------------------------------------


@pytest.fixture
def nervous() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


STEADY, VISITORS = 8, 4


class Rounds:
    """Readers that each want one item a round, and visitors that want what never comes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.letters = Letters([Inbox() for _ in range(STEADY + 1)])
        self.got = [0] * STEADY
        self.barrier = threading.Barrier(STEADY + VISITORS + 1)
        self.threads = [
            threading.Thread(target=self.consume, args=(number, random.Random(seed * 100 + number)))
            for number in range(STEADY + VISITORS)
        ]

    def consume(self, number: int, dice: random.Random) -> None:
        reader, boxes = self.letters.reader, self.letters.boxes
        try:
            while True:
                self.barrier.wait()
                if number < STEADY:
                    time.sleep(dice.choice((0, 0, 0.0002)))
                    reader.get(boxes[number])
                    self.got[number] += 1
                else:
                    try:
                        reader.get(boxes[-1], dice.choice((0.00005, 0.0005, 0.002, 0.01)))
                    except TimeoutError:
                        pass
                self.barrier.wait()
        except (BusClosed, threading.BrokenBarrierError):
            pass

    def run(self, rounds: int, *, keeper: bool) -> None:
        if keeper:
            self.letters.reader.start(self.letters.ours)
        else:
            self.letters.reader._sock = self.letters.ours
        for each in self.threads:
            each.start()
        for number in range(rounds):
            self.round(number)
        self.barrier.wait(scaled(5))  # now all wait for what will not come
        self.letters.end()
        self.barrier.abort()
        for each in self.threads:
            each.join(scaled(2))
            assert not each.is_alive(), "stuck at the end"

    def round(self, number: int) -> None:
        self.barrier.wait(scaled(5))
        order = self.random.sample(range(STEADY), STEADY)
        while order:
            some = [order.pop() for _ in range(min(len(order), self.random.choice((1, 1, 2, 3))))]
            self.letters.send(*some)
            expected = (number + 1) * STEADY - len(order)
            deadline = time.monotonic() + scaled(2)
            while sum(self.got) < expected:
                if time.monotonic() > deadline:
                    self.barrier.abort()
                    raise AssertionError(f"a wake-up was lost in round {number}")
                time.sleep(0)
        self.barrier.wait(scaled(5))


@pytest.mark.usefixtures("nervous")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.timeout(0 if ROUNDS > 1000 else 60)
def test_no_wake_up_is_lost(seed: int) -> None:
    stress = Rounds(seed)
    stress.run(ROUNDS, keeper=seed % 2 == 1)
    reader = stress.letters.reader
    assert not reader._asleep
    assert not reader._state.leader
    assert not any(box.waiting for box in stress.letters.boxes)


# ---- the keeper tends ---------------------------------------------------------------------------


@pytest.fixture
def tended() -> Iterator[Letters]:
    made = Letters([Inbox() for _ in range(4)])
    made.tend_interval = scaled(0.05)
    made.reader.start(made.ours)
    yield made
    made.end()


def test_a_connection_is_tended_whether_or_not_anybody_reads(tended: Letters) -> None:
    wait_for(lambda: len(tended.tended) >= 3, "looks while nobody waits")
    with pytest.raises(TimeoutError):
        tended.reader.get(tended.boxes[0], scaled(0.3))
    waits = [later - earlier for earlier, later in pairwise(tended.tended)]
    assert len(waits) >= 5
    assert min(waits) >= tended.tend_interval


def test_a_connection_without_a_vigil_is_looked_at_once(letters: Letters) -> None:
    letters.send(1)
    assert letters.reader.get(letters.boxes[1], scaled(5)) == b"\x01"
    assert len(letters.tended) <= 1


def test_giving_a_connection_up_frees_whoever_reads_it(tended: Letters) -> None:
    thread, found = in_thread(lambda: tended.reader.get(tended.boxes[2], scaled(10)))
    wait_for(lambda: tended.reader._state.leader, "somebody to read")
    tended.silence = BusBroken("nothing came")
    wait_for(lambda: tended.causes, "another connection to be asked for")
    assert [str(each) for each in tended.causes] == ["nothing came"]
    tended.reconnect()
    tended.send(2)
    thread.join(scaled(10))
    assert found == [b"\x02"]


def test_an_error_nobody_expects_of_the_keeper_ends_all_and_closes_the_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda what: seen.append(what.exc_value))
    letters = Letters([Inbox() for _ in range(2)])
    letters.tend_interval = scaled(0.05)
    bug = ZeroDivisionError("a bug")
    letters.silence = bug
    thread, found = in_thread(lambda: letters.reader.get(letters.boxes[1], scaled(10)))
    letters.reader.start(letters.ours)
    letters.reader.join(scaled(5))
    thread.join(scaled(5))
    assert not thread.is_alive()
    assert seen == [bug]
    assert [type(each) for each in found] == [BusBroken]
    assert "ZeroDivisionError: a bug" in str(found[0])
    assert letters.ours.fileno() < 0
    with pytest.raises(BusBroken):
        letters.reader.get(letters.boxes[0], 1)
    letters.theirs.close()
