"""What each owner of subscriptions has missed, until its next message tells it.  Pure.

In one session the broker itself says what a subscription missed, also when the session goes on
over another connection: then it sends again what did not come, and tells again the losses behind
which no delivery came, which are forgotten here.  What was lost with a session, or was past what
the broker keeps, it cannot say, but sequences can: they rise by one for each message of a
publisher on a topic.  Then the first delivery of each publisher and topic is compared, for each
owner by itself, with the last one before (`sequences`).  The reason is `disconnected` when it is
the same life of the broker and `broker-restart` when it is another.  The first delivery of each
subscription has that reason in any case, with a count of zero when sequences show nothing missing:
something may have been missed from a publisher that has not been heard since.  The count is an
upper bound where a publisher sends to single targets, because their messages have numbers too, and
where the broker had told a loss before the session ended, because what was lost then has numbers.

For the same reason a jump on one connection counts as nothing: it may be messages for others, or
refused ones, or what the broker tells as lost in any case.  So what a publisher dropped itself,
while it had no connection, is in its own counters and its log, and no subscriber is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Generic

from daemoneye.bus.client.interests import Interest, Owner
from daemoneye.bus.client.sequences import Sequences
from daemoneye.bus.frames import Envelope, Replay


class Gaps(Generic[Owner]):
    """What was missed by whom, from the broker's word and from sequences."""

    __slots__ = ("_again", "_owed", "_reason", "_sequences", "_told", "_told_behind", "repeats")

    def __init__(self) -> None:
        self.repeats = False
        """Whether publishers may say again what they said before: another session has begun."""
        self._sequences: Sequences[Owner] = Sequences()
        self._owed: dict[Owner, Counter[str]] = {}  # what no message has told yet
        # The numbers of subscriptions that another session has to be told to, and its reason.
        self._again: set[int] = set()
        self._reason = ""
        # What the broker told since the last delivery, and how many messages had come by then.
        self._told: dict[Owner, Counter[str]] = {}
        self._told_behind = 0

    # ---- who listens ----------------------------------------------------------------------------

    def begin(self, owner: Owner) -> None:
        """From now on this owner listens."""
        self._sequences.begin(owner)

    def leave(self, subscription: int) -> None:
        """This subscription is over."""
        self._again.discard(subscription)

    def forget(self, owner: Owner) -> None:
        """Its last subscription is over."""
        self._owed.pop(owner, None)
        self._sequences.forget(owner)

    # ---- what is missed -------------------------------------------------------------------------

    def lose(self, owners: Iterable[Owner], lost: Mapping[str, int], behind: int) -> None:
        """The broker says what these have lost behind so many messages of the session."""
        if self._told_behind != behind:
            self._told.clear()
            self._told_behind = behind
        for owner in owners:
            self._sequences.lost(owner)
            for each in (self._owed, self._told):
                each.setdefault(owner, Counter()).update(lost)

    def reconnect(self, reason: str, subscriptions: Collection[int]) -> None:
        """What these missed from here to their next messages the broker cannot say."""
        self._reason = reason
        self._again = set(subscriptions)
        self._sequences.reconnect()
        self.repeats = True

    def go_on(self, behind: int) -> None:
        """The session goes on behind so many messages: what was told there is told again."""
        if self._told_behind == behind:
            for owner, told in self._told.items():
                owed = self._owed.pop(owner, Counter()) - told
                if owed:
                    self._owed[owner] = owed
        self._told.clear()

    def end_session(self) -> None:
        """Nothing is told again: the next session counts from its own beginning."""
        self._told.clear()

    # ---- telling it -----------------------------------------------------------------------------

    def tell(
        self, owner: Owner, interests: tuple[Interest[Owner], ...], events: list[Envelope]
    ) -> list[Envelope]:
        """This run as its owner is to see it: the first message says what was missed before it."""
        missed = self._sequences.missed(owner, events)
        if missed or self._again or self._owed:
            return self.tell_owed(owner, interests, events, missed)
        return events

    def tell_owed(
        self,
        owner: Owner,
        interests: tuple[Interest[Owner], ...],
        events: list[Envelope],
        missed: int = 0,
    ) -> list[Envelope]:
        """The same for a run whose sequences say nothing, or that so many messages are missing."""
        if not events:
            return events
        said = self._owed.pop(owner, Counter())
        numbers = {each.number for each in interests}
        if missed or self._again & numbers:
            said[self._reason] += missed
            self._again -= numbers
        if not said:
            return events
        return [events[0].after(dict(said)), *events[1:]]

    def tell_repeated(
        self, owner: Owner, interests: tuple[Interest[Owner], ...], events: list[Envelope]
    ) -> list[Envelope]:
        """The same for a retained value that may have come before; nothing of it when it has.

        The broker says it to a new subscription, its publisher to a new broker.  It comes again to
        who wants all of them, and to who may have lost it; never to who wants none.
        """
        wanted = {each.options.replay for each in interests}
        if wanted == {Replay.NONE} and events and events[0].retained:
            return []
        if not events or not self._sequences.is_past(owner, events[-1]):
            missed = self._sequences.missed_before(owner, events[-1]) if events else 0
            return self.tell_owed(owner, interests, events, missed)
        if Replay.ALL in wanted or self._sequences.may_have_lost(owner, events[-1]):
            return self.tell_owed(owner, interests, events)
        return []
