"""Secrets are replaced where people write them, and ordinary words are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.collectors.redaction import (
    MASK,
    is_secret_name,
    redact_command_line,
    redact_settings,
    redact_text,
)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (["psql", "--password=hunter2"], ["psql", f"--password={MASK}"]),
        (["tool", "--token", "abc", "-v"], ["tool", "--token", MASK, "-v"]),
        (["tool", "--token", "-v"], ["tool", "--token", "-v"]),
        (["java", "-Ddb.password=x", "Main"], ["java", f"-Ddb.password={MASK}", "Main"]),
        (["env", "PGPASSWORD=x", "psql"], ["env", f"PGPASSWORD={MASK}", "psql"]),
        (["env", "AWS_SECRET_ACCESS_KEY=x"], ["env", f"AWS_SECRET_ACCESS_KEY={MASK}"]),
        (["sh", "-c", "API_KEY='a b' run --x"], ["sh", "-c", f"API_KEY='{MASK}' run --x"]),
        (["curl", "-u", "me:x", "host"], ["curl", "-u", f"me:{MASK}", "host"]),
        (["psql", "postgres://me:x@host/db"], ["psql", f"postgres://me:{MASK}@host/db"]),
        (["redis-cli", "redis://:x@host"], ["redis-cli", f"redis://:{MASK}@host"]),
        (["curl", "https://host/?token=x&y=1"], ["curl", f"https://host/?token={MASK}&y=1"]),
        (["curl", "-H", "Authorization: Bearer x"], ["curl", "-H", f"Authorization: {MASK}"]),
        (["post", '{"secret": "x", "n": 1}'], ["post", f'{{"secret": "{MASK}", "n": 1}}']),
        (["gh", "ghp_" + "a" * 36], ["gh", MASK]),
        (["run", "--apiKey", "x"], ["run", "--apiKey", MASK]),
    ],
)
def test_a_secret_is_replaced(written: list[str], shown: list[str]) -> None:
    assert redact_command_line(written) == tuple(shown)


@pytest.mark.parametrize(
    "command_line",
    [
        ["docker", "login", "--password-stdin"],
        ["tool", "--token-file", "/etc/token"],
        ["mysql", "--no-password", "mydb"],
        ["sort", "--key=2", "--keyboard=de"],
        ["compass", "monkey=1", "author=me"],
        ["ssh", "me@host:22", "http://host:80/path"],
        ["python", "-u", "script.py"],
        ["tail", "-f", "/var/log/auth.log"],
        [],
        [""],
    ],
)
def test_an_ordinary_command_line_stays_as_it_is(command_line: list[str]) -> None:
    assert redact_command_line(command_line) == tuple(command_line)


@pytest.mark.parametrize("name", ["password", "DB_PASS", "authToken", "private-key", "APIKEY"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["", "key", "passenger", "token_file", "no-token", "public_key"])
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


def test_settings_hide_values_at_any_depth() -> None:
    settings = {"host": "a", "database": {"password": "x", "ports": [1, "redis://:x@h"]}}
    shown = {"host": "a", "database": {"password": MASK, "ports": [1, f"redis://:{MASK}@h"]}}
    assert redact_settings(settings) == shown


@given(st.lists(st.text()))
def test_any_command_line_is_taken_and_keeps_its_length(command_line: list[str]) -> None:
    assert len(redact_command_line(command_line)) == len(command_line)


@given(st.text("abcdefgh0123456789", min_size=6, max_size=40))
def test_no_secret_of_letters_and_digits_survives_its_name(secret: str) -> None:
    for written in (f"--password={secret}", f"X_TOKEN={secret}", f"db://u:{secret}@h"):
        assert secret not in redact_text(written).replace("password", "")


@pytest.mark.parametrize("text", ["a" * 100_000, "a-" * 50_000, "-" * 100_000, "x:" * 50_000])
def test_a_long_text_is_read_in_linear_time(text: str) -> None:
    redact_text(text)
