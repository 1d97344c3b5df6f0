"""The collector of processes: scans, and says what the comparison found.  A shell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from daemoneye.collectors.collector import Collector, Event, every
from daemoneye.collectors.procmond import messages
from daemoneye.collectors.procmond.comparison import Scan, compare, top, usages
from daemoneye.collectors.procmond.scan import Scanner, system_scanner
from daemoneye.errors import ConfigError

LIFECYCLE = "events.process.lifecycle"
METADATA = "events.process.metadata"
TREE = "events.process.tree"
BATCH = "events.process.batch"


class Procmond(Collector):
    """Publishes which processes start, run another program, and stop, and what they use.

    A process that lives shorter than `interval` may pass unseen: a scan is all there is to see it.
    """

    name = "procmond"
    kind = "process"
    publishes = (LIFECYCLE, METADATA, TREE, BATCH)
    settings: Mapping[str, object] = {
        "interval": "1s",  # between scans
        "metadata_interval": "5s",  # between reports of who uses most
        "batch_interval": "10 min",  # between whole enumerations
        "top": 10,  # how many of the busiest and of the largest are reported
    }

    scanner: Scanner

    def setup(self) -> None:
        """Take the first scan: what is there now did not start under our eyes."""
        self.scanner = system_scanner()
        self._latest = self.scanner.scan()
        self._began_at = self._latest.taken_at
        self._measured: Scan | None = None
        self._batches = 0
        self._top = top_count(self.settings)

    def reconfigure(self, settings: Mapping[str, object]) -> None:
        """Report more or fewer from the next report on."""
        self._top = top_count(settings)

    @every(setting="batch_interval")
    def enumeration(self) -> Iterator[Event]:
        """Every process and the whole tree."""
        self._batches += 1
        for batch in messages.batch(self._latest, self._batches):
            yield Event(BATCH, batch)
        for tree in messages.tree(self._latest, self._batches):
            yield Event(TREE, tree)

    @every(setting="interval")
    def changes(self) -> Iterator[Event]:
        """What started, changed and stopped since the last scan."""
        before, self._latest = self._latest, self.scanner.scan()
        found = compare(before, self._latest)
        for action, processes in (
            (messages.STOP, found.stopped),
            (messages.START, found.started),
            (messages.EXEC, found.executed),
        ):
            for process in processes:
                at = self._latest.taken_at
                yield Event(LIFECYCLE, messages.lifecycle(action, process, at, self._began_at))
        for tree in messages.adoptions(self._latest, found.adopted):
            yield Event(TREE, tree)

    @every(setting="metadata_interval")
    def usage(self) -> Iterator[Event]:
        """Who used most CPU time since the last report, and who holds most memory."""
        before, self._measured = self._measured, self._latest
        if before is self._measured:
            return  # no scan since the last report: it would say the same again
        found = top(usages(before, self._latest), self._top)
        interval = self._latest.clock - before.clock if before else 0.0
        yield Event(METADATA, messages.metadata(found, self._latest.taken_at, interval))


def top_count(settings: Mapping[str, object]) -> int:
    """How many processes are reported.  Raises ConfigError when that is no number of 0 to 1000."""
    count = settings["top"]
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 1000:
        raise ConfigError(f"settings.top: expected a whole number of 0 to 1000, not {count!r}")
    return count
