"""What became of every message, from what publishers and subscribers wrote down.  Pure.

A *life* is one process.  A publisher writes a number before it publishes it; a subscriber writes
what it heard, of which life and which number, and what it was told it had missed.  Of what a
publisher published between the first and the last message that a subscriber heard of it, each was
heard, or is missing; and nothing is lost in silence when no more is missing than was told.  Where
both ended in order, what a publisher published last counts too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Life = str

LAST = "last"
"""What a player writes when it ends in order: it has published, or heard, all there was."""


@dataclass
class Hearing:
    """What one subscriber heard in one life."""

    spans: dict[Life, tuple[int, int]] = field(default_factory=dict)
    """Of each publisher: the first number that was heard, and the last."""
    heard: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """What it was told, by reason."""
    disorder: list[str] = field(default_factory=list)
    """What came twice, or too early."""
    ended: bool = False
    """Whether it ended in order, when the publishers had."""

    @property
    def published(self) -> int:
        """How many were published of what it heard, from the first to the last of each life."""
        return sum(last - first + 1 for first, last in self.spans.values())

    @property
    def missing(self) -> int:
        """How many of those it did not hear."""
        return self.published - self.heard

    @property
    def silent(self) -> int:
        """How many were lost and not told: there must be none."""
        return max(0, self.missing - self.lost.total())

    @property
    def overtold(self) -> int:
        """How many more were told than are missing between the first and the last of each."""
        return max(0, self.lost.total() - self.missing)


def hearing_of(lines: Iterable[str]) -> Hearing:
    """What a subscriber's record says; a last line that was cut off by its death is left out."""
    hearing = Hearing()
    for line in lines:
        if not line.endswith("\n"):
            break
        if line.rstrip("\n") == LAST:
            hearing.ended = True
            break
        life, number, lost = line.rstrip("\n").split(" ", 2)
        hearing.lost.update(json.loads(lost))
        _hear(hearing, life, int(number))
    return hearing


def _hear(hearing: Hearing, life: Life, number: int) -> None:
    hearing.heard += 1
    first, last = hearing.spans.get(life, (number, number - 1))
    if number <= last:
        hearing.disorder.append(f"{number} of {life} after {last}")
    hearing.spans[life] = (first, max(last, number))


def record(life: Life, number: int, lost: Mapping[str, int]) -> str:
    """One line of a subscriber's record."""
    return f"{life} {number} {json.dumps(dict(lost))}\n"


@dataclass
class Labour:
    """What was ordered of a group, and done by its members."""

    ordered: set[tuple[Life, int]] = field(default_factory=set)
    """What its publisher was told is handled."""
    done: Counter[tuple[Life, int]] = field(default_factory=Counter)
    """How often members wrote it down, which they do before they acknowledge."""

    def order(self, life: Life, lines: Iterable[str]) -> None:
        """A publisher's record."""
        for line in _whole(lines):
            self.ordered.add((life, int(line)))

    def work(self, lines: Iterable[str]) -> None:
        """A member's record."""
        for line in _whole(lines):
            life, number = line.split()
            self.done[life, int(number)] += 1

    @property
    def undone(self) -> set[tuple[Life, int]]:
        """What is said to be handled, and nobody did: there must be none."""
        return {each for each in self.ordered if not self.done[each]}

    @property
    def again(self) -> int:
        """What was done more than once: the price of at least once."""
        return sum(count - 1 for count in self.done.values())


def _whole(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if not line.endswith("\n") or line.rstrip("\n") == LAST:
            return
        yield line.rstrip("\n")


@dataclass
class Account:
    """All of it."""

    hearings: list[Hearing]
    written: Mapping[Life, int]
    """The last number that each publisher wrote down."""
    ended: frozenset[Life] = frozenset()
    """Publishers that ended in order: they published all they wrote down, and the broker has it."""

    labour: Labour = field(default_factory=Labour)
    """What a group did."""

    def __post_init__(self) -> None:
        """Who heard to the end has to account for all there was, the last ones included."""
        for hearing in self.hearings:
            if hearing.ended:
                for life in hearing.spans.keys() & self.ended:
                    first, last = hearing.spans[life]
                    hearing.spans[life] = (first, max(last, self.written[life]))

    def lines(self) -> list[str]:
        """For people."""
        lost: Counter[str] = Counter()
        for each in self.hearings:
            lost.update(each.lost)
        published = sum(each.published for each in self.hearings)
        heard = sum(each.heard for each in self.hearings)
        told, silent = lost.total(), sum(each.silent for each in self.hearings)
        over = sum(each.overtold for each in self.hearings)
        return [
            f"lives of publishers         {len(self.written):12}",
            f"lives of subscribers        {len(self.hearings):12}",
            f"messages written down       {sum(self.written.values()):12}",
            f"published, for each hearer  {published:12}",
            f"delivered                   {heard:12}",
            *(f"  lost: {reason:20}{count:12}" for reason, count in sorted(lost.items())),
            f"told as lost                {told:12}",
            f"missing                     {published - heard:12}",
            f"told beyond the missing     {over:12}",
            f"lost in silence             {silent:12}",
            f"ordered and handled         {len(self.labour.ordered):12}",
            f"  and done by nobody        {len(self.labour.undone):12}",
            f"done once more than needed  {self.labour.again:12}",
        ]

    def problems(self) -> list[str]:
        """What breaks a promise."""
        found = []
        for each in self.hearings:
            found += each.disorder[:5]
            if each.silent:
                found.append(f"{each.silent} lost in silence: {each}")
            for life, (_, last) in each.spans.items():
                written = self.written.get(life, 0)
                if last > written:
                    found.append(f"{last} of {life} was heard and never published")
        if self.labour.undone:
            found.append(f"said to be handled, and not done: {sorted(self.labour.undone)[:5]}")
        return found
