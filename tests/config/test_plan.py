"""From files to a plan, and every problem of a file in one go."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from daemoneye.bus.limits import Limits
from daemoneye.config.collectors import RUNNER
from daemoneye.config.plan import Configuration, examine, load
from daemoneye.config.problems import Place
from daemoneye.errors import ConfigError
from daemoneye.supervisor.bus_plan import AccessLine, NamedClient
from daemoneye.supervisor.spec import RestartPolicy

EVERYTHING_WRONG = """\
instnce = "x"
[supervisor]
max_starting = "many"
[bus]
backlog = 0
[[bus.access]]
who = "role:observer"
access = "readonly"
filter = "events.*"
[collectors.procmond]
settings = { intervl = "2s" }
[collectors.gone]
class = "tests.config.nowhere:X"
[collectors.netmnd]
[collectors.clock]
class = "tests.config.importable:Clock"
[collectors.clock]
class = "tests.config.importable:Clock"
[workers.clock]
target = "tests.config.importable:work"
[workers.broker]
target = "tests.config.importable:work"
[workers.a]
target = "tests.config.importable:work"
depends_on = ["b"]
[workers.b]
target = "tests.config.importable:work"
depends_on = ["a", "nobody"]
soft_timeout = "1 h"
"""


RULE = """[[bus.access]]
who = "{who}"
access = "read-only"
filter = "events.#"
deny = true
"""


def configuration(tmp_path: Path, text: str, **environ: str) -> Configuration:
    file = tmp_path / "daemoneye.toml"
    file.write_text(text, encoding="utf-8")
    return examine(file, environ=environ)


def test_without_any_file_the_built_in_collectors_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(environ={"HOME": str(tmp_path)})
    assert [spec.name for spec in found.plan.children] == ["procmond", "perfmond"]
    assert found.plan.instance == "default"
    assert found.import_dirs == ()
    for spec in found.plan.children:
        assert (spec.target, spec.role, spec.publishes) == (RUNNER, "collector", None)


def test_a_file_changes_disables_and_adds_children(tmp_path: Path) -> None:
    found = configuration(
        tmp_path,
        """
        instance = "blue"
        [supervisor]
        shutdown_timeout = "10s"
        [bus]
        subscription_bytes = "1 MiB"
        [[bus.access]]
        who = "role:observer"
        access = "read-only"
        filter = "control.health.#"
        deny = true
        [collectors.perfmond]
        enabled = false
        [collectors.procmond]
        restart = { type = "transient", max_failures = 2 }
        ready_timeout = "5s"
        [collectors.clock]
        class = "tests.config.importable:Clock"
        settings = { interval = "1s" }
        [workers.job]
        target = "tests.config.importable:work"
        args = [1, "two"]
        kwargs = { three = 3 }
        depends_on = ["clock", "broker"]
        publishes = ["events.jobs.#"]
        """,
    )
    assert found.problems == ()
    plan = found.plan
    assert (plan.instance, plan.shutdown_timeout) == ("blue", 10.0)
    assert plan.bus.limits == {"subscription_bytes": 1 << 20}
    assert plan.bus.access == (
        AccessLine("role:observer", "read-only", "control.health.#", deny=True),
    )
    procmond, clock, job = plan.children
    assert procmond.restart == RestartPolicy("transient", max_failures=2)
    assert procmond.timeouts.ready_timeout == 5.0
    assert clock.args == ("tests.config.importable:Clock",)
    assert (clock.kind, clock.publishes) == ("performance", ("events.performance.clock",))
    assert clock.settings == {"interval": "1s"}
    assert (job.target, job.args, job.kwargs) == (
        "tests.config.importable:work",
        (1, "two"),
        {"three": 3},
    )
    assert (job.depends_on, job.publishes) == (("clock",), ("events.jobs.#",))
    assert found.import_dirs == (str(tmp_path),)


def test_every_problem_of_a_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    found = configuration(tmp_path, EVERYTHING_WRONG)
    told = [(each.place.line, each.key) for each in found.problems]
    assert told == [
        (1, "instnce"),
        (3, "supervisor.max_starting"),
        (5, "bus.backlog"),
        (8, "bus.access[1].access"),
        (9, "bus.access[1].filter"),
        (11, "collectors.procmond.settings.intervl"),
        (13, "collectors.gone.class"),
        (14, "collectors.netmnd"),
        (17, "collectors.clock"),
        (19, "workers.clock"),
        (21, "workers.broker"),
        (25, "workers.a.depends_on"),
        (28, "workers.b.depends_on"),
        (29, "workers.b.soft_timeout"),
    ]
    words = {each.key: str(each) for each in found.problems}
    assert "did you mean 'instance'" in words["instnce"]
    assert "written twice, first at line 15" in words["collectors.clock"]
    assert "a collector has this name" in words["workers.clock"]
    assert "reserved" in words["workers.broker"]
    assert "a → b → a" in words["workers.a.depends_on"]
    assert "'nobody'" in words["workers.b.depends_on"]
    assert "no module named" in words["collectors.gone.class"]


def test_load_raises_one_error_with_all_problems(tmp_path: Path) -> None:
    file = tmp_path / "daemoneye.toml"
    file.write_text(EVERYTHING_WRONG, encoding="utf-8")
    with pytest.raises(ConfigError, match="14 problems") as refused:
        load(file, environ={})
    assert len(refused.value.problems) == 14
    assert refused.value.problems[0].startswith(f"{file}:1: instnce: unknown key")


def test_a_worker_may_not_have_the_name_of_a_built_in_collector(tmp_path: Path) -> None:
    (problem,) = configuration(
        tmp_path, '[workers.procmond]\ntarget = "tests.config.importable:work"\n'
    ).problems
    assert "a collector has this name (built in)" in str(problem)


def test_code_of_a_disabled_child_is_not_looked_at(tmp_path: Path) -> None:
    text = '[workers.a]\nenabled = false\ntarget = "tests.config.nowhere:x"\n'
    found = configuration(tmp_path, text)
    assert found.problems == ()
    assert [spec.name for spec in found.plan.children] == ["procmond", "perfmond"]


def test_a_class_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def work(child):\n    pass\n", encoding="utf-8")
    assert configuration(tmp_path, '[workers.a]\ntarget = "beside:work"\n').problems == ()


def test_a_rule_that_contradicts_itself_is_told(tmp_path: Path) -> None:
    (problem,) = configuration(
        tmp_path,
        '[[bus.access]]\nwho = "a"\naccess = "restricted"\nfilter = "a.#"\ndeny = true\n',
    ).problems
    assert problem.place.line == 1
    assert "both denies and restricts" in problem.text


def test_a_setting_that_a_built_in_collector_would_refuse_is_told(tmp_path: Path) -> None:
    found = configuration(
        tmp_path,
        """
        [collectors.procmond.settings]
        top = "ten"
        [collectors.perfmond.settings]
        cpu_percent = true
        patience = 0
        """,
    )
    assert [(each.place.line, each.key) for each in found.problems] == [
        (3, "collectors.procmond.settings.top"),
        (5, "collectors.perfmond.settings.cpu_percent"),
        (6, "collectors.perfmond.settings.patience"),
    ]
    assert "not 'ten'" in found.problems[0].text


@pytest.mark.parametrize("who", ["*", "role:worker", "perfmond", "identity:operator"])
def test_a_rule_about_somebody_who_may_be_there_is_fine(tmp_path: Path, who: str) -> None:
    found = configuration(tmp_path, RULE.format(who=who))
    assert (found.problems, found.warnings) == ((), ())


def test_a_rule_about_a_role_that_there_is_not_is_a_problem(tmp_path: Path) -> None:
    (problem,) = configuration(tmp_path, RULE.format(who="role:observr")).problems
    assert (problem.place.line, problem.key) == (2, "bus.access[1].who")
    assert problem.suggestion == "role:observer"


def test_a_rule_about_a_name_that_nobody_has_is_a_warning(tmp_path: Path) -> None:
    found = configuration(tmp_path, RULE.format(who="perfmnd"))
    assert found.problems == ()
    (warning,) = found.warnings
    assert (warning.place.line, warning.suggestion) == (2, "perfmond")


def test_a_variable_is_told_by_its_name(tmp_path: Path) -> None:
    (problem,) = configuration(tmp_path, "", DAEMONEYE_BUS__BACKLOG="lots").problems
    assert problem.place == Place("DAEMONEYE_BUS__BACKLOG")


def test_the_instance_of_the_command_line_is_the_strongest(tmp_path: Path) -> None:
    file = tmp_path / "daemoneye.toml"
    file.write_text('instance = "green"\n', encoding="utf-8")
    assert load(file, instance="blue", environ={}).plan.instance == "blue"


def test_limits_that_never_trigger_are_a_warning(tmp_path: Path) -> None:
    text = '[collectors.procmond]\nrestart = { max_failures = 50, backoff_interval = "10s" }\n'
    found = configuration(tmp_path, text)
    assert found.problems == ()
    (warning,) = found.warnings
    assert warning.key == "collectors.procmond.restart.max_failures"
    assert warning.place.line == 2


EXAMPLE = Path(__file__).parents[2] / "examples" / "daemoneye.toml"


def test_every_key_of_the_example_is_known_those_in_comments_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLE.parent)
    text = EXAMPLE.read_text(encoding="utf-8")
    for each in (text, re.sub(r"^# ?(\w+ = )", r"\1", text, flags=re.MULTILINE)):
        assert [str(problem) for problem in configuration(tmp_path, each).problems] == []


def test_named_clients_are_read(tmp_path: Path) -> None:
    found = configuration(
        tmp_path,
        """
        [bus.clients.dashboard]
        [bus.clients.probe]
        role = "collector"
        kind = "network"
        publishes = ["events.network.#"]
        subscribes = []
        [[bus.access]]
        who = "dashboard"
        access = "read-only"
        filter = "$bus.stats"
        """,
    )
    assert (found.problems, found.warnings) == ((), ())
    assert found.plan.bus.clients == (
        NamedClient("dashboard"),
        NamedClient(
            "probe",
            role="collector",
            kind="network",
            publishes=("events.network.#",),
            subscribes=(),
        ),
    )


def test_what_is_wrong_with_named_clients_is_told_with_its_line(tmp_path: Path) -> None:
    found = configuration(
        tmp_path,
        """\
[bus.clients.operator]
[bus.clients.procmond]
[bus.clients.dash]
role = "observr"
roles = "observer"
[bus.clients.Upper]
[bus.clients.probe]
role = "collector"
subscribes = ["events.*"]
""",
    )
    told = {(each.place.line, each.key): each for each in found.problems}
    assert list(told) == [
        (1, "bus.clients.operator"),
        (2, "bus.clients.procmond"),
        (4, "bus.clients.dash.role"),
        (5, "bus.clients.dash.roles"),
        (6, "bus.clients.Upper"),
        (7, "bus.clients.probe.kind"),
        (9, "bus.clients.probe.subscribes"),
    ]
    assert told[4, "bus.clients.dash.role"].suggestion == "observer"
    assert told[5, "bus.clients.dash.roles"].suggestion == "role"


def test_a_limit_that_is_misspelt_or_senseless_is_told_with_its_line(tmp_path: Path) -> None:
    found = configuration(
        tmp_path,
        """\
[bus]
conections = 5
missed_heartbeats = 1
write_timeout = "0s"
frame_bytes = "much"
""",
    )
    told = {each.key: each for each in found.problems}
    assert [each.place.line for each in found.problems] == [2, 3, 4, 5]
    assert told["bus.conections"].suggestion == "connections"
    assert told["bus.missed_heartbeats"].expected == "a whole number of at least 2"
    assert told["bus.write_timeout"].expected == "a number of seconds above zero"
    assert "a size" in told["bus.frame_bytes"].expected


@pytest.mark.parametrize("name", Limits.names())
def test_every_limit_of_the_bus_is_a_setting(tmp_path: Path, name: str) -> None:
    default = getattr(Limits(), name)
    other = default // 2 if name == "payload_bytes" else default * 2  # no client takes more
    found = configuration(tmp_path, f"[bus]\n{name} = {other}\n")
    assert found.problems == ()
    assert Limits.of(found.plan.bus.limits) == replace(Limits(), **{name: other})


@pytest.mark.parametrize(
    ("line", "key", "words", "works"),
    [
        (
            "connections = 1",
            "connections",
            "too few for 2 children and one operator",
            "connections of 3",
        ),
        (
            'frame_bytes = "1 KiB"',
            "frame_bytes",
            "less than early_frame_bytes",
            "frame_bytes of 4096",
        ),
        ('client_bytes = "64 KiB"', "client_bytes", "the largest frame", "client_bytes of 1049088"),
        (
            'outbound_bytes = "64 KiB"',
            "outbound_bytes",
            "the largest frame",
            "outbound_bytes of 1049088",
        ),
        ('frame_bytes = "48 MiB"', "frame_bytes", "in 33554432 bytes", "client_bytes of 50332160"),
        ('large_bytes = "1 MiB"', "large_bytes", "the largest payload", "large_bytes of 67108864"),
    ],
)
def test_a_limit_with_which_nothing_works_is_told(
    tmp_path: Path, line: str, key: str, words: str, works: str
) -> None:
    found = configuration(tmp_path, f"[bus]\nturn_bytes = 4096\n{line}\n")
    (problem,) = found.problems
    assert (problem.place.line, problem.key) == (3, f"bus.{key}")
    assert words in problem.text
    assert problem.expected == f"{works} or more"


def test_limits_in_a_table_of_their_own_are_told_where_they_belong(tmp_path: Path) -> None:
    (problem,) = configuration(tmp_path, "[bus.limits]\nconnections = 5\n").problems
    assert str(problem).endswith("the limits are keys of [bus] itself; expected [bus] in its place")


def test_more_connections_than_descriptors_are_a_warning(tmp_path: Path) -> None:
    found = configuration(tmp_path, "[bus]\nconnections = 100000000\n")
    (warning,) = found.warnings
    assert found.problems == ()
    assert (warning.place.line, warning.key) == (2, "bus.connections")
    assert "descriptors" in warning.text


def test_what_nobody_may_ever_do_cannot_be_declared(tmp_path: Path) -> None:
    found = configuration(
        tmp_path,
        """\
[bus.clients.x]
publishes = ["events.demo.#", "$bus.x"]
[workers.w]
target = "tests.config.importable:work"
subscribes = ["control.admin.#"]
[workers.boss]
target = "tests.config.importable:work"
role = "agent"
subscribes = ["control.admin.#"]
""",
    )
    assert sorted((each.place.line, each.key) for each in found.problems) == [
        (2, "bus.clients.x.publishes"),
        (5, "workers.w.subscribes"),
    ]
    assert any("deny * write-only $bus.#" in each.text for each in found.problems)
