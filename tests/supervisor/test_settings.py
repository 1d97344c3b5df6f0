"""What settings may be: JSON that fits into spawn arguments."""

from __future__ import annotations

import pytest

from daemoneye.supervisor.settings import MAX_SETTINGS_CHARACTERS, settings_fault


def filled(characters: int) -> dict[str, object]:
    return {"a": "x" * (characters - len('{"a": ""}'))}


@pytest.mark.parametrize(
    "settings", [{}, {"interval": "5s", "top": 3, "paths": ["/a"]}, filled(MAX_SETTINGS_CHARACTERS)]
)
def test_what_json_knows_is_taken_up_to_the_limit(settings: dict[str, object]) -> None:
    assert settings_fault(settings) == ""


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (filled(MAX_SETTINGS_CHARACTERS + 1), "found 32769"),
        ({"a": object()}, "what JSON knows"),
        ({"a": float("nan")}, "what JSON knows"),
    ],
)
def test_anything_else_is_refused_with_the_reason(settings: dict[str, object], why: str) -> None:
    assert why in settings_fault(settings)
