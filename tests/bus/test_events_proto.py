"""Payloads written by an earlier version mean the same today: golden bytes of every message.

`tests/vectors/events_golden.jsonl` has a line for each message, with every field it had when the
line was written.  A line is never changed; a message that has grown may get another one.
"""

import json

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass

from daemoneye.bus.hierarchy import TOPICS
from daemoneye.bus.proto import events_pb2
from tests.support import document

GOLDEN = [json.loads(line) for line in document("tests/vectors/events_golden.jsonl").splitlines()]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["message"])
def test_bytes_of_an_earlier_version_mean_the_same(golden):
    descriptor = events_pb2.DESCRIPTOR.message_types_by_name[golden["message"]]
    message = GetMessageClass(descriptor).FromString(bytes.fromhex(golden["bytes"]))
    assert MessageToDict(message, preserving_proto_field_name=True) == golden["json"]
    assert message.SerializeToString(deterministic=True).hex() == golden["bytes"]


def test_every_declared_message_has_golden_bytes():
    declared = {each.message.rpartition(".")[2] for each in TOPICS if each.message}
    assert declared <= {golden["message"] for golden in GOLDEN}
