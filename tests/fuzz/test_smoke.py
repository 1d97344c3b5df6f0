"""Two seconds of each fuzzing target, so that a broken one is noticed with the next test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bus.brokers import broker_in_thread
from tests.fuzz.ambush import Ambush
from tests.fuzz.corpus import FRAMES
from tests.fuzz.fuzz_decoder import fuzz_decoder
from tests.fuzz.fuzz_handshake import Siege, fuzz_handshake
from tests.fuzz.mutations import fields_of, written
from tests.fuzz.rounds import Broken, run


def test_b28_whatever_bytes_come_nothing_escapes_and_nobody_else_is_touched() -> None:
    assert run(fuzz_decoder, 1, 2.0) > 50


def test_b28_nobody_is_let_in_without_the_key() -> None:
    assert run(fuzz_handshake, 1, 1.0) > 50


def test_b28_a_broker_under_siege_serves_its_client(tidy: Path) -> None:
    with broker_in_thread(tidy) as broker:
        siege = Siege(broker)
        assert run(siege.assault, 1, 1.0) > 20
        siege.close()


def test_b28_a_client_in_an_ambush_raises_errors_of_ours_and_ends(tidy: Path) -> None:
    ambush = Ambush(tidy)
    assert run(ambush.lie_in_wait, 1, 2.0) > 5
    ambush.close()


def test_a_round_that_fails_can_be_had_again() -> None:
    tried = []

    def target(dice: object) -> None:
        tried.append(dice)
        assert len(tried) < 3

    with pytest.raises(Broken, match=r"make fuzz SEED=42 SECONDS=0"):
        run(target, 40, 60.0)


@pytest.mark.parametrize("raw", FRAMES)
def test_mutations_know_how_a_message_is_made(raw: bytes) -> None:
    fields = fields_of(raw)
    assert fields is not None
    assert written(fields) == raw
