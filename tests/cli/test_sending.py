"""`bus pub` and `bus call`, beside a real instance."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from daemoneye.cli.sending import given
from daemoneye.errors import LocalProtocolError
from tests.cli.instance import DAEMONEYE, Instance, environment, serving
from tests.cli.test_bus import in_group
from tests.support import scaled, wait_for


def published(instance: Instance, piped: bytes) -> subprocess.CompletedProcess[bytes]:
    """What `bus pub` says to this on its standard input."""
    return subprocess.run(
        [*DAEMONEYE, "bus", "pub", "events.demo.nobody", "-"],
        env=environment(instance.directory),
        input=piped,
        capture_output=True,
        timeout=scaled(20),
        check=False,
    )


@pytest.mark.parametrize("piped", [b"text", b"\xff\xfe no text", b"x" * 1_000_000])
def test_a_payload_is_read_from_standard_input(instance: Instance, piped: bytes) -> None:
    done = published(instance, piped)
    assert done.stdout == b"events.demo.nobody: accepted, and nobody is subscribed\n"


def test_input_that_is_too_long_is_refused_and_never_cut(instance: Instance) -> None:
    done = published(instance, b"x" * ((1 << 20) + 1))
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"1048576 bytes" in done.stderr


def test_without_a_payload_what_is_piped_in_is_sent_and_a_terminal_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Standard(io.TextIOWrapper):
        terminal = False

        def isatty(self) -> bool:
            return self.terminal

    monkeypatch.setattr(sys, "stdin", Standard(io.BytesIO(b"hi")))
    assert given(None) == b"hi"
    monkeypatch.setattr(Standard, "terminal", True)
    assert (given(""), given("text")) == (b"", b"text")
    with pytest.raises(LocalProtocolError, match="payload is missing"):
        given(None)


def test_an_argument_need_not_be_text(instance: Instance) -> None:
    done = instance.command("bus", "pub", "events.demo.nobody", os.fsdecode(b"\xff"))
    assert done.returncode == 0, done.stderr


def test_a_message_for_one_collector_reaches_it(instance: Instance) -> None:
    topic, wish = "control.collector.lifecycle", '{"verb": "pause", "reason": "a test"}'
    assert instance.command("bus", "pub", topic, wish, "--target", "perfmond").returncode == 0
    wait_for(lambda: instance.child("perfmond")["state"] == "PAUSED", "perfmond to pause")
    assert instance.child("procmond")["state"] == "RUNNING"
    assert instance.command("resume", "perfmond").returncode == 0
    assert instance.child("perfmond")["state"] == "RUNNING"


def test_a_message_for_nobody_says_that_nobody_has_the_name(instance: Instance) -> None:
    publish = ("bus", "pub", "events.demo.nobody", "hi", "--target")
    assert instance.command(*publish, "nosuch").stdout == (
        "events.demo.nobody: accepted, and no client called nosuch is connected\n"
    )
    assert instance.command(*publish, "perfmond").stdout == (
        "events.demo.nobody: accepted, and nobody is subscribed\n"
    )


def test_a_group_by_key_is_published_to_and_waited_for_from_a_shell(instance: Instance) -> None:
    topic = "events.demo.keyed"
    publish = ("bus", "pub", topic, "x", "--until", "handled", "--timeout", "20s")
    alone = instance.command(*publish)
    assert alone.returncode == 5
    assert f"there is no group to handle {topic}" in alone.stderr
    asked = ["bus", "sub", topic, "--group", "shells", "--choice", "by-key", "--count", "1"]
    with subprocess.Popen(
        [*DAEMONEYE, *asked],
        env=environment(instance.directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        wait_for(lambda: in_group(instance) == 1, "it to join")
        without = instance.command(*publish)
        assert without.returncode == 2
        assert "goes by a key" in without.stderr
        done = instance.command(*publish, "--key", "k")
        assert (done.returncode, done.stdout) == (0, f"{topic}: handled\n")
        said, remarks = shell.communicate(timeout=scaled(20))
    assert (said.split()[-1], remarks) == ("x", "")
    kept = instance.document("bus", "pub", topic, "x", "--key", "k", "--guarantee", "at-least-once")
    assert kept["subscribers"] == 1  # the group, which waits for a member
    other = instance.command("bus", "pub", topic, "x", "--key", "k", "--guarantee", "best-effort")
    assert "nobody is subscribed" in other.stdout


def test_a_call_prints_the_reply(instance: Instance) -> None:
    with serving(instance, "control.demo.echo"):
        done = instance.command("bus", "call", "control.demo.echo", "hello")
        assert (done.returncode, json.loads(done.stdout)) == (0, {"you said": "hello"})
        document = instance.document("bus", "call", "control.demo.echo", "hello")
        assert document["payload"] == {"you said": "hello"}
        assert (document["publisher"]["name"], document["publisher"]["pid"]) == (
            "operator",
            os.getpid(),
        )
        done = instance.command("bus", "call", "control.demo.echo", "")
        assert done.returncode == 1
        assert "there is nothing in it" in done.stderr


def test_a_call_that_nobody_serves_says_so(instance: Instance) -> None:
    done = instance.command("bus", "call", "control.demo.nobody", "hello", "--timeout", "9s")
    assert (done.returncode, done.stdout) == (5, "")
    assert "nobody serves control.demo.nobody" in done.stderr
    assert instance.command("bus", "call", "control.#", "x").returncode == 2
