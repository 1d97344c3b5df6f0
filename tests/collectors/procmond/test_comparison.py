"""Two scans say what started, changed and stopped, and who uses most."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.collectors.procmond.comparison import (
    Changes,
    Image,
    Process,
    Scan,
    Usage,
    compare,
    existed_before,
    top,
    usages,
)

SHELL = Image("sh", "/bin/sh", ("sh",), "me")
SLEEP = Image("sleep", "/bin/sleep", ("sleep", "1"), "me")


def process(pid: int, created_at: float = 100.0, **more: object) -> Process:
    return replace(Process(pid, created_at, 1, SHELL), **more)  # type: ignore[arg-type]  # fields by name


def scan(*processes: Process, at: float = 1000.0) -> Scan:
    return Scan({each.identity: each for each in processes}, at, at)


def test_equal_scans_say_nothing() -> None:
    assert compare(scan(process(1)), scan(process(1))) == Changes()


def test_what_is_new_has_started_and_what_is_gone_has_stopped() -> None:
    found = compare(scan(process(1), process(2)), scan(process(2), process(3)))
    assert found == Changes(started=(process(3),), stopped=(process(1),))


def test_a_pid_used_again_is_a_stop_and_a_start() -> None:
    found = compare(scan(process(7, 100.0)), scan(process(7, 200.0)))
    assert found == Changes(started=(process(7, 200.0),), stopped=(process(7, 100.0),))


def test_another_program_in_the_same_process_is_an_exec() -> None:
    now = process(7, image=SLEEP)
    assert compare(scan(process(7)), scan(now)) == Changes(executed=(now,))


@pytest.mark.parametrize(
    "image",
    [
        Image("sh:renamed", "/bin/sh", ("sh",), "me"),
        Image("sh", "/bin/sh", ("sh",), "root"),
        Image("sh"),
    ],
    ids=["name", "user", "denied"],
)
def test_another_name_or_user_or_a_denied_read_is_no_exec(image: Image) -> None:
    assert compare(scan(process(7)), scan(process(7, image=image))) == Changes()


def test_another_parent_is_an_adoption() -> None:
    now = process(7, parent_pid=2)
    assert compare(scan(process(7)), scan(now)) == Changes(adopted=(now,))


def test_changes_come_in_the_order_of_pids() -> None:
    found = compare(scan(), scan(process(9), process(3), process(5)))
    assert [each.pid for each in found.started] == [3, 5, 9]


PROCESSES = st.dictionaries(
    st.tuples(st.integers(1, 6), st.sampled_from([10.0, 20.0])), st.sampled_from([SHELL, SLEEP])
).map(
    lambda found: scan(*(process(pid, born, image=image) for (pid, born), image in found.items()))
)


@given(PROCESSES, PROCESSES)
def test_the_changes_lead_from_one_scan_to_the_other(before: Scan, after: Scan) -> None:
    found = compare(before, after)
    now = dict(before.processes)
    for each in found.stopped:
        del now[each.identity]
    for each in found.started:
        assert each.identity not in now
    for each in (*found.started, *found.executed):
        now[each.identity] = each
    assert now == after.processes


@pytest.mark.parametrize(
    ("created_at", "existed"), [(990.0, True), (998.5, False), (1001.0, False)]
)
def test_who_was_hidden_at_first_is_told_from_who_was_born_since(
    created_at: float, existed: bool
) -> None:
    assert existed_before(process(1, created_at), began_at=1000.0) is existed


def test_the_first_scan_has_no_shares() -> None:
    assert usages(None, scan(process(1))) == [Usage(process(1), None)]


def test_a_share_is_cpu_time_over_time() -> None:
    before, after = process(1, cpu_seconds=10.0), process(1, cpu_seconds=12.0)
    assert usages(scan(before, at=1000.0), scan(after, at=1004.0)) == [Usage(after, 50.0)]


@pytest.mark.parametrize(
    ("before", "after"),
    [(process(2), process(1, cpu_seconds=1.0)), (process(1, cpu_seconds=1.0), process(1))],
    ids=["new", "denied"],
)
def test_a_share_that_cannot_be_known_is_none(before: Process, after: Process) -> None:
    assert usages(scan(before, at=1000.0), scan(after, at=1001.0)) == [Usage(after, None)]


def test_the_busiest_and_the_largest_are_chosen_once() -> None:
    found = [
        Usage(process(1, rss_bytes=10), 90.0),
        Usage(process(2, rss_bytes=50), 80.0),
        Usage(process(3, rss_bytes=90), 0.0),
        Usage(process(4, rss_bytes=1), 1.0),
        Usage(process(5), None),
    ]
    assert [use.process.pid for use in top(found, 1)] == [1, 3]
    assert [use.process.pid for use in top(found, 2)] == [1, 2, 3]
    assert top(found, 0) == []
