"""Which subscriptions want a message for what it belongs to.  Pure.

They are found by the id they want, so that a thousand clients that wait for one conversation each
cost a publish no more than one of them.
"""

from __future__ import annotations

from typing import NamedTuple

from daemoneye.bus.broker.routes import Pairs, Selective
from daemoneye.bus.frames import SELECTION_CHARACTERS, OuterFrame, Subscribe
from daemoneye.errors import LocalProtocolError


def check_selection(wish: Subscribe) -> None:
    """Raises LocalProtocolError for a selection that is not offered."""
    if not wish.selection:
        return
    if wish.group or wish.serve:
        raise LocalProtocolError(
            "what is shared or served is not selected by correlation",
            hint="leave the selection out, or subscribe by yourself",
        )
    if wish.selection.characters > SELECTION_CHARACTERS:
        raise LocalProtocolError(
            f"a selection of {wish.selection.characters} characters",
            hint=f"at most {SELECTION_CHARACTERS} in id, stage and tags",
        )


def selective(found: Pairs) -> Selective:
    """Those among them that select, by the id they want."""
    chosen: Selective = {}
    for pair in found:
        if pair[1].selects:
            chosen.setdefault(pair[1].wish.selection.id, []).append(pair)
    return chosen


class Chosen(NamedTuple):
    """Who wants a message."""

    pairs: Pairs
    """Those who do."""
    looked_at: int
    """How many had to be asked."""


def wanting(among: Selective, frame: OuterFrame) -> Chosen:
    """Those who want this message."""
    said = frame.correlation
    id, root, stage, tags = said.id, said.root, said.stage, frozenset(said.tags.items())
    asked = [pair for wanted in {"", id, root} for pair in among.get(wanted, ())]
    pairs = [each for each in asked if each[1].wish.selection.matches(id, root, stage, tags)]
    return Chosen(pairs, len(asked))
