"""The collector of performance: samples, holds them against thresholds.  A shell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from daemoneye.collectors.collector import Collector, Event, every
from daemoneye.collectors.perfmond import messages
from daemoneye.collectors.perfmond.readings import describe_host, take_sample
from daemoneye.collectors.perfmond.sample import Sample, shares
from daemoneye.collectors.perfmond.thresholds import Threshold, Watch, replaced
from daemoneye.errors import ConfigError

METADATA = "events.performance.metadata"
ANOMALY = "events.performance.anomaly"
BATCH = "events.performance.batch"


class Perfmond(Collector):
    """Publishes what CPUs, memory, disks and networks do, and what is out of bounds."""

    name = "perfmond"
    kind = "performance"
    publishes = (METADATA, ANOMALY, BATCH)
    settings: Mapping[str, object] = {
        "interval": "5s",  # between samples
        "batch_interval": "10 min",  # between descriptions of the host
        "patience": 3,  # samples in a row above a threshold before it is told
        "cpu_percent": 90.0,
        "load_per_cpu": 4.0,
        "memory_percent": 90.0,
        "swap_percent": 80.0,
        "volume_percent": 90.0,
    }

    def setup(self) -> None:
        """Take the first sample, which later ones are compared with."""
        self._host = describe_host()
        self._latest: Sample = take_sample()
        self._watch = Watch(thresholds(self.settings))

    def reconfigure(self, settings: Mapping[str, object]) -> None:
        """Hold the next sample against other thresholds; what is crossed already stays known."""
        self._watch = replaced(self._watch, thresholds(settings))

    @every(setting="batch_interval")
    def description(self) -> Iterator[Event]:
        """What machine this is."""
        yield Event(BATCH, messages.description(self._host, self._latest))

    @every(setting="interval")
    def sample(self) -> Iterator[Event]:
        """One sample, and what it crossed."""
        before, self._latest = self._latest, take_sample()
        found = shares(before, self._latest)
        yield Event(METADATA, messages.metadata(self._latest, found))
        for crossing in self._watch.observe(messages.figures(self._latest, found)):
            yield Event(ANOMALY, messages.anomaly(crossing, self._latest))


def thresholds(settings: Mapping[str, object]) -> dict[str, Threshold]:
    """The thresholds that settings ask for, by rule.  Raises ConfigError with all that is wrong."""
    problems: list[str] = []

    def positive(key: str) -> float:
        value = settings[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            problems.append(f"{key}: expected a number above 0, not {value!r}")
            return 1.0
        return float(value)

    patience = max(1, int(positive("patience")))
    found = (
        Threshold("cpu-high", positive("cpu_percent"), "percent", patience, critical=99.0),
        Threshold("load-high", positive("load_per_cpu"), "load", patience),
        Threshold("memory-high", positive("memory_percent"), "percent", patience, critical=97.0),
        Threshold("swap-high", positive("swap_percent"), "percent", patience, critical=97.0),
        Threshold("volume-full", positive("volume_percent"), "percent", 1, critical=97.0),
    )
    if problems:
        raise ConfigError("thresholds cannot be used", problems=problems)
    return {threshold.rule: threshold for threshold in found}
