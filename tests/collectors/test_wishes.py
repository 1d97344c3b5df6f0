"""What is said on the control topics is read, in protobuf or JSON, and what is none is refused."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.envelope import encode_payload
from daemoneye.bus.proto.events_pb2 import CollectorConfig, CollectorWish, Diagnostics
from daemoneye.collectors.wishes import (
    Wish,
    config_wish,
    lifecycle_wish,
    question,
    settings_of,
)
from daemoneye.errors import CollectorError


@dataclass(frozen=True)
class Letter:
    """The part of an envelope that is read."""

    payload: bytes
    content_type: str = ""


def letter(payload: object) -> Letter:
    return Letter(*encode_payload(payload))  # type: ignore[arg-type]  # tests say what they like


@pytest.mark.parametrize(
    "payload", [{"verb": "pause", "request": 7}, CollectorWish(verb="pause", request=7)]
)
def test_a_wish_is_read_in_either_form(payload: object) -> None:
    assert lifecycle_wish(letter(payload)) == Wish("pause", 7)


@pytest.mark.parametrize(
    "payload",
    [
        {"settings": {"interval": "2s"}, "validate_only": True},
        {"settings": '{"interval": "2s"}', "validate_only": True},
        CollectorConfig(settings='{"interval": "2s"}', validate_only=True),
        b'{"settings": {"interval": "2s"}, "validate_only": true}',
    ],
)
def test_settings_are_read_in_every_form(payload: object) -> None:
    assert config_wish(letter(payload)) == Wish("configure", 0, {"interval": "2s"}, True)


@pytest.mark.parametrize("payload", [{"ask": "threads"}, Diagnostics(ask="threads")])
def test_a_question_is_read_in_either_form(payload: object) -> None:
    assert question(letter(payload)) == "threads"


def test_an_answer_is_no_question() -> None:
    assert question(letter(Diagnostics(answer="{}"))) == ""


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"verb": "explode"}, "'explode' is no wish.*pause, restart"),
        ({"verb": 3}, "no CollectorWish"),
        ({"word": "stop"}, "no CollectorWish"),
        (b"\xff\xff", "no CollectorWish"),
        (b"", "'' is no wish"),
        (b"{nonsense", "not a JSON object"),
    ],
)
def test_what_is_no_wish_is_refused_with_the_reason(payload: object, why: str) -> None:
    with pytest.raises(CollectorError, match=why):
        lifecycle_wish(letter(payload))


@pytest.mark.parametrize("settings", ["[1]", "nonsense", "3"])
def test_settings_that_are_no_object_are_refused(settings: str) -> None:
    with pytest.raises(CollectorError, match="settings is"):
        settings_of(settings)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    for read in (lifecycle_wish, config_wish, question):
        with contextlib.suppress(CollectorError):
            read(Letter(payload))
