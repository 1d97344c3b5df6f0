"""Everything that `--json` prints is what docs/schemas says."""

from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it brings no types
import pytest

from tests.cli.instance import ROOT, Instance, serving
from tests.support import scaled

SCHEMAS = ROOT / "docs" / "schemas"

COMMANDS = {
    "status": ["status"],
    "health": ["health"],
    "explain": ["explain", "procmond"],
    "order": ["resume", "procmond"],
    "validate": ["validate"],
    "version": ["version"],
    "event": ["events", "--count", "1", "--for", f"{scaled(20)}s"],
    "bus-pub": ["bus", "pub", "events.demo.x"],
    "bus-call": ["bus", "call", "control.demo.echo", "hello"],
    "bus-retained": ["bus", "retained"],
    "bus-clear": ["bus", "clear", "events.demo.x"],
    "bus-clients": ["bus", "clients"],
    "bus-subs": ["bus", "subs"],
    "bus-topics": ["bus", "topics"],
    "bus-acl-explain": ["bus", "acl", "explain", "procmond", "publish", "events.process.batch"],
}


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))


def test_every_schema_has_a_command_here() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))


def document_of(instance: Instance, name: str) -> Any:
    """What the command prints, somebody being there who serves."""
    with serving(instance, "control.demo.echo"):
        return instance.document(*COMMANDS[name])


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_prints_fits_its_schema(instance: Instance, name: str) -> None:
    jsonschema.validate(document_of(instance, name), schema(name))


@pytest.mark.parametrize("name", set(COMMANDS) - {"event"})
def test_every_document_says_its_version(instance: Instance, name: str) -> None:
    assert document_of(instance, name)["schema_version"] == 1
