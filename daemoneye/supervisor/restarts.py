"""When a failed child is tried again: ledger, backoff, window, quarantine, and the common rate.

Two limits for each child, because each alone has a hole.  The backoff grows with failures in a row
and shrinks only by healthy running, so a child that dies just before it would be forgiven slows
down all the same.  The window counts failures in a span of time, so a hot loop is quarantined even
when its delays are short.  A third limit, on restarts of all children together, spreads the storm
that follows when something they share breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from daemoneye.supervisor.lifecycle import State
from daemoneye.supervisor.spec import RestartPolicy, RestartType

Jitter = Callable[[float, float], float]
"""Draws a number between two bounds: `random.uniform`, or what a test wants."""

_POLITE_SIGNALS = (-2, -15)
"""SIGINT and SIGTERM as exit codes: asked to end, from outside."""


def is_clean_end(policy: RestartPolicy, exit_code: int | None) -> bool:
    """Whether an end that nobody asked for is one that the child's kind of life may have."""
    if exit_code is None:
        return False
    if exit_code in policy.success_codes:
        return True
    return policy.restart_type is not RestartType.PERMANENT and exit_code in _POLITE_SIGNALS


def is_restarted(policy: RestartPolicy, clean: bool) -> bool:
    """Whether a child that ended unasked is started again."""
    match policy.restart_type:
        case RestartType.PERMANENT:
            return True
        case RestartType.TRANSIENT:
            return not clean
        case RestartType.TEMPORARY:
            return False


@dataclass(frozen=True, slots=True)
class Failure:
    """What the ledger has to know of one failure."""

    at: float
    """When."""
    was_ready: bool
    """The incarnation had become ready."""
    healthy_seconds: float
    """How long it ran after that; 0 when it was never ready."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the ledger makes of a failure."""

    state: State
    """BACKOFF, QUARANTINED or FATAL."""
    delay: float
    """Seconds until the next attempt; 0 with FATAL, where there is none."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """One child's failures; as long as the window is wide, whatever happens.

    Healthy running is credited when the next failure is entered, so it needs no timer.
    """

    in_a_row: int = 0
    """Failures in a row, after what healthy running has forgiven."""
    recent: tuple[float, ...] = ()
    """When the last ones were: at most `max_failures + 1`, all the window needs."""
    last: Verdict | None = None
    """What the last failure led to; None when there is none to remember."""

    def enter(
        self, failure: Failure, policy: RestartPolicy, jitter: Jitter
    ) -> tuple[Ledger, Verdict]:
        """The ledger with one more failure, and what follows from it."""
        ledger = self.forgiven(failure.healthy_seconds, policy)
        recent = (*ledger.recent, failure.at)[-(policy.max_failures + 1) :]
        in_a_row = ledger.in_a_row + 1
        ledger = replace(ledger, in_a_row=in_a_row, recent=recent)
        verdict = ledger._judge(failure, policy, jitter)
        return replace(ledger, last=verdict), verdict

    def forgiven(self, healthy_seconds: float, policy: RestartPolicy) -> Ledger:
        """The ledger after so much healthy running: each decay time halves the count.

        One decay time also ends a quarantine: the child has shown that it can run.
        """
        last_delay = self.last.delay if self.last else 0.0
        halvings = int(healthy_seconds // max(policy.decay_interval, 2 * last_delay))
        if not halvings:
            return self
        return replace(self, in_a_row=self.in_a_row >> min(halvings, 64), last=None)

    def in_window(self, now: float, policy: RestartPolicy) -> int:
        """Failures the window still sees; counts no further than it takes for a quarantine."""
        return sum(1 for at in self.recent if at > now - policy.window_interval)

    def _judge(self, failure: Failure, policy: RestartPolicy, jitter: Jitter) -> Verdict:
        if policy.give_up_after is not None and self.in_a_row >= policy.give_up_after:
            return Verdict(State.FATAL, 0.0)
        quarantined = self.last is not None and self.last.state is State.QUARANTINED
        if quarantined or self.in_window(failure.at, policy) > policy.max_failures:
            return Verdict(State.QUARANTINED, policy.quarantine_interval)
        delay = backoff(self.in_a_row, failure.was_ready, policy)
        return Verdict(State.BACKOFF, delay * jitter(0.5, 1.0) if delay else 0.0)


def backoff(in_a_row: int, was_ready: bool, policy: RestartPolicy) -> float:
    """Seconds before the next attempt, before jitter: 0 at first, then doubling up to the cap.

    A child that never became ready gets no free attempt: it begins one step further on.
    """
    doublings = in_a_row - 2 if was_ready else in_a_row - 1
    if doublings < 0:
        return 0.0
    return min(policy.max_backoff_interval, policy.backoff_interval * 2.0 ** min(doublings, 64))


@dataclass(frozen=True, slots=True)
class RestartRate:
    """Restarts of all children together: a bucket of tokens, and never a burst twice in a second.

    A bucket alone lets a burst and a second's refill pass within one second; the times of the last
    burst close that hole.
    """

    per_second: float
    """Tokens that come back each second."""
    burst: int
    """Tokens the bucket holds, and the most restarts in any second."""
    tokens: float
    """What was in it at `at`."""
    at: float
    """When it was last looked at."""
    taken: tuple[float, ...] = ()
    """When the last ones were taken: at most `burst`."""

    @classmethod
    def full(cls, per_second: float, burst: int, now: float) -> RestartRate:
        """A bucket that is full now."""
        return cls(per_second, burst, float(burst), now)

    def next_at(self, now: float) -> float:
        """When the next restart may be: now, or later."""
        times = [now]
        if self._tokens(now) < 1.0:
            times.append(self.at + (1.0 - self.tokens) / self.per_second)
        if len(self.taken) == self.burst:
            times.append(self.taken[0] + 1.0)
        return max(times)

    def take(self, now: float) -> RestartRate:
        """The bucket after one restart now."""
        left = max(0.0, self._tokens(now) - 1.0)
        return replace(self, tokens=left, at=now, taken=(*self.taken, now)[-self.burst :])

    def _tokens(self, now: float) -> float:
        # A hair's breadth of slack: the time `next_at` names has to be enough when it comes.
        grown = self.tokens + (now - self.at) * self.per_second + 1e-9
        return min(float(self.burst), grown)
