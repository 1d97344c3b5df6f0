"""What a child's signs of life say: alive, silent, stuck in its work, cut off, or unwell.

Two questions, because they have different answers.  *Liveness*: does its runtime thread beat?
*Progress*: how long has the work in hand taken?  Waiting for work is healthy, however long.
Liveness is a deadline; progress is judged when a beat reports it, for without beats there is
silence, and that is liveness's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from daemoneye.supervisor.contract import BeatHeard
from daemoneye.supervisor.health import Facts
from daemoneye.supervisor.spec import Timeouts

CUT_OFF_BEATS = 2
"""Beats without a bus connection that are a reconnect in progress, not yet worth a word."""

_SAME_WORK_SECONDS = 0.25
"""How far two beats may disagree about when one piece of work began."""

_BUSY_CPU_PERCENT = 80.0
"""From here on a child that does not answer is computing, not waiting."""


_STATUS_WORDS = {
    "stopped": "frozen by a signal (SIGSTOP or Ctrl-Z)",
    "tracing-stop": "held by a debugger",
    "disk-sleep": "waiting for a disk or a device",
}
"""For a person, what a process does that neither computes nor sleeps, by psutil's word."""


class Level(IntEnum):
    """How far past its limits a child is."""

    FINE = 0
    SOFT = 1
    """DEGRADED: look closely."""
    HARD = 2
    """It hangs: kill it."""


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """The signs of life of one incarnation."""

    heard_at: float
    """When the last sign came; at first, when it became ready."""
    beat: BeatHeard | None = None
    """The last heartbeat."""
    work_began_at: float | None = None
    """When the work in hand began, on our clock; None while it waits for work."""
    cut_off_at: float | None = None
    """Since when it has a bus client without a connection."""
    complaint: str = ""
    """Why it calls itself degraded."""

    def heard(self, beat: BeatHeard, now: float) -> Heartbeats:
        """With one more beat."""
        cut_off = beat.uses_bus and not beat.bus_connected
        return replace(
            self,
            heard_at=now,
            beat=beat,
            work_began_at=self._work_began(beat, now),
            cut_off_at=(now if self.cut_off_at is None else self.cut_off_at) if cut_off else None,
        )

    def _work_began(self, beat: BeatHeard, now: float) -> float | None:
        """Our clock decides, not the child's: when both were stopped, only the child's went on."""
        if not beat.busy_seconds > 0:
            return None
        began = now - beat.busy_seconds
        known = self.work_began_at
        if known is not None and began <= known + _SAME_WORK_SECONDS:
            return known
        # New work: it was not in hand at the beat before, so it began after that one.
        return max(began, self.heard_at)

    def level(self, now: float, timeouts: Timeouts) -> Level:
        """How far past its limits it is now."""
        since = self.heard_at if self.work_began_at is None else self.work_began_at
        for level, limit in (
            (Level.HARD, timeouts.hard_timeout),
            (Level.SOFT, timeouts.soft_timeout),
        ):
            # A missing beat counts from the beat, work from the last beat that reported it.
            if now >= self.heard_at + limit or self.heard_at >= since + limit:
                return level
        return Level.FINE

    def next_limit(self, now: float, timeouts: Timeouts) -> float:
        """When silence passes its next limit."""
        soft = self.heard_at + timeouts.soft_timeout
        return soft if now < soft else self.heard_at + timeouts.hard_timeout

    def killed_at(self, now: float, timeouts: Timeouts) -> float | None:
        """When it hangs unless it recovers; None while it is within all limits.

        What it complains about, or that it has lost the bus, is no reason to kill it.
        """
        if self.level(now, timeouts) is Level.FINE:
            return None
        if self._is_silent(now, timeouts) or self.work_began_at is None:
            return self.heard_at + timeouts.hard_timeout
        return self.work_began_at + timeouts.hard_timeout

    def is_cut_off(self, timeouts: Timeouts) -> bool:
        """Whether it has had no connection to the bus for longer than it takes to get one."""
        return self.cut_off_at is not None and self.heard_at >= self.cut_off_at + (
            CUT_OFF_BEATS * timeouts.beat_interval
        )

    def is_told_to_pause(self) -> bool:
        """Whether its last beat said that it has heard the order to pause."""
        return self.beat is not None and self.beat.paused

    def is_paused(self) -> bool:
        """Whether it does no work because of that: what is in hand may take long, or hang."""
        return self.is_told_to_pause() and self.work_began_at is None

    def work(self) -> str:
        """The work in hand, for a person."""
        return (self.beat.doing if self.beat else "") or "its work"

    def hang_word(self, now: float, timeouts: Timeouts, facts: Facts | None) -> str:
        """Why it hangs, from facts alone: `stopped`, `io`, `gil`, `busy` or `deadlock`.

        `deadlock` is what is left: it waits, and uses no CPU.  From outside, two locks, a socket
        nobody writes to and a long sleep look alike; people are told that it is one or the other.
        """
        facts = facts or Facts()
        if facts.status in ("stopped", "tracing-stop"):
            return "stopped"
        if facts.status == "disk-sleep":
            return "io"
        if facts.cpu_percent >= _BUSY_CPU_PERCENT:
            return "gil" if self._is_silent(now, timeouts) else "busy"
        return "deadlock"

    def limit_reason(self, now: float, timeouts: Timeouts, facts: Facts | None) -> str:
        """How it is past its limits, which is what it is killed for; empty when it is within."""
        if self._is_silent(now, timeouts):
            return f"no heartbeat for {now - self.heard_at:.0f} s{_words(facts, ': ')}"
        if self.level(now, timeouts) is not Level.FINE and self.work_began_at is not None:
            seconds = now - self.work_began_at
            return f"busy with {self.work()} for {seconds:.0f} s{_words(facts, ', ')}"
        return ""

    def reason(self, now: float, timeouts: Timeouts, facts: Facts | None) -> str:
        """Why it is not well, the gravest first; empty when it is."""
        beyond = self.limit_reason(now, timeouts, facts)
        reasons = [beyond] if beyond else []
        if self.is_cut_off(timeouts):
            reasons.append("alive but cut off from the bus")
        if self.complaint:
            reasons.append(self.complaint)
        return "; ".join(reasons)

    def _is_silent(self, now: float, timeouts: Timeouts) -> bool:
        return now >= self.heard_at + timeouts.soft_timeout


def is_frozen(facts: Facts | None) -> bool:
    """Whether a signal holds the process, and another one would let it go on."""
    return facts is not None and facts.status == "stopped"


def _words(facts: Facts | None, joint: str) -> str:
    """What the process looks like from outside, for a person; empty when nobody has looked."""
    if facts is None or not facts.status:
        return ""
    if facts.status in _STATUS_WORDS:
        return joint + _STATUS_WORDS[facts.status]
    computes = facts.cpu_percent >= _BUSY_CPU_PERCENT
    return joint + ("computing" if computes else "blocked or deadlocked")
