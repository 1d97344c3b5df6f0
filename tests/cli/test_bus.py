"""`bus …`, beside a real instance."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemoneye.bus.hierarchy import TOPICS
from daemoneye.bus.kinds import TopicRow
from daemoneye.cli.bus import columns_of, say_table, topic_documents
from daemoneye.cli.screen import Screen, table
from tests.cli.instance import DAEMONEYE, Instance, environment, running
from tests.support import scaled, wait_for


def test_what_is_published_arrives_at_who_is_subscribed(instance: Instance) -> None:
    with subprocess.Popen(
        [*DAEMONEYE, "bus", "sub", "events.demo.#", "--json", "--count", "3", "--for", "20s"],
        env=environment(instance.directory),
        stdout=subprocess.PIPE,
        text=True,
    ) as subscriber:
        wait_for(
            lambda: "events.demo.#" in instance.command("bus", "subs").stdout, "the subscription"
        )
        assert instance.command("bus", "pub", "events.demo.a", "hello").stdout == (
            "events.demo.a: 1 client got it\n"
        )
        instance.command("bus", "pub", "events.demo.b", '{"n": 1}')
        receipt = instance.document("bus", "pub", "events.demo.c")
        assert (receipt["status"], receipt["subscribers"]) == ("accepted", 1)
        output, _ = subscriber.communicate(timeout=scaled(20))
    events = [json.loads(line) for line in output.splitlines()]
    assert [each["topic"] for each in events] == [f"events.demo.{level}" for level in "abc"]
    assert [each["payload"] for each in events] == ["hello", {"n": 1}, ""]
    assert {each["publisher"]["name"] for each in events} == {"operator"}


def test_who_is_connected_is_listed(instance: Instance) -> None:
    names = {row["identity"] for row in instance.document("bus", "clients")["clients"]}
    assert {"procmond", "perfmond", "operator"} <= names
    assert instance.command("bus", "clients").stdout.startswith("IDENTITY")


@pytest.mark.parametrize(
    ("who", "action", "topic", "verdict"),
    [
        ("procmond", "publish", "events.process.lifecycle", "granted"),
        ("procmond", "publish", "events.network.lifecycle", "refused"),
        ("role:observer", "subscribe", "events.#", "granted"),
        ("role:observer", "subscribe", "control.#", "refused"),
    ],
)
def test_a_decision_is_explained_with_its_rule(
    instance: Instance, who: str, action: str, topic: str, verdict: str
) -> None:
    asked = ("bus", "acl", "explain", who, action, topic)
    for_programs, for_people = instance.command(*asked, "--json"), instance.command(*asked)
    decision = json.loads(for_programs.stdout)
    assert decision["decision"].startswith(f"{verdict}: {decision['rule']}")
    assert verdict in for_people.stdout
    code = 77 if verdict == "refused" else 0
    assert [each.returncode for each in (for_programs, for_people)] == [code, code]
    assert for_programs.stderr == for_people.stderr == ""


def test_a_denied_publish_is_exit_code_77_with_the_rule(instance: Instance) -> None:
    done = instance.command("bus", "pub", "$bus.denied", "{}")
    assert done.returncode == 77
    assert "$bus.#" in done.stderr


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("nobody", "nobody called 'nobody' is connected"),
        ("nobody", "role:observer"),
        ("procmnd", "did you mean 'procmond'?"),
        ("role:nix", "→ roles: agent, collector, worker, observer"),
        ("role:observr", "did you mean 'observer'?"),
    ],
)
def test_a_stranger_cannot_be_explained(instance: Instance, who: str, words: str) -> None:
    done = instance.command("bus", "acl", "explain", who, "publish", "events.demo.x")
    assert done.returncode == 5
    assert words in done.stderr


def test_a_narrow_table_leaves_out_the_last_columns() -> None:
    columns = columns_of(
        ["identity", "pid", "lost"], [{"identity": "procmond", "pid": 5, "lost": 0}]
    )
    assert table(columns, 14) == ["IDENTITY  PID", "procmond    5"]


@pytest.mark.parametrize(
    ("width", "terminal", "remark"),
    [
        (14, True, "daemoneye: no room for LOST; a wider screen or --json shows all\n"),
        (14, False, ""),
        (80, True, ""),
    ],
)
def test_a_person_is_told_what_a_table_has_no_room_for(
    width: int, terminal: bool, remark: str
) -> None:
    out, err = io.StringIO(), io.StringIO()
    row: dict[str, object] = {"identity": "procmond", "pid": 5, "lost": 0}
    columns = columns_of(["identity", "pid", "lost"], [row])
    say_table(columns, Screen(out, width, False, terminal), Screen(err, 80, False, True))
    assert out.getvalue().startswith("IDENTITY  PID")
    assert err.getvalue() == remark


def test_what_a_narrow_screen_is_told_fits_it() -> None:
    err = io.StringIO()
    columns = columns_of(["identity", "lost"], [{"identity": "procmond", "lost": 0}])
    say_table(columns, Screen(io.StringIO(), 10, False, True), Screen(err, 30, False, True))
    assert err.getvalue() == "daemoneye: no room for LOST; a\nwider screen or --json shows\nall\n"


# ---- as a named client --------------------------------------------------------------------------

NAMED = """\
[bus]
statistics_interval = "200ms"
[collectors.perfmond]
enabled = false
[bus.clients.dashboard]
role = "observer"
[[bus.access]]
who = "dashboard"
access = "read-only"
filter = "events.process.batch"
deny = true
"""


@pytest.fixture
def named(tidy: Path) -> Iterator[Instance]:
    """An instance with a client `dashboard`."""
    (tidy / "daemoneye.toml").write_text(NAMED, encoding="utf-8")
    with running(tidy) as started:
        yield started


def test_a_named_client_has_its_own_rights_and_its_key_goes_with_the_instance(
    named: Instance,
) -> None:
    key = named.directory / "run" / "keys" / "dashboard.key"
    assert key.stat().st_mode & 0o777 == 0o600
    (row,) = named.document("bus", "clients", "--as", "dashboard")["clients"]
    assert (row["identity"], row["role"]) == ("dashboard", "observer")
    heard = named.command(
        "bus", "sub", "control.health.status.#", "--as", "dashboard", "--count", "1", "--for", "20s"
    )
    assert (heard.returncode, heard.stderr) == (0, "")
    assert "supervisor" in heard.stdout
    denied = named.command("bus", "pub", "events.demo.a", "x", "--as", "dashboard")
    assert (denied.returncode, denied.stdout) == (77, "")
    assert "dashboard may not publish on events.demo.a" in denied.stderr
    unknown = named.command("bus", "clients", "--as", "dashbord")
    assert unknown.returncode == 78
    assert "only dashboard" in unknown.stderr
    assert "[bus.clients.dashbord]" in unknown.stderr
    named.process.kill()  # without a word: the guardian tidies up
    wait_for(lambda: not key.exists(), "its key to be gone")


def test_a_named_client_is_explained_before_it_comes(named: Instance) -> None:
    explain = ("bus", "acl", "explain", "dashboard", "subscribe")
    done = named.command(*explain, "events.process.batch")
    assert (done.returncode, done.stderr) == (77, "")
    assert "refused: deny dashboard read-only events.process.batch" in done.stdout
    assert named.command(*explain, "events.performance.#").stdout.startswith("granted")


def test_what_a_subscription_does_not_show_is_said(named: Instance) -> None:
    done = named.command("bus", "sub", "events.#", "--as", "dashboard", "--for", "100ms")
    assert done.returncode == 0
    assert done.stderr == "daemoneye: an access rule denies events.process.batch: not shown\n"


def test_what_the_broker_counts_is_heard_and_shown_by_its_reason(named: Instance) -> None:
    denied = named.command("bus", "pub", "events.demo.a", "x", "--as", "dashboard")
    assert denied.returncode == 77
    done = named.command("bus", "sub", "$bus.stats", "--json", "--count", "1", "--for", "20s")
    heard = json.loads(done.stdout)
    assert (heard["topic"], heard["publisher"]["name"]) == ("$bus.stats", "broker")
    assert heard["payload"]["refused"] == {"denied": 1}
    assert heard["payload"]["subscriptions"] > 0
    wait_for(
        lambda: "refused_denied_total" in named.document("status")["broker"],
        "the broker's next beat",
    )
    counted = named.document("status")["broker"]
    assert (counted["refused_denied_total"], counted["denied_total"]) == (1, 1)
    refused = named.command("bus", "sub", "$bus.stats", "--as", "dashboard", "--for", "1s")
    assert refused.returncode == 77


def test_topics_are_those_declared_and_those_in_use(instance: Instance) -> None:
    wait_for(
        lambda: any(
            row["publishers"]
            for row in instance.document("bus", "topics", "events.process.#")["topics"]
        ),
        "procmond to speak",
    )
    rows = {row["topic"]: row for row in instance.document("bus", "topics")["topics"]}
    assert rows["control.health.status.<child>"]["meaning"].startswith("the state of one child")
    assert rows["events.filesystem.lifecycle"]["message"] == "daemoneye.v1.FilesystemLifecycle"
    assert not rows["events.filesystem.lifecycle"]["publishers"]
    only = instance.document("bus", "topics", "events.network.+")["topics"]
    assert {row["topic"].rpartition(".")[0] for row in only} == {"events.network"}
    refused = instance.command("bus", "topics", "events.*")
    assert (refused.returncode, refused.stdout) == (2, "")


def test_a_topic_in_use_takes_the_place_of_the_row_that_declares_it() -> None:
    used = [
        TopicRow("events.demo.x", 1, 0, False),
        TopicRow("events.process.tree", 2, 1, True),
        TopicRow("control.health.status.procmond", 1, 1, False),
    ]
    rows = {row["topic"]: row for row in topic_documents(used, None)}
    assert len(rows) == len(TOPICS) + 2
    assert (rows["events.demo.x"]["declared"], rows["events.demo.x"]["message"]) == (False, None)
    assert rows["events.process.tree"]["subscribers"] == 1
    child = rows["control.health.status.procmond"]
    assert child["meaning"] == rows["control.health.status.<child>"]["meaning"]


@pytest.mark.parametrize(("columns", "shown"), [(140, True), (40, False)])
def test_what_a_topic_means_is_cut_and_gives_way(
    instance: Instance, columns: int, shown: bool
) -> None:
    done = instance.command("bus", "topics", COLUMNS=f"{columns}")
    head, *lines = done.stdout.splitlines()
    assert head.startswith("TOPIC")
    assert ("MEANING" in head) == shown
    assert all(len(line) <= columns for line in lines)


def test_a_value_is_kept_listed_and_cleared(instance: Instance) -> None:
    topic = "events.demo.kept"
    instance.command("bus", "pub", topic, "hello", "--retain")
    (row,) = instance.document("bus", "retained", "events.demo.#")["retained"]
    assert (row["topic"], row["publisher"], row["size"]) == (topic, "operator", 5)
    assert row["expires_at"] is None
    assert topic in instance.command("bus", "retained").stdout
    done = instance.command("bus", "sub", topic, "--json", "--count", "1", "--for", "20s")
    event = json.loads(done.stdout)
    assert (event["payload"], event["retained"]) == ("hello", True)
    assert instance.command("bus", "clear", topic).stdout == (
        f"{topic}: nothing is retained any more\n"
    )
    assert instance.document("bus", "retained", topic)["retained"] == []


def test_the_status_is_there_for_who_comes_later(instance: Instance) -> None:
    topics = [row["topic"] for row in instance.document("bus", "retained", "control.#")["retained"]]
    assert topics == sorted(topics)
    assert "control.health.status" in topics
    assert "control.health.status.procmond" in topics


def test_two_shells_in_a_group_share_and_acknowledge(instance: Instance) -> None:
    topic = "control.demo.shared"
    asked = ["bus", "sub", topic, "--group", "shells", "--count", "2", "--json"]
    with ExitStack() as stack:
        shells = [
            stack.enter_context(
                subprocess.Popen(
                    [*DAEMONEYE, *asked],
                    env=environment(instance.directory),
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        wait_for(lambda: in_group(instance) == 2, "both to join")
        for number in range(4):
            said = instance.command("bus", "pub", topic, f"{number}")
            assert said.returncode == 0, said.stderr
        told = [shell.communicate(timeout=scaled(20))[0] for shell in shells]
    events = [json.loads(line) for each in told for line in each.splitlines()]
    assert sorted(each["payload"] for each in events) == ["0", "1", "2", "3"]
    assert [len(each.splitlines()) for each in told] == [2, 2]


def test_a_shell_that_is_too_late_to_acknowledge_says_so_and_goes_on(short_dir: Path) -> None:
    configuration = short_dir / "daemoneye.toml"
    configuration.write_text('[bus]\nacknowledge_timeout = "500ms"\n')
    topic = "control.demo.shared"
    asked = ["bus", "sub", topic, "--group", "shells", "--count", "2", "--json"]
    with running(short_dir, ["--config", str(configuration)]) as instance:
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [*DAEMONEYE, *asked],
            env=environment(short_dir),
            stdout=pipe,
            stderr=pipe,
            text=True,
        ) as shell:
            wait_for(lambda: in_group(instance) == 1, "it to join")
            shell.send_signal(signal.SIGSTOP)
            assert instance.command("bus", "pub", topic, "x").returncode == 0
            time.sleep(scaled(0.7))
            shell.send_signal(signal.SIGCONT)
            said, remarks = shell.communicate(timeout=scaled(20))
    assert shell.returncode == 0
    assert [json.loads(line)["payload"] for line in said.splitlines()] == ["x", "x"]
    assert remarks.startswith("printed, but not acknowledged, so it goes to others: ")


def in_group(instance: Instance) -> int:
    """How many members the group of the shells has, with nothing in hand."""
    said = json.loads(instance.command("bus", "subs", "--json").stdout)
    return sum(row["group"] == "shells" and not row["in_flight"] for row in said["subscriptions"])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (("--group", "g", "--stage", "s"), "leave out --group, or --stage"),
        (("--group", "g", "--overflow", "latest"), "leave out --group, or --overflow"),
        (("--group", "g", "--replay", "all"), "leave out --group, or --replay"),
        (("--choice", "standby"), "a choice is for groups"),
        (("--group", "g", "--choice", "random"), "invalid choice: 'random'"),
    ],
)
def test_a_group_selects_nothing_and_a_choice_is_of_one(
    instance: Instance, said: tuple[str, ...], words: str
) -> None:
    done = instance.command("bus", "sub", "events.#", *said)
    assert done.returncode == 2
    assert words in done.stderr


def test_what_a_viewer_begins_with_and_may_lose_is_chosen(instance: Instance) -> None:
    topic = "events.demo.chosen"
    assert instance.command("bus", "pub", topic, "old", "--retain").returncode == 0
    look = ("bus", "sub", topic, "--for", "1s", "--overflow", "block")
    assert "old" in instance.command(*look, "--replay", "all").stdout
    assert instance.command(*look, "--replay", "none").stdout == ""
    assert instance.command("bus", "clear", topic).returncode == 0
