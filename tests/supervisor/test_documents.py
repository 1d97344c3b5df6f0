"""Reports as JSON documents: units in the names, dates from one clock, nothing that JSON lacks."""

from __future__ import annotations

import json

from daemoneye.supervisor.documents import (
    About,
    WallClock,
    crash_document,
    explanation_document,
    health_document,
    status_document,
)
from daemoneye.supervisor.health import (
    ChildHealth,
    CrashReport,
    Explanation,
    Facts,
    Happening,
    HappeningKind,
    HealthReport,
    Overall,
)
from daemoneye.supervisor.lifecycle import State

CLOCK = WallClock(offset=1_700_000_000.0)
ABOUT = About("default", 7, 12.34567, 1 << 20, "1.2.3")


def child(name: str = "a", **changes: object) -> ChildHealth:
    row: dict[str, object] = {
        "name": name,
        "state": State.RUNNING,
        "desired": "up",
        "pid": 42,
        "incarnation": 3,
        "restarts": 2,
        "uptime_seconds": 1.23456,
        "heartbeat_age_seconds": 0.5,
        "rss_bytes": None,
        "cpu_percent": None,
        "reason": "",
        "next_attempt_at": None,
    }
    return ChildHealth(**{**row, **changes})  # type: ignore[arg-type]  # a row with some changes


def crash() -> CrashReport:
    return CrashReport(
        child="a",
        number=3,
        pid=42,
        at=10.0,
        cause="signal:9",
        why="",
        signal_name="SIGKILL",
        exit_code=-9,
        ours=False,
        uptime_seconds=1.23456,
        exception="",
        traceback="",
        stacks="",
        facts=Facts("sleeping", 1.5, 100, 5, 2),
        failures_in_a_row=1,
        failures_in_window=1,
        next_action="started again at once",
        next_attempt_at=10.5,
    )


def test_a_point_in_time_is_iso_8601_in_utc() -> None:
    assert CLOCK.iso(0.5) == "2023-11-14T22:13:20.500Z"
    assert CLOCK.iso(None) is None
    assert CLOCK.unix(1.0) == 1_700_000_001.0


def test_a_status_has_the_promised_keys_and_survives_json() -> None:
    report = HealthReport(Overall.DEGRADED, "a is BACKOFF", (child(), child("broker")))
    document = status_document(report, ABOUT, CLOCK)
    assert json.loads(json.dumps(document)) == document
    assert document["schema_version"] == 1
    assert document["overall"] == "degraded"
    assert document["supervisor"] == {
        "pid": 7,
        "uptime_seconds": 12.346,
        "rss_bytes": 1 << 20,
        "version": "1.2.3",
    }
    rows = document["children"]
    assert isinstance(rows, list)
    assert set(rows[0]) >= {
        "name",
        "state",
        "desired",
        "pid",
        "incarnation",
        "restarts",
        "uptime_seconds",
        "heartbeat_age_seconds",
        "rss_bytes",
        "cpu_percent",
        "reason",
        "next_attempt_at",
    }
    assert rows[0]["state"] == "RUNNING"


def test_the_brokers_counters_are_there_from_the_first_moment() -> None:
    silent = status_document(HealthReport(Overall.HEALTHY, "", (child(),)), ABOUT, CLOCK)
    assert silent["broker"] == {
        "clients": 0,
        "subscriptions": 0,
        "published_total": 0,
        "delivered_total": 0,
        "lost_total": 0,
        "denied_total": 0,
    }
    broker = child("broker", counters=(("clients", 3), ("queued", 1)))
    said = status_document(HealthReport(Overall.HEALTHY, "", (broker,)), ABOUT, CLOCK)["broker"]
    assert isinstance(said, dict)
    assert (said["clients"], said["queued"], said["lost_total"]) == (3, 1, 0)


def test_health_is_the_short_form() -> None:
    document = health_document(HealthReport(Overall.FAILED, "a is FATAL", ()), ABOUT)
    assert (document["overall"], document["reason"]) == ("failed", "a is FATAL")


def test_a_crash_document_says_cause_signal_and_what_comes_next() -> None:
    document = crash_document(crash(), CLOCK)
    assert json.loads(json.dumps(document)) == document
    assert document["cause"] == "signal:9"
    assert document["at"] == "2023-11-14T22:13:30.000Z"
    assert document["next_attempt_at"] == "2023-11-14T22:13:30.500Z"
    assert document["uptime_seconds"] == 1.235
    assert document["facts"] == {
        "status": "sleeping",
        "cpu_percent": 1.5,
        "rss_bytes": 100,
        "descriptors": 5,
        "threads": 2,
    }


def test_an_explanation_carries_happenings_and_the_last_crash() -> None:
    happening = Happening(10.0, HappeningKind.CRASHED, "a", 3, "signal:9", crash())
    explanation = Explanation(
        child(), 9.0, "it beats", "nothing", None, ("stop a",), (happening,), crash()
    )
    document = explanation_document(explanation, CLOCK)
    assert json.loads(json.dumps(document)) == document
    assert document["since"] == "2023-11-14T22:13:29.000Z"
    assert document["what_would_change_it"] == ["stop a"]
    assert document["happenings"] == [
        {
            "at": "2023-11-14T22:13:30.000Z",
            "kind": "crashed",
            "child": "a",
            "incarnation": 3,
            "text": "signal:9",
        }
    ]
