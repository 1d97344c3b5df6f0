"""Foreign text made safe to show, in a log or on a terminal.  Pure."""

from __future__ import annotations


def harmless(text: object) -> str:
    """Foreign text without anything a terminal would obey: control characters become `\\x1b`."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in shown
    )
