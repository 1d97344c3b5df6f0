"""daemoneye: a supervisor for cooperating Python processes, with its own event bus.

The names below are the public face; each is imported when it is first used, because a child
process imports this package and pays for every module.

    from daemoneye import BusClient, ChildSpec, Collector, Event, Supervisor, every, on

The house, from the roof down; imports only point down, and `·` marks pure rules, `!` shells that
touch the world and decide nothing:

    cli/            !  the command line: prints, decides nothing
    config/         !  files and environment in, a validated plan out; knows all packages
    supervisor/        starts, watches, restarts and stops children; knows nothing of collectors
    collectors/        what a user subclasses, the process it runs in, the built-in ones
    bus/               topics, rights, routing, the wire, the broker and its clients
    lifeline.py     !  the private pipe between a child and its supervisor
    rundir.py       !  where an instance keeps its sockets, lock and keys
    system.py       !  the border to the operating system
    waiting.py      !  a part of it: waiting for descriptors
    signals.py      !  a part of it: signals and process groups
    named_pipes.py  !  a part of it: those of Windows, made private
    framing.py      ·  a stream cut into frames
    units.py        ·  durations and sizes as people write them
    strict_json.py  ·  JSON that came from elsewhere
    foreign.py      ·  foreign text made safe to show
    errors.py       ·  every exception, in one tree
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemoneye.bus.client.async_bus_client import AsyncBusClient
    from daemoneye.bus.client.bus_client import BusClient
    from daemoneye.bus.client.jobs import AsyncJob, Job
    from daemoneye.bus.client.requests import AsyncRequest, Request
    from daemoneye.bus.envelope import Correlation, Envelope
    from daemoneye.bus.topics import Topic, TopicFilter
    from daemoneye.collectors.collector import Collector, Event, collector, every, on
    from daemoneye.config.collectors import collector_spec
    from daemoneye.errors import (
        AccessDenied,
        AlreadyRunning,
        BackPressure,
        BusBroken,
        BusClosed,
        BusError,
        CollectorError,
        ConfigError,
        DaemoneyeError,
        DeadlineExceeded,
        GaveUp,
        InvalidTopic,
        InvalidTransition,
        LocalProtocolError,
        MissingExtra,
        NoResponder,
        NotRunning,
        ProtocolError,
        Refused,
        Rejected,
        RemoteProtocolError,
        SupervisionError,
        TooLarge,
        UnknownChild,
    )
    from daemoneye.supervisor.spec import (
        ChildSpec,
        Plan,
        RestartPolicy,
        RestartType,
        Strategy,
        Timeouts,
    )
    from daemoneye.supervisor.supervisor import Supervisor

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AlreadyRunning",
    "AsyncBusClient",
    "AsyncJob",
    "AsyncRequest",
    "BackPressure",
    "BusBroken",
    "BusClient",
    "BusClosed",
    "BusError",
    "ChildSpec",
    "Collector",
    "CollectorError",
    "ConfigError",
    "Correlation",
    "DaemoneyeError",
    "DeadlineExceeded",
    "Envelope",
    "Event",
    "GaveUp",
    "InvalidTopic",
    "InvalidTransition",
    "Job",
    "LocalProtocolError",
    "MissingExtra",
    "NoResponder",
    "NotRunning",
    "Plan",
    "ProtocolError",
    "Refused",
    "Rejected",
    "RemoteProtocolError",
    "Request",
    "RestartPolicy",
    "RestartType",
    "Strategy",
    "SupervisionError",
    "Supervisor",
    "Timeouts",
    "TooLarge",
    "Topic",
    "TopicFilter",
    "UnknownChild",
    "collector",
    "collector_spec",
    "every",
    "on",
]

_ERRORS = "daemoneye.errors"
_SPEC = "daemoneye.supervisor.spec"
_COLLECTOR = "daemoneye.collectors.collector"
_HOMES = {
    "AsyncBusClient": "daemoneye.bus.client.async_bus_client",
    "AsyncJob": "daemoneye.bus.client.jobs",
    "AsyncRequest": "daemoneye.bus.client.requests",
    "BusClient": "daemoneye.bus.client.bus_client",
    "ChildSpec": _SPEC,
    "Collector": _COLLECTOR,
    "Correlation": "daemoneye.bus.envelope",
    "Envelope": "daemoneye.bus.envelope",
    "Event": _COLLECTOR,
    "Job": "daemoneye.bus.client.jobs",
    "Plan": _SPEC,
    "Request": "daemoneye.bus.client.requests",
    "RestartPolicy": _SPEC,
    "RestartType": _SPEC,
    "Strategy": _SPEC,
    "Supervisor": "daemoneye.supervisor.supervisor",
    "Timeouts": _SPEC,
    "Topic": "daemoneye.bus.topics",
    "TopicFilter": "daemoneye.bus.topics",
    "collector": _COLLECTOR,
    "collector_spec": "daemoneye.config.collectors",
    "every": _COLLECTOR,
    "on": _COLLECTOR,
}
"""Where the public names live; those that are not here are errors."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES.get(name, _ERRORS)), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
