"""A first collector: how long this machine has been up.

Run it by itself with `python examples/hello_collector.py`, or beside the built-in collectors with
`daemoneye run --config examples/daemoneye.toml`; see it with `daemoneye events -f`.
"""

from time import monotonic

from daemoneye import Collector, Event, every, on


class Uptime(Collector):
    """Publishes how long this machine has been up."""

    name = "uptime"
    kind = "performance"
    publishes = ("events.performance.uptime",)

    @every("5s")
    def sample(self):
        """One event every five seconds."""
        yield Event("events.performance.uptime", {"seconds": monotonic()})

    @on("control.collector.config")
    def changed(self, event):
        """Somebody wishes for other settings."""
        self.log.info("new settings", extra={"from_": event.publisher.name})


if __name__ == "__main__":  # what a collector's own process does not need is imported here
    from daemoneye import Supervisor, collector_spec

    Supervisor([collector_spec(Uptime)]).run()
