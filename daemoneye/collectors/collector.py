"""What a user writes: a class that is a collector, the events it yields, and when.  Pure.

    class Uptime(Collector):
        name = "uptime"
        kind = "performance"
        publishes = ("events.performance.uptime",)

        @every("5s")
        def sample(self):
            yield Event("events.performance.uptime", {"seconds": monotonic()})

What the runner promises
* One thread calls everything a collector has: `setup()`, then collections and listeners one at a
  time, then `teardown()`.  Nothing of a collector needs a lock.
* Events are published as they are yielded, and flushed at the end of each collection.
* An exception is logged, counted and told; the collector goes on.  Three in a row make it
  degraded, ten end the process, and the supervisor starts another.  CollectorError is only logged
  and counted, however often.
* A missing bus stops nothing.

A class with a name is checked when it is made; what is wrong comes as one ConfigError with all
problems.  A class without a name is a base for others.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, TypeVar

from daemoneye.bus.hierarchy import (
    COLLECTOR_CONFIG,
    COLLECTOR_LIFECYCLE,
    DIAGNOSTICS,
    STATUS,
    task_topic,
)
from daemoneye.bus.topics import RESERVED, TopicFilter, check_topic, is_level
from daemoneye.errors import ConfigError, InvalidTopic
from daemoneye.units import parse_duration

if TYPE_CHECKING:  # they load protobuf, which a look at a class does not need
    from daemoneye.bus.envelope import Correlation, Payload

SHORTEST_INTERVAL = 0.01
_CONTROL = (COLLECTOR_LIFECYCLE, COLLECTOR_CONFIG, DIAGNOSTICS)
_MARKS = "__daemoneye_marks__"

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Event:
    """Something to publish.  Raises InvalidTopic where it is made, when `topic` is none."""

    topic: str
    payload: Payload
    """Bytes, a protobuf message, or a mapping of what JSON knows."""
    target: str = ""
    """The one identity it is for; empty for everybody who may read the topic."""
    correlation: Correlation | None = None
    """How it belongs to other events."""

    def __post_init__(self) -> None:
        check_topic(self.topic)


@dataclass(frozen=True, slots=True)
class Every:
    """A mark on a method: collect again and again."""

    interval: str | float = ""
    """As written; empty when it stands in a setting."""
    setting: str = ""
    """The key of the settings that has the interval."""


@dataclass(frozen=True, slots=True)
class On:
    """A mark on a method: call it with what arrives from the bus."""

    filter: str


@dataclass(frozen=True, slots=True)
class Collection:
    """A method that is due every so often."""

    method: str
    interval: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A method that hears events."""

    method: str
    filter: TopicFilter


@dataclass(frozen=True, slots=True)
class Description:
    """What a collector class declares, found valid."""

    name: str
    kind: str
    publishes: tuple[TopicFilter, ...]
    """Where its events go; of a class that does not say, everything of its kind."""
    collections: tuple[Collection, ...]
    """With the intervals the settings give them."""
    listeners: tuple[Listener, ...]
    settings: Mapping[str, object]
    """The given ones over the defaults."""

    def may_publish(self, topic: str) -> bool:
        """Whether it said that it publishes here, or may as every collector may."""
        declared = any(declared.matches(topic) for declared in self.publishes)
        return declared or topic == DIAGNOSTICS or topic.startswith(f"{STATUS}.")


def every(interval: str | float = "", *, setting: str = "") -> Callable[[Function], Function]:
    """Mark a method as a collection: `every("5s")`, or `every(setting="interval")`.

    With `setting`, the interval is the value of that key in `settings`, which must have a default,
    and follows it when the settings change.  The first collection is due at once; the others keep
    to the multiples of the interval, and those that were missed are skipped.
    """
    return _marking(Every(interval, setting))


def on(topic_filter: str) -> Callable[[Function], Function]:
    """Mark a method as a listener: it is called with each event that matches the filter."""
    return _marking(On(topic_filter))


class Collector:
    """Base of all collectors.  The hooks do nothing by default."""

    name: ClassVar[str] = ""
    """Who it is in the plan, unless the plan says another name."""
    kind: ClassVar[str] = ""
    """What it collects: "process", "network", "filesystem", "performance", or a word of yours."""
    publishes: ClassVar[Sequence[str]] = ()
    """Filters of the topics it publishes on; empty for `events.<kind>.#`."""
    subscribes: ClassVar[Sequence[str] | None] = None
    """Filters it may hear besides the control topics; None for the tasks of its kind."""
    settings: Mapping[str, object] = MappingProxyType({})
    """On the class the defaults, on an instance what is in force.

    A class that declares any knows its keys: other keys are refused.
    """
    log: logging.Logger = logging.getLogger("daemoneye.collector")
    """Where it says what is for the operator."""

    def setup(self) -> None:
        """Called once, before anything else.  An exception here ends the process."""

    def teardown(self) -> None:
        """Called once at an orderly end; not when the process is killed."""

    def reconfigure(self, settings: Mapping[str, object]) -> None:
        """Other settings are about to come into force; `self.settings` still has the old ones.

        Raise ConfigError, or anything else, to refuse them: it is then called once more with the
        old ones, so that what was half done is put back.
        """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.name:
            describe(cls)


def collector(
    *,
    name: str,
    kind: str,
    interval: str | float,
    publishes: Sequence[str] = (),
    settings: Mapping[str, object] = MappingProxyType({}),
) -> Callable[[Callable[[Collector], Iterable[Event] | None]], type[Collector]]:
    """Make a collector of a generator function, called with the collector at each interval.

        @collector(name="uptime", kind="performance", interval="5s")
        def uptime(self):
            yield Event("events.performance.uptime", {"seconds": monotonic()})

    Raises ConfigError with all problems.
    """

    def make(function: Callable[[Collector], Iterable[Event] | None]) -> type[Collector]:
        body = {
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
            "name": name,
            "kind": kind,
            "publishes": publishes,
            "settings": settings,
            "collect": _marking(Every(interval))(function),
        }
        return type(function.__name__, (Collector,), body)

    return make


def describe(
    collector_class: type[Collector], settings: Mapping[str, object] = MappingProxyType({})
) -> Description:
    """What a class declares, with `settings` over its defaults.

    Raises ConfigError with all problems.
    """
    problems: list[str] = []
    in_force = _settings(collector_class, settings, problems)
    for what, value in (("name", collector_class.name), ("kind", collector_class.kind)):
        if not is_level(value):
            problems.append(f"{what}: {value!r} is not made of 1 to 64 of a-z, 0-9, `_` and `-`")
    declared = _filters("publishes", collector_class.publishes, problems)
    heard = _filters("subscribes", collector_class.subscribes or (), problems)
    collections, listeners = _marked(collector_class, in_force, problems)
    if not problems:
        problems += _unheard(collector_class, listeners, heard)
    if not collections and not listeners and not problems:
        problems.append(
            "no method is marked with @every(…) or @on(…), so it would never do a thing"
        )
    if problems:
        listed = "; ".join(problems)
        raise ConfigError(
            f"collector {collector_class.__qualname__} cannot be used: {listed}", problems=problems
        )
    return Description(
        name=collector_class.name,
        kind=collector_class.kind,
        publishes=declared or (TopicFilter(f"events.{collector_class.kind}.#"),),
        collections=collections,
        listeners=listeners,
        settings=in_force,
    )


def _settings(
    collector_class: type[Collector], given: Mapping[str, object], problems: list[str]
) -> Mapping[str, object]:
    defaults = collector_class.settings
    unknown = given.keys() - defaults.keys() if defaults else ()
    for key in sorted(unknown):
        known = ", ".join(sorted(defaults))
        problems.append(f"settings.{key}: there is no such setting; there are {known}")
    return MappingProxyType({**defaults, **given})


def _filters(what: str, texts: Sequence[str], problems: list[str]) -> tuple[TopicFilter, ...]:
    if isinstance(texts, str):
        problems.append(f"{what}: expected a tuple of filters, not one text: ({texts!r},)")
        return ()
    found = [_filter(what, text, problems) for text in texts]
    return tuple(each for each in found if each)


def _filter(what: str, text: str, problems: list[str]) -> TopicFilter | None:
    try:
        found = TopicFilter(text)
    except InvalidTopic as error:
        problems.append(f"{what}: {error}")
        return None
    if what == "publishes" and text.startswith(RESERVED):
        problems.append(f"{what}: {text} is reserved: only the broker publishes below `$`")
        return None
    return found


def _unheard(
    collector_class: type[Collector], listeners: Sequence[Listener], heard: Sequence[TopicFilter]
) -> Iterator[str]:
    """A complaint for each listener whose subscription the broker would refuse."""
    own = [task_topic(collector_class.kind)] if collector_class.subscribes is None else []
    control = [TopicFilter(each) for each in (*_CONTROL, *own)]
    for listener in listeners:
        if not any(may.covers(listener.filter) for may in (*control, *heard)):
            yield (
                f"@on of {listener.method}: {listener.filter} is not heard by collectors;"
                f" name it in `subscribes`"
            )


def _marked(
    collector_class: type[Collector], settings: Mapping[str, object], problems: list[str]
) -> tuple[tuple[Collection, ...], tuple[Listener, ...]]:
    collections: list[Collection] = []
    listeners: list[Listener] = []
    for method, mark in _marks(collector_class):
        arguments = 1 if isinstance(mark, Every) else 2
        if not _takes(getattr(collector_class, method), arguments):
            wanted = "(self)" if arguments == 1 else "(self, event)"
            problems.append(f"{method}: it is called with {wanted}")
        elif isinstance(mark, Every):
            interval = _interval(method, mark, settings, problems)
            collections.append(Collection(method, interval))
        elif heard := _filter(f"@on of {method}", mark.filter, problems):
            listeners.append(Listener(method, heard))
    return tuple(collections), tuple(listeners)


def _marks(collector_class: type[Collector]) -> Iterator[tuple[str, Every | On]]:
    """The marked methods in the order they were written, base classes first."""
    names = dict.fromkeys(name for base in reversed(collector_class.__mro__) for name in vars(base))
    for name in names:
        for mark in getattr(getattr(collector_class, name), _MARKS, ()):
            yield name, mark


def _interval(
    method: str, mark: Every, settings: Mapping[str, object], problems: list[str]
) -> float:
    where = f"settings.{mark.setting}" if mark.setting else f"@every of {method}"
    if mark.setting and mark.setting not in settings:
        problems.append(f"{where}: @every of {method} names it, and it has no default")
        return 1.0
    value = settings[mark.setting] if mark.setting else mark.interval
    try:
        interval = parse_duration(value)
    except ConfigError as error:
        problems.append(f"{where}: {error}")
        return 1.0
    if interval < SHORTEST_INTERVAL:
        problems.append(f"{where}: {value!r} is shorter than {SHORTEST_INTERVAL * 1000:g} ms")
    return interval


def _takes(function: Callable[..., object], arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*(None,) * arguments)
    except TypeError:
        return False
    return True


def _marking(mark: Every | On) -> Callable[[Function], Function]:
    def put(function: Function) -> Function:
        setattr(function, _MARKS, (*getattr(function, _MARKS, ()), mark))
        return function

    return put
