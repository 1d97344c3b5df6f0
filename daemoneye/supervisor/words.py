"""How much is kept of what a child says of itself: it may say anything, at any length.  Pure.

A reason is stored with the child, and travels in every report on the whole; a long one from each of
many children would make that report longer than anything that can be sent.
"""

from __future__ import annotations

REASON_CHARACTERS = 500
"""Of a reason: why it is degraded, what it raised, why it refuses settings."""

DOING_CHARACTERS = 200
"""Of the name of a piece of work."""

NAME_CHARACTERS = 200
"""Of the name of an exception's class, of a counter, or of a child somebody means."""


def cut(text: str, limit: int = REASON_CHARACTERS) -> str:
    """The beginning of a text, `limit` characters at most, in what UTF-8 can say."""
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    if text.isascii():
        return text
    # what cannot be said is a lone surrogate, as in the name of a file that is no text
    return text.encode("utf-8", "replace").decode()
