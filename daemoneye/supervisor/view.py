"""What the supervisor can say about itself and its children at this moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil

from daemoneye import __version__
from daemoneye.supervisor.documents import About, WallClock
from daemoneye.supervisor.health import ChildHealth, Explanation, HealthReport
from daemoneye.supervisor.supervision import Supervision


class View:
    """The rules' knowledge, read at the present time; for the loop's own thread."""

    def __init__(self, rules: Supervision, instance: str, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._instance = instance
        self._clock = clock
        self._began_at = clock()
        self._process = psutil.Process(os.getpid())

    @property
    def wall(self) -> WallClock:
        """What turns monotonic points in time into dates."""
        return WallClock(time.time() - self._clock())

    def about(self) -> About:
        """The supervisor itself."""
        uptime = self._clock() - self._began_at
        rss = self._process.memory_info().rss
        return About(self._instance, os.getpid(), uptime, rss, __version__)

    def health(self) -> HealthReport:
        """How everything is."""
        return self._rules.health(self._clock())

    def child(self, name: str) -> ChildHealth | None:
        """How one child is."""
        return next((each for each in self.health().children if each.name == name), None)

    def explanation(self, name: str) -> Explanation:
        """Why a child is as it is.  Raises UnknownChild."""
        return self._rules.explain(name, self._clock())
