"""Foreign text: what is left of it in a log or on a terminal."""

from __future__ import annotations

from daemoneye.foreign import SHOWN_CHARACTERS, brief, harmless


def test_foreign_text_cannot_speak_to_the_terminal() -> None:
    assert harmless("\x1b]0;owned\x07 a\nb\t\x9b2J \u202e") == (
        r"\x1b]0;owned\x07 a\nb\t\x9b2J \u202e"
    )
    assert harmless("größer → 你好") == "größer → 你好"


def test_what_is_brief_is_harmless_and_short() -> None:
    assert brief("why\x1b not") == r"why\x1b not"
    assert brief("x" * SHOWN_CHARACTERS) == "x" * SHOWN_CHARACTERS
    assert len(brief("x" * (SHOWN_CHARACTERS + 1))) == SHOWN_CHARACTERS
