"""What the broker says in its own name, below `$bus`, where nobody else may.  Pure.

Who came and went, what was denied and lost, what no group could handle.  It goes past groups, and
nothing is kept for who is not there, but for what is retained.
"""

from __future__ import annotations

from collections import OrderedDict

from daemoneye.bus.broker.dead_letters import dead_letter
from daemoneye.bus.broker.deliveries import Deliveries
from daemoneye.bus.broker.directory import Directory
from daemoneye.bus.broker.groups import Ended
from daemoneye.bus.broker.reports import ALL_LOSSES
from daemoneye.bus.broker.retained import value_of
from daemoneye.bus.broker.routes import Recipients
from daemoneye.bus.frames import (
    Heading,
    Payload,
    arrival_stamp,
    encode_payload,
    encode_publish,
    identity_stamp,
    read_outer,
)
from daemoneye.bus.hierarchy import DENIED, dead_letter_topic, loss_topic, presence_topic
from daemoneye.errors import TooLarge
from daemoneye.framing import pack_length

BROKER = "broker"
"""Who says it."""

NUMBERED_TOPICS = 4096
"""On so many topics the last number is known: clients make new ones by the names they choose."""


class Announcements:
    """Says what there is to say, to who listens."""

    __slots__ = ("_deliveries", "_directory", "_floor", "_numbers", "_stamp", "heard")

    def __init__(self, directory: Directory, deliveries: Deliveries, epoch: int) -> None:
        self._directory = directory
        self._deliveries = deliveries
        self._stamp = identity_stamp(BROKER, BROKER, 0, epoch)
        self._numbers: OrderedDict[str, int] = OrderedDict()  # the last, by topic
        self._floor = 0  # no topic whose number was forgotten had a higher one
        self.heard = 0
        """How many of them somebody heard."""

    def say(self, topic: str, payload: Payload, now_ns: int, *, retain: bool = False) -> None:
        """Publish this; `now_ns` is Unix time."""
        recipients = self._directory.listeners(topic)
        if recipients or retain:
            self._say(topic, self._number(topic), payload, now_ns, recipients, retain)

    def bury(self, ended: Ended, now_ns: int) -> None:
        """Tell of a dead letter; its payload only to who may read the topic it was published on."""
        topic = dead_letter_topic(ended.group.name)
        listeners = self._directory.listeners(topic)
        if not listeners:
            return
        number, may_read = self._number(topic), self._directory.access.may_receive
        readers = tuple(
            (session, stream)
            for session, stream in listeners
            if may_read(session.identity, session.declared, ended.job.letter.topic).allowed
        )
        others = tuple(each for each in listeners if each not in readers)
        room = self._directory.limits.frame_bytes // 2
        for recipients, fits in ((readers, room), (others, None)):
            if recipients:
                self._say(topic, number, dead_letter(ended, fits), now_ns, recipients)

    def tell_news(self, now_ns: int) -> None:
        """Who came and went, and for who listens: what was denied and lost."""
        directory, now = self._directory, now_ns / 1e9
        presence, reports = directory.presence, directory.reports
        for client in presence.news(now):
            self.say(presence_topic(client.identity), client, now_ns, retain=True)
        while presence.forgotten:
            directory.retained.forget(presence_topic(presence.forgotten.pop()))
        for denial in reports.denials(now):
            self.say(DENIED, denial, now_ns)
        if reports.looks_for_losses:
            if not directory.is_wanted(ALL_LOSSES):
                reports.rest()
                return
            for report in reports.losses(directory, now):
                self.say(loss_topic(report.identity), report, now_ns)

    def _say(
        self,
        topic: str,
        number: int,
        payload: Payload,
        now_ns: int,
        recipients: Recipients,
        retain: bool = False,
    ) -> None:
        content, content_type = encode_payload(payload)
        heading = Heading(topic, content_type=content_type, retain=retain)
        raw = encode_publish(heading, [content], [now_ns], number)
        if len(raw) > self._directory.limits.frame_bytes:  # nobody could read it
            self._deliveries.count_refusal(TooLarge(f"{len(raw)} bytes of {topic}"))
            return
        stamp = self._stamp + arrival_stamp(now_ns)
        if retain:
            self._directory.retained.keep(value_of(read_outer(raw), BROKER, stamp))
        if recipients:
            self.heard += 1
            data = b"".join((pack_length(len(raw) + len(stamp)), raw, stamp))
            self._deliveries.deliver(recipients, data, 1, (BROKER, topic))

    def _number(self, topic: str) -> int:
        number = self._numbers.pop(topic, self._floor) + 1
        self._numbers[topic] = number
        if len(self._numbers) > NUMBERED_TOPICS:
            self._floor = max(self._floor, self._numbers.popitem(last=False)[1])
        return number
