"""Foreign text made safe to show, in a log or on a terminal.  Pure."""

from __future__ import annotations

SHOWN_CHARACTERS = 400
"""How much of a stranger's sentence stands in a line of a log."""


def harmless(text: object) -> str:
    """Foreign text without anything a terminal would obey: control characters become `\\x1b`."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in shown
    )


def brief(text: str) -> str:
    """What a stranger says, for a line of a log: harmless, and not longer than a few lines."""
    clipped = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    return harmless(clipped)
