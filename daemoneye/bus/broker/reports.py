"""What the broker tells of denials and losses: each client's at most once a second.  Pure.

The counters are kept in any case; this is for who watches.  Of denials the last one is told, with
how many there were, so that nobody fills memory by being denied in many ways.  Losses are looked
for while somebody wants to hear of them, and of nobody else's time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from daemoneye.bus.broker.clock import Clock
from daemoneye.bus.broker.session import Session
from daemoneye.bus.hierarchy import loss_topic
from daemoneye.bus.proto import events_pb2 as pb
from daemoneye.bus.topics import MAX_CHARACTERS, ONE, TopicFilter

INTERVAL = 1.0
"""Of what is told of one client, in seconds."""

CLIENTS = 1024
"""Of so many at once denials are told; those of others are counted only."""

ALL_LOSSES = TopicFilter(loss_topic(ONE))


class Reports:
    """What there is to tell, and when."""

    __slots__ = ("_clock", "_denials", "_left_with", "_look_at", "_told", "_told_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._denials: dict[str, pb.Denial] = {}  # that are not told yet, by identity
        self._told_at: dict[str, float] = {}  # when one was, as long as that matters
        self._look_at: float | None = None  # when to look for losses, while somebody wants that
        self._told: dict[Session, Counter[str]] = {}  # what was told of each in all
        self._left_with: dict[str, Counter[str]] = {}  # what those lost that are gone since

    # ---- denials --------------------------------------------------------------------------------

    def denied(self, identity: str, action: str, topic: str, rule: str) -> None:
        """This client may not do that."""
        waiting = self._denials.get(identity)
        if waiting is None:
            if len(self._denials) >= CLIENTS:
                return
            waiting = self._denials[identity] = pb.Denial(identity=identity)
            self._clock.wake_at(self._due_at(identity))
        waiting.action, waiting.topic, waiting.rule = action, topic[:MAX_CHARACTERS], rule
        waiting.count += 1

    def denials(self, now: float) -> list[pb.Denial]:
        """What is to be told now; `now` is Unix time in seconds."""
        clock = self._clock
        self._told_at = {
            each: at for each, at in self._told_at.items() if at + INTERVAL > clock.now
        }
        due = [each for each in self._denials if self._due_at(each) <= clock.now]
        told = [self._denials.pop(each) for each in due]
        for denial in told:
            denial.observed_at = now
            self._told_at[denial.identity] = clock.now
        for each in self._denials:
            clock.wake_at(self._due_at(each))
        return told

    def _due_at(self, identity: str) -> float:
        return self._told_at.get(identity, -INTERVAL) + INTERVAL

    # ---- losses ---------------------------------------------------------------------------------

    def watch_losses(self, sessions: Iterable[Session]) -> None:
        """Somebody wants to hear of what is lost from now on."""
        if self._look_at is None:
            self._told = {each: each.outbox.tally().lost for each in sessions}
            self._look_again()

    @property
    def looks_for_losses(self) -> bool:
        """Whether it is time to look."""
        if self._look_at is None:
            return False
        if self._look_at > self._clock.now:
            self._clock.wake_at(self._look_at)
            return False
        return True

    def left(self, session: Session) -> None:
        """It is gone, and what waited for it is lost."""
        if self._look_at is not None:
            new = self._new_losses(session)
            self._told.pop(session, None)
            if new:
                self._left_with.setdefault(session.identity.name, Counter()).update(new)

    def losses(self, sessions: Iterable[Session], now: float) -> list[pb.LossReport]:
        """What was lost since the last look; `now` is Unix time in seconds."""
        lost, self._left_with = self._left_with, {}
        for session in sessions:
            new = self._new_losses(session)
            if new:
                lost.setdefault(session.identity.name, Counter()).update(new)
        self._look_again()
        return [
            pb.LossReport(identity=name, lost=counted, observed_at=now)
            for name, counted in lost.items()
        ]

    def rest(self) -> None:
        """Nobody wants to hear of losses any more."""
        self._look_at = None
        self._told.clear()
        self._left_with.clear()

    def _new_losses(self, session: Session) -> Counter[str]:
        total = session.outbox.tally().lost
        new = total - self._told.get(session, Counter())
        self._told[session] = total.copy()
        return new

    def _look_again(self) -> None:
        self._look_at = self._clock.now + INTERVAL
        self._clock.wake_at(self._look_at)
