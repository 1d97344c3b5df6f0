"""Observations and instructions are plain values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import get_args

import pytest

from daemoneye.supervisor import contract
from daemoneye.supervisor.contract import Ended, Instruction, Observation, OfIncarnation


@pytest.mark.parametrize("kind", [*get_args(Observation), *get_args(Instruction)])
def test_each_is_a_frozen_value_with_named_fields_and_a_sentence(kind: type) -> None:
    assert is_dataclass(kind)
    assert "__dict__" not in dir(kind)
    assert (kind.__doc__ or "").strip().endswith(".")
    assert kind.__name__ in contract.__all__


def test_whoever_speaks_of_an_incarnation_names_child_and_number_first() -> None:
    for kind in get_args(Observation) + get_args(Instruction):
        if issubclass(kind, OfIncarnation):
            assert [one.name for one in fields(kind)][:2] == ["child", "number"]


def test_values_compare_and_cannot_be_changed() -> None:
    ended = Ended("a", 1, -9)
    assert ended == Ended("a", 1, -9)
    assert ended != Ended("a", 2, -9)
    with pytest.raises(FrozenInstanceError):
        ended.exit_code = 0  # type: ignore[misc]  # that it is refused is the point
