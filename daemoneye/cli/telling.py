"""What `run` tells whoever looks at its terminal: which happenings are worth a line, and how.

Lines are printed by a thread of its own behind a bounded queue, because the supervisor's loop must
not wait for a terminal that somebody has paused, or for a pipe that nobody reads.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from daemoneye import __version__
from daemoneye.cli.exits import Exit
from daemoneye.cli.options import reaching
from daemoneye.cli.screen import Screen, plain, wrapped
from daemoneye.config.plan import Configuration
from daemoneye.foreign import harmless
from daemoneye.rundir import RunDir
from daemoneye.supervisor.health import Happening, HappeningKind
from daemoneye.supervisor.spec import BROKER
from daemoneye.units import format_duration

_UNTOLD = {HappeningKind.STARTING, HappeningKind.STACKS, HappeningKind.ENDED}
"""What `explain` tells and nobody has to read as it comes."""

_STYLES = {
    HappeningKind.READY: "good",
    HappeningKind.WELL: "good",
    HappeningKind.DEGRADED: "warning",
    HappeningKind.CRASHED: "bad",
    HappeningKind.QUARANTINED: "bad",
    HappeningKind.GAVE_UP: "bad",
    HappeningKind.LOST: "bad",
}
_SIGNAL = re.compile(r"signal \d+$")
_SIGNALS = {"signal 1": "SIGHUP", "signal 2": "Ctrl-C (SIGINT)", "signal 15": "SIGTERM"}
_ENDED_FROM_WITHIN = "it was asked to end"
_QUEUED_LINES = 1000
_LAST_WORDS_TIMEOUT = 2.0


@dataclass(slots=True)
class Telling:
    """The lines of one run.  Pure: times are arguments."""

    screen: Screen
    """How wide, and whether in colour."""
    began_at: float
    """When it began, on the monotonic clock."""
    place: str = ""
    """The arguments by which other commands find this instance."""
    lasts: float | None = None
    """Seconds after which it ends by itself; None: it does not."""
    serving: bool = field(default=False, init=False)
    """Everything was ready once; from then on each child's own readiness is worth a line."""

    def beginning(self, configuration: Configuration, run_dir: RunDir, pid: int) -> Iterator[str]:
        """What is started and where: said before anything can be slow."""
        plan = configuration.plan
        names = ", ".join((BROKER, *(spec.name for spec in plan.children)))
        files = ", ".join(configuration.files) or "the defaults, no file"
        yield f"daemoneye {__version__}, instance {plan.instance}, pid {pid}"
        yield from self._titled("starts", names)
        yield from self._titled("configuration", files)
        yield from self._titled("run directory", run_dir.path)
        for warning in configuration.warnings:
            yield from self._titled("warning", warning)

    def happening(self, happening: Happening, now: float, clock: datetime) -> Iterator[str]:
        """The lines for something that happened; none where it is not worth one."""
        kind = happening.kind
        if kind is HappeningKind.ALL_READY and not self.serving:
            self.serving = True
            took = format_duration(now - self.began_at)
            yield f"ready in {took}: {happening.text}; Ctrl-C ends it in order"
            for title, command in (("watch it with", "events -f"), ("", "status")):
                yield from self._titled(title, reaching(f"daemoneye {command}", self.place))
        elif kind not in _UNTOLD and (self.serving or kind is not HappeningKind.READY):
            words = "failed: " if kind is HappeningKind.CRASHED else ""
            said = self._in_words(happening, now)
            text = plain(f"{happening.child} {words}{said}".strip())
            for line in wrapped(text, self.screen.width, f"{clock:%H:%M:%S}  ", " " * 10):
                yield self.screen.paint(line, _STYLES.get(kind, ""))

    def _in_words(self, happening: Happening, now: float) -> str:
        """What happened, with an end told as the person knows it who brought it about."""
        if happening.kind is not HappeningKind.SHUTDOWN:
            return happening.text
        if self.lasts is not None and now - self.began_at >= self.lasts:
            own = f"--for {format_duration(self.lasts)} is over"
            return happening.text.replace(_ENDED_FROM_WITHIN, own)
        return _SIGNAL.sub(lambda found: _SIGNALS.get(found[0], found[0]), happening.text)

    def end(self, code: int, now: float) -> str:
        """The last line."""
        how = "ended in order" if code == Exit.OK else f"ended with exit code {code}"
        return f"daemoneye {how} after {format_duration(now - self.began_at)}"

    def _titled(self, title: str, text: object) -> Iterator[str]:
        first = f"  {title:13}  "
        yield from wrapped(harmless(text), self.screen.width, first, " " * len(first))


class Printer:
    """Prints lines in a thread; who has something to say never waits."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._lines: queue.Queue[str | None] = queue.Queue(_QUEUED_LINES)
        self._left_out = 0
        self._thread = threading.Thread(target=self._print, name="printer", daemon=True)
        self._thread.start()

    def say(self, lines: Iterable[str]) -> None:
        """Have these printed; what finds no room is counted."""
        for line in lines:
            try:
                self._lines.put_nowait(line)
            except queue.Full:
                self._left_out += 1

    def close(self) -> None:
        """Print what waits, for as long as somebody takes it within 2 s."""
        try:
            self._lines.put(None, timeout=_LAST_WORDS_TIMEOUT)
        except queue.Full:
            return  # nobody has read for a while; the thread ends with the process
        self._thread.join(_LAST_WORDS_TIMEOUT)

    def _print(self) -> None:
        readable = True
        while (line := self._lines.get()) is not None:
            left_out, self._left_out = self._left_out, 0
            try:
                if readable and left_out:
                    self._screen.say(f"({left_out} lines were left out: nobody took them)")
                if readable:
                    self._screen.say(line)
            except (OSError, ValueError):
                # Whoever read has gone.  Supervision matters more than being watched.
                readable = False
