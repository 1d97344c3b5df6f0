"""What is kept of long and of unsayable words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.supervisor.words import REASON_CHARACTERS, cut


def test_a_short_text_is_kept_as_it_is() -> None:
    assert cut("the disk is nearly full: ½ GB") == "the disk is nearly full: ½ GB"


def test_a_long_text_is_cut_and_shows_it() -> None:
    assert cut("x" * REASON_CHARACTERS) == "x" * REASON_CHARACTERS
    assert cut("x" * 64_000) == "x" * (REASON_CHARACTERS - 1) + "…"
    assert cut("abcdef", 4) == "abc…"


@pytest.mark.parametrize("text", ["file \udc80", "\ud83d"])
def test_what_utf_8_cannot_say_is_replaced(text: str) -> None:
    assert cut(text).encode() == text.replace(text[-1], "?").encode()


@given(st.text(st.characters(), max_size=600))
def test_whatever_is_said_comes_out_short_and_sayable(text: str) -> None:
    assert len(cut(text)) <= REASON_CHARACTERS
    assert cut(text).encode().decode() == cut(text)
