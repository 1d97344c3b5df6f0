"""The declared topics: who speaks to whom about what, and in which message.  Pure.

Declared once, here; `docs/hierarchy.md` shows the same table and a test holds the two together.
Messages are named, not imported: the broker moves payloads without opening them and must not
pay for loading them.  A topic that is not declared may be used all the same, by whom the access
list lets; its payload is what its publisher says it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from daemoneye.bus.topics import ONE, TopicFilter, check_topic, escaped, is_level
from daemoneye.errors import InvalidTopic

KINDS = ("process", "network", "filesystem", "performance")
"""What the built-in collectors observe; other collectors may be of other kinds."""

COLLECTOR_LIFECYCLE = "control.collector.lifecycle"
COLLECTOR_CONFIG = "control.collector.config"
HEARTBEAT = "control.health.heartbeat"
STATUS = "control.health.status"
DIAGNOSTICS = "control.health.diagnostics"
DENIED = "$bus.denied"
STATISTICS = "$bus.stats"

ALL_EVENTS = "events.#"
ALL_STATUS = "control.health.status.#"
ADMIN = "control.admin.#"
BUS = "$bus.#"
"""What only the broker may publish."""

PACKAGE = "daemoneye.v1"


@dataclass(frozen=True, slots=True)
class DeclaredTopic:
    """One row of the hierarchy."""

    text: str
    """The topic; a level `<name>` stands for any one level, a last `#` for all below."""
    publisher: str
    """Who speaks there, for people; what holds is the access list."""
    subscriber: str
    """For whom it is meant."""
    message: str | None
    """Full name of the protobuf message that is its payload; None: agreed on by the two sides."""
    sentence: str
    """What is said there."""
    filter: TopicFilter = field(init=False, compare=False, repr=False)
    """The topics of this row, as a set."""

    def __post_init__(self) -> None:
        levels = (ONE if level[0] == "<" else level for level in self.text.split("."))
        object.__setattr__(self, "filter", TopicFilter(".".join(levels)))


def _row(topic: str, speaks: str, message: str | None, sentence: str) -> DeclaredTopic:
    publisher, subscriber = speaks.split(" → ")
    full_name = f"{PACKAGE}.{message}" if message else None
    return DeclaredTopic(topic, publisher, subscriber, full_name, sentence)


# fmt: off
TOPICS: tuple[DeclaredTopic, ...] = (
    _row("events.process.lifecycle", "procmond → agent", "ProcessLifecycle",
         "a process started, ran another program, or stopped"),
    _row("events.process.metadata", "procmond → agent", "ProcessMetadata",
         "CPU and memory of processes"),
    _row("events.process.tree", "procmond → agent", "ProcessTree",
         "which process is the child of which, in parts"),
    _row("events.process.integrity", "procmond → agent", "ProcessIntegrity",
         "the hash of an executable, when first seen or changed"),
    _row("events.process.anomaly", "procmond → agent", "ProcessAnomaly",
         "a process behaves oddly, or no longer does"),
    _row("events.process.batch", "procmond → agent", "ProcessBatch",
         "all processes, in parts"),
    _row("events.network.lifecycle", "netmond → agent", "NetworkLifecycle",
         "a connection opened or closed"),
    _row("events.network.listener", "netmond → agent", "NetworkListener",
         "a socket began or ceased to listen"),
    _row("events.network.anomaly", "netmond → agent", "NetworkAnomaly",
         "an unusual connection"),
    _row("events.network.batch", "netmond → agent", "NetworkBatch",
         "all connections and listeners, in parts"),
    _row("events.filesystem.lifecycle", "fsmond → agent", "FilesystemLifecycle",
         "a watched file was created, removed or moved"),
    _row("events.filesystem.metadata", "fsmond → agent", "FilesystemMetadata",
         "content or attributes of a watched file changed"),
    _row("events.filesystem.integrity", "fsmond → agent", "FilesystemIntegrity",
         "the hash of a watched file, when first seen or changed"),
    _row("events.filesystem.batch", "fsmond → agent", "FilesystemBatch",
         "all watched files as a baseline, in parts"),
    _row("events.performance.metadata", "perfmond → agent", "PerformanceMetadata",
         "a sample of CPU, load, memory, swap, disks and networks"),
    _row("events.performance.anomaly", "perfmond → agent", "PerformanceAnomaly",
         "a threshold was crossed, or left again"),
    _row("events.performance.batch", "perfmond → agent", "PerformanceBatch",
         "the description of the host"),
    _row(COLLECTOR_LIFECYCLE, "agent → collectors", "CollectorWish",
         "a wish: start, stop, restart, pause, resume; to all, or to one `target`"),
    _row(COLLECTOR_CONFIG, "agent → collectors", "CollectorConfig",
         "a wish: new settings; to all, or to one `target`"),
    _row("control.collector.task.process", "agent → process collectors", "Task",
         "work for one collector of the kind"),
    _row("control.collector.task.network", "agent → network collectors", "Task",
         "work for one collector of the kind"),
    _row("control.collector.task.filesystem", "agent → filesystem collectors", "Task",
         "work for one collector of the kind"),
    _row("control.collector.task.performance", "agent → performance collectors", "Task",
         "work for one collector of the kind"),
    _row(HEARTBEAT, "children → agent", "Heartbeat",
         "a sign of life on the bus, beside the one on the lifeline"),
    _row(STATUS, "agent → agent, observers", "HealthStatus",
         "the health of the whole, and why"),
    _row("control.health.status.<child>", "supervisor, that child → agent, observers",
         "ChildStatus", "the state of one child, its crashes, its answers to wishes"),
    _row(DIAGNOSTICS, "agent, children → the `target`", "Diagnostics",
         "a question to one child, and its answer to whoever asked"),
    _row(ADMIN, "agent → agent", None,
         "restricted: between those who may do everything"),
    _row("$bus.clients.<client>", "broker → agent", "ClientPresence",
         "whether a client is connected, and how it left; retained"),
    _row("$bus.loss.<client>", "broker → agent", "LossReport",
         "what a client missed, by reason; at most once a second"),
    _row(DENIED, "broker → agent", "Denial",
         "what the access list refused a client, and by which rule; at most once a second"),
    _row("$bus.dead.<group>", "broker → agent", "DeadLetter",
         "a message that no member of the group could handle, and why"),
    _row(STATISTICS, "broker → agent", "BusStatistics",
         "what the broker has counted; every 10 s, while somebody listens"),
)
# fmt: on

_BY_TEXT = {row.text: row for row in TOPICS}
_BY_PATTERN = tuple(row for row in TOPICS if "<" in row.text or row.filter.open)


@lru_cache(maxsize=1024)
def declared_topic(topic: str) -> DeclaredTopic | None:
    """The row a topic belongs to, or None.  Raises InvalidTopic when it is no topic."""
    levels = check_topic(topic)
    exact = _BY_TEXT.get(topic)
    if exact is not None:
        return exact
    return next((row for row in _BY_PATTERN if row.filter.matches_levels(levels)), None)


def message_of(topic: str) -> str | None:
    """Full name of the message on a topic, e.g. `daemoneye.v1.ProcessLifecycle`; None: undeclared.

    Raises InvalidTopic when it is no topic.
    """
    declared = declared_topic(topic)
    return declared.message if declared else None


def is_silent(filter_text: str) -> bool:
    """Whether all of a filter is the broker's, and the broker speaks nowhere in it.

    Raises InvalidTopic when it is no filter.
    """
    asked = TopicFilter(filter_text)
    return TopicFilter(BUS).covers(asked) and not any(
        row.filter.intersects(asked) for row in TOPICS
    )


def events_of(kind: str) -> str:
    """The filter for all events of a kind.  Raises InvalidTopic when `kind` is no level."""
    return f"events.{_level(kind)}.#"


def task_topic(kind: str) -> str:
    """Where tasks for collectors of a kind go.  Raises InvalidTopic when `kind` is no level."""
    return f"control.collector.task.{_level(kind)}"


def status_topic(child: str) -> str:
    """Where the status of a child is told.  Raises InvalidTopic when `child` is no level."""
    return f"{STATUS}.{_level(child)}"


def presence_topic(client: str) -> str:
    """Where it is told whether a client is connected."""
    return f"$bus.clients.{client}"


def loss_topic(client: str) -> str:
    """Where it is told what a client missed; of `+`, the filter for all of them."""
    return f"$bus.loss.{client}"


def dead_letter_topic(group: str) -> str:
    """Where it is told what a group could not handle; of `+`, the filter for all groups."""
    return f"$bus.dead.{group}"


def _level(name: str) -> str:
    if not is_level(name):
        raise InvalidTopic(
            f"{escaped(name)} cannot be a level of a topic",
            hint="1 to 64 of a-z, 0-9, `_` and `-`",
        )
    return name
