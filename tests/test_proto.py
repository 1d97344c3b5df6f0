"""The schemas keep their promises: versioned packages, enums that begin with nothing said.

That the committed code is what the generator makes of them is `.ci/run`'s to compare, because the
generator needs an environment of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor import EnumDescriptor, FileDescriptor

from daemoneye import lifeline_pb2
from daemoneye.bus.proto import events_pb2, frames_pb2

HOUSE = Path(__file__).parents[1] / "daemoneye"

SCHEMAS: dict[str, FileDescriptor] = {
    "daemoneye/bus/proto/events.proto": events_pb2.DESCRIPTOR,
    "daemoneye/bus/proto/frames.proto": frames_pb2.DESCRIPTOR,
    "daemoneye/lifeline.proto": lifeline_pb2.DESCRIPTOR,
}

every_schema = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)


def enums_of(schema: FileDescriptor) -> list[EnumDescriptor]:
    """Every enum of a schema, those inside messages too."""
    inner = [e for m in schema.message_types_by_name.values() for e in m.enum_types]
    return [*schema.enum_types_by_name.values(), *inner]


def test_every_schema_is_looked_at() -> None:
    on_disk = {path.relative_to(HOUSE.parent).as_posix() for path in HOUSE.rglob("*.proto")}
    assert on_disk == set(SCHEMAS)


@every_schema
def test_a_schema_has_a_version_in_its_package(schema: FileDescriptor) -> None:
    assert schema.package in {"daemoneye.v1", "daemoneye.lifeline.v1"}


@every_schema
def test_an_enum_begins_with_unspecified(schema: FileDescriptor) -> None:
    for enum in enums_of(schema):
        first = enum.values_by_number[0]
        assert first.name.endswith("_UNSPECIFIED"), f"{enum.full_name} begins with {first.name}"


@every_schema
def test_a_value_of_an_enum_carries_the_enum_s_name(schema: FileDescriptor) -> None:
    for enum in enums_of(schema):
        prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
        strangers = [value.name for value in enum.values if not value.name.startswith(prefix)]
        assert not strangers, f"{enum.full_name}: {strangers}"


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.proto")), ids=lambda path: path.name)
def test_generated_code_and_its_types_stand_beside_the_schema(path: Path) -> None:
    for ending in ("_pb2.py", "_pb2.pyi"):
        assert path.with_name(path.stem + ending).exists()


def test_a_stamp_is_scalars_of_the_frame_with_the_same_numbers() -> None:
    frame = {field.number: field for field in frames_pb2.Frame.DESCRIPTOR.fields}
    for field in frames_pb2.Stamp.DESCRIPTOR.fields:
        stamped = frame[field.number]
        assert (stamped.name, stamped.type) == (field.name, field.type)
        assert field.message_type is None, f"{field.name}: a sub-message would merge, not replace"
