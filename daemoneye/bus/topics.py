"""Topics and filters: the grammar, and filters as sets of topics.  Pure.

A topic is 1 to 16 levels joined by dots, 255 characters at most.  A level is 1 to 64 of
`a-z 0-9 _ -`; the first may begin with `$`, which reserves it for the broker.  A filter may have
wildcards for whole levels: `+` is exactly one level, `#` is zero or more and comes last, so `a.#`
matches `a` too.  A wildcard in the first place does not reach topics that begin with `$`.

Filters are compared as the sets of topics they match, not as texts: `+.#` covers `#`, because
every topic has a first level.  What makes that exact and cheap is one normal form: a *head* of at
least one level, then an *open* or a closed end.  `#` alone is head `+`, open.  The limits on
length do not disturb it: every wildcard of a valid filter has room for a level of any one
character, so no two heads that look different match the same topics by lack of room.  Only an
intersection can outgrow the limits (two long filters, each literal where the other is wild), and
is then cut to what fits.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from daemoneye.errors import InvalidTopic, LocalProtocolError

MAX_LEVELS = 16
MAX_CHARACTERS = 255
MAX_LEVEL_CHARACTERS = 64

ONE = "+"
REST = "#"
RESERVED = "$"

CACHED_TOPICS = 4096
"""How many checked topics are remembered: some 6 MB, if all are as long as they may be."""

_LEVEL = re.compile(r"[a-z0-9_-]{1,64}")
_FIRST_LEVEL = re.compile(r"[a-z0-9_-]{1,64}|\$[a-z0-9_-]{1,63}")

Carried = TypeVar("Carried")


class Codec(Protocol[Carried]):
    """What makes payloads of values, and values of payloads again."""

    def encode(self, value: Carried, /) -> bytes:
        """The payload."""

    def decode(self, payload: bytes, /) -> Carried:
        """The value; an exception says that the payload is none."""


@dataclass(frozen=True, slots=True)
class Topic(Generic[Carried]):
    """A topic together with the type of its payload: `Topic("events.demo.tick", Tick)`.

    Raises InvalidTopic when `text` is no topic, LocalProtocolError when `payload` is no type that
    can travel.
    """

    text: str
    """The topic as it is published."""
    payload: type[Carried] | Codec[Carried]
    """What is published there: `bytes`, a class of protobuf messages, `dict` or `list` for JSON, or
    an object with `encode` and `decode`.
    """

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidTopic(
                f"a topic is a str, and not {type(self.text).__name__}: {self.text!r:.100}",
                hint='for example Topic("events.demo.tick", dict)',
            )
        check_topic(self.text)
        methods = [("encode", "decode")]
        if isinstance(self.payload, type):
            methods.append(("SerializeToString", "FromString"))
        if self.payload not in (bytes, dict, list) and not any(
            all(callable(getattr(self.payload, method, None)) for method in pair)
            for pair in methods
        ):
            raise LocalProtocolError(
                f"{self.text} cannot carry {self.payload!r:.100}",
                hint="give bytes, dict, list, a protobuf class, or an object with `encode(value)` "
                "and `decode(payload)`",
            )

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class TopicFilter:
    """A pattern over topics, and the set of topics it matches.

    Equal when their texts are equal; `a.covers(b) and b.covers(a)` says that the sets are.
    Raises InvalidTopic when `text` is no filter.
    """

    text: str
    """The filter as a person writes it."""
    levels: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """The text, cut at the dots."""
    head: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """The normal form: what the first levels of a topic have to be; never empty, never `#`."""
    open: bool = field(init=False, compare=False, repr=False)
    """The normal form: whether more levels may follow the head."""

    def __post_init__(self) -> None:
        levels = _check_filter(self.text)
        is_open = levels[-1] == REST
        head = levels[:-1] if is_open else levels
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "head", head or (ONE,))
        object.__setattr__(self, "open", is_open)

    def __str__(self) -> str:
        return self.text

    @property
    def has_wildcards(self) -> bool:
        """Whether it is more than one topic."""
        return self.open or ONE in self.head

    def matches(self, topic: str) -> bool:
        """Whether `topic` is in this set.  Raises InvalidTopic when it is no topic."""
        return self.matches_levels(check_topic(topic))

    def matches_levels(self, levels: tuple[str, ...]) -> bool:
        """As `matches`, for a topic that `check_topic` has already cut into levels."""
        head = self.head
        if len(levels) != len(head) and not (self.open and len(levels) > len(head)):
            return False
        for mine, level in zip(head, levels, strict=False):
            if mine != level and mine != ONE:
                return False
        return head[0] != ONE or levels[0][0] != RESERVED

    def covers(self, other: TopicFilter) -> bool:
        """Whether every topic that `other` matches is matched by this filter too."""
        mine, theirs = self.head, other.head
        if self.open:
            if len(theirs) < len(mine):
                return False
        elif other.open or len(theirs) != len(mine):
            return False
        for level, their_level in zip(mine, theirs, strict=False):
            if level != their_level and level != ONE:
                return False
        return mine[0] != ONE or theirs[0][0] != RESERVED

    def intersects(self, other: TopicFilter) -> bool:
        """Whether some topic is matched by both."""
        if not self._may_meet(other):
            return False
        surely_fits = len(self.text) + len(other.text) <= MAX_CHARACTERS
        return surely_fits or self.intersection(other) is not None

    def intersection(self, other: TopicFilter) -> TopicFilter | None:
        """The filter for exactly the topics that both match, or None when there are none."""
        if not self._may_meet(other):
            return None
        if other.covers(self):
            return self
        if self.covers(other):
            return other
        merged = self._merged_head(other)
        if len(".".join(merged)) > MAX_CHARACTERS:
            return None
        both_open = self.open and other.open
        text = ".".join((*merged, REST) if both_open else merged)
        if len(text) > MAX_CHARACTERS:
            text = ".".join(merged)
        return TopicFilter(text)

    def _may_meet(self, other: TopicFilter) -> bool:
        """Whether the heads and ends allow a topic of both, limits on length aside."""
        mine, theirs = self.head, other.head
        if len(mine) < len(theirs) and not self.open:
            return False
        if len(mine) > len(theirs) and not other.open:
            return False
        for level, their_level in zip(mine, theirs, strict=False):
            if level != their_level and level != ONE and their_level != ONE:
                return False
        return mine[0] == theirs[0] or RESERVED not in (mine[0][0], theirs[0][0])

    def _merged_head(self, other: TopicFilter) -> tuple[str, ...]:
        """Level by level the narrower of the two; the longer head goes on alone."""
        mine, theirs = self.head, other.head
        shared = min(len(mine), len(theirs))
        narrower = (b if a == ONE else a for a, b in zip(mine, theirs, strict=False))
        return (*narrower, *mine[shared:], *theirs[shared:])


@lru_cache(maxsize=CACHED_TOPICS)
def check_topic(text: str) -> tuple[str, ...]:
    """The levels of a topic.  Raises InvalidTopic, with the level and the likely meaning."""
    levels = _levels_of("topic", text)
    if not _FIRST_LEVEL.fullmatch(levels[0]):
        raise _complaint("topic", text, levels, 0)
    for position, level in enumerate(levels[1:], 1):
        if not _LEVEL.fullmatch(level):
            raise _complaint("topic", text, levels, position)
    return levels


def is_level(text: str) -> bool:
    """Whether `text` may be a level of a topic, and so the name of an identity, role or kind."""
    return _LEVEL.fullmatch(text) is not None


def escaped(text: str) -> str:
    """Foreign text, safe to show in a message or a log: quoted, ASCII, and no longer than 80."""
    clipped = text if len(text) <= 80 else text[:77] + "..."
    return ascii(clipped)


def _check_filter(text: str) -> tuple[str, ...]:
    levels = _levels_of("filter", text)
    last = len(levels) - 1
    for position, level in enumerate(levels):
        wild = level == ONE or (level == REST and position == last)
        grammar = _LEVEL if position else _FIRST_LEVEL
        if not wild and not grammar.fullmatch(level):
            raise _complaint("filter", text, levels, position)
    return levels


def _levels_of(what: str, text: str) -> tuple[str, ...]:
    """The text cut at the dots, which costs nothing where it is too long to be one."""
    if not text:
        raise InvalidTopic(f"an empty text is no {what}", hint="for example events.process")
    if len(text) > MAX_CHARACTERS:
        raise InvalidTopic(
            f"{what} {escaped(text)} has {len(text)} characters",
            hint=f"at most {MAX_CHARACTERS}",
        )
    levels = tuple(text.split("."))
    if len(levels) > MAX_LEVELS:
        raise InvalidTopic(
            f"{what} {escaped(text)} has {len(levels)} levels", hint=f"at most {MAX_LEVELS}"
        )
    return levels


def _complaint(what: str, text: str, levels: tuple[str, ...], position: int) -> InvalidTopic:
    level = levels[position]
    return InvalidTopic(
        f"level {position + 1}, {escaped(level)}, of {what} {escaped(text)} {_fault(level)}",
        hint=_likely_meaning(what, levels, position),
    )


def _fault(level: str) -> str:
    """What is wrong with one level, to follow its name in a sentence."""
    if not level:
        return "is empty"
    if len(level) > MAX_LEVEL_CHARACTERS:
        return f"has {len(level)} characters"
    if level in (ONE, REST, RESERVED):
        return "is not allowed here"
    strange = next((c for c in level if not is_level(c)), "")
    name = unicodedata.name(strange, "a control character").lower() if strange else ""
    if strange in "+#$*>/" or " " < strange <= "~":
        return f"contains {strange}"
    return f"contains U+{ord(strange):04X}, {name}"


def _likely_meaning(what: str, levels: tuple[str, ...], position: int) -> str:
    """What the writer of a faulty level probably wanted."""
    level = levels[position]
    if any(c in level for c in "*>") or (what == "filter" and level in (REST, "**")):
        return "`+` is one level, `#` is the rest and comes last"
    if ONE in level or REST in level:
        if what == "topic":
            return "a topic names one thing; `+` and `#` are for filters"
        return "a wildcard stands for a whole level: `+` is one level, `#` is the rest"
    if "/" in level:
        return f"levels are separated by dots: {escaped(level.replace('/', '.'))}"
    if RESERVED in level:
        return "`$` may only begin the first level, and a name has to follow it"
    if not level:
        return "leave out the surplus dot"
    if len(level) > MAX_LEVEL_CHARACTERS:
        return f"at most {MAX_LEVEL_CHARACTERS}"
    if is_level(level.lower()):
        return f"write it in lower case: {level.lower()}"
    if is_level(level.strip()):
        return f"leave out the space around it: {level.strip()}"
    return "a level is made of a-z, 0-9, `_` and `-`"
