"""Processes become messages that are bounded, valid and complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.proto.events_pb2 import ProcessLifecycle
from daemoneye.collectors.procmond import messages
from daemoneye.collectors.procmond.comparison import Image, Process, Scan, Usage

FRAME_BYTES = 1 << 20


def process(pid: int, image: Image | None = None) -> Process:
    return Process(pid, 100.0 + pid, 1, image or Image("sh", "/bin/sh", ("sh", "-c"), "me"))


def scan(count: int, image: Image | None = None) -> Scan:
    found = [process(pid, image) for pid in range(1, count + 1)]
    return Scan({each.identity: each for each in found}, 1000.0, 5.0)


def test_a_start_says_who_and_whether_it_was_there_before() -> None:
    message = messages.lifecycle(messages.START, process(7), 110.0, began_at=105.0)
    assert (message.action, message.pid, message.parent_pid) == (messages.START, 7, 1)
    assert (message.name, message.executable, message.user) == ("sh", "/bin/sh", "me")
    assert list(message.command_line) == ["sh", "-c"]
    assert not message.existed_before
    assert messages.lifecycle(messages.START, process(7), 110.0, began_at=200.0).existed_before


def test_a_stop_says_how_long_it_lived() -> None:
    message = messages.lifecycle(messages.STOP, process(7), 110.0, began_at=105.0)
    assert message.lifetime_seconds == pytest.approx(3.0)


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    sample = messages.metadata([Usage(process(7), None)], 110.0, 5.0).samples[0]
    assert not sample.HasField("cpu_percent")
    assert not sample.HasField("rss_bytes")
    assert (
        messages.metadata([Usage(process(7), 0.0)], 110.0, 5.0).samples[0].HasField("cpu_percent")
    )


@pytest.mark.parametrize("count", [0, 1, messages.ROWS_IN_PART, messages.ROWS_IN_PART + 1, 1500])
def test_an_enumeration_is_whole_in_all_its_parts(count: int) -> None:
    batches = list(messages.batch(scan(count), 3))
    assert [row.pid for part in batches for row in part.processes] == list(range(1, count + 1))
    assert [(part.batch, part.part, part.parts) for part in batches] == [
        (3, number, len(batches)) for number in range(1, len(batches) + 1)
    ]
    nodes = [node.pid for part in messages.tree(scan(count), 3) for node in part.nodes]
    assert nodes == list(range(1, count + 1))


def test_no_part_comes_near_the_limit_of_a_frame() -> None:
    longest = messages.bounded(["𝔖" * 10_000] * 1000)
    image = Image("n" * 64, "/" + "p" * 4095, longest, "u" * 32)
    for part in messages.batch(scan(messages.ROWS_IN_PART * 2, image), 1):
        assert part.ByteSize() < FRAME_BYTES


def test_an_adoption_is_a_tree_without_a_number() -> None:
    (tree,) = messages.adoptions(scan(2), [process(2)])
    assert (tree.batch, [node.pid for node in tree.nodes]) == (0, [2])
    assert list(messages.adoptions(scan(2), [])) == []


@pytest.mark.parametrize(
    ("command_line", "cut"),
    [
        (["a", "b"], ("a", "b")),
        ([], ()),
        (["x" * 513], ("x" * 511 + "…",)),
        (["a"] * 65, (*("a",) * 64, "…")),
        (["x" * 512] * 5, (*("x" * 512,) * 4, "…")),
    ],
    ids=["short", "empty", "long argument", "many arguments", "long in all"],
)
def test_a_command_line_is_cut_and_says_so(command_line: list[str], cut: tuple[str, ...]) -> None:
    assert messages.bounded(command_line) == cut


@given(st.binary(max_size=64))
def test_names_of_any_bytes_are_taken(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    message = messages.lifecycle(
        messages.START, process(1, Image(text, text, (text,), text)), 1.0, 0.0
    )
    assert ProcessLifecycle.FromString(message.SerializeToString()) == message
