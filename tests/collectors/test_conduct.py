"""What failures in a row lead to."""

from __future__ import annotations

import pytest

from daemoneye.collectors.conduct import DEGRADED_AFTER, ENDED_AFTER, Conduct, Step, Tally


@pytest.mark.parametrize(
    ("failures", "step"),
    [
        (1, Step.GO_ON),
        (DEGRADED_AFTER - 1, Step.GO_ON),
        (DEGRADED_AFTER, Step.DEGRADE),
        (ENDED_AFTER - 1, Step.DEGRADE),
        (ENDED_AFTER, Step.END),
    ],
)
def test_what_the_last_of_so_many_failures_in_a_row_leads_to(failures: int, step: Step) -> None:
    conduct = Conduct()
    verdicts = [conduct.failed("sample", "ValueError: no") for _ in range(failures)]
    assert verdicts[-1].step is step
    assert "sample" in verdicts[-1].reason
    assert "ValueError: no" in verdicts[-1].reason


def test_a_success_between_failures_begins_the_count_anew() -> None:
    conduct = Conduct()
    for _ in range(ENDED_AFTER * 2):
        assert conduct.failed("sample", "no").step is Step.GO_ON
        assert conduct.succeeded("sample").step is Step.GO_ON


def test_a_method_that_works_does_not_excuse_one_that_fails() -> None:
    conduct = Conduct()
    for _ in range(DEGRADED_AFTER):
        verdict = conduct.failed("sample", "no")
        conduct.succeeded("other")
    assert verdict.step is Step.DEGRADE
    assert conduct.degraded


def test_all_is_well_when_the_last_failing_method_works_again() -> None:
    conduct = Conduct()
    for method in ("one", "two"):
        for _ in range(DEGRADED_AFTER):
            conduct.failed(method, "no")
    assert conduct.succeeded("one").step is Step.GO_ON
    assert conduct.succeeded("two").step is Step.RECOVER
    assert conduct.succeeded("two").step is Step.GO_ON


def test_the_tally_names_its_figures() -> None:
    assert Tally(events_total=3).figures()["events_total"] == 3
