"""Orders of the supervisor to the broker: there and back, and rubbish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.access import AccessRule, Declared
from daemoneye.bus.orders import (
    Admit,
    Credential,
    Ended,
    Order,
    Rules,
    Say,
    decode_order,
    encode_order,
)
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.bus.topics import TopicFilter
from daemoneye.errors import LocalProtocolError, RemoteProtocolError

KEY = bytes(range(32))
WORKER = Credential(
    "w", "worker", KEY, incarnation=3, pid=4, declared=Declared((TopicFilter("a.b"),), ())
)


@pytest.mark.parametrize(
    "order",
    [
        Rules(),
        Rules((AccessRule("role:worker", "read-only", "a.#", deny=True),), {"connections": 5.0}),
        Rules(clients=(WORKER, Credential("dashboard", "observer", KEY))),
        Admit(WORKER),
        Admit(Credential("procmond", "collector", KEY, kind="process")),
        Ended("procmond", 3, "signal:9"),
        Say("control.health.status", b"x", "text/plain", "me", True),
    ],
)
def test_an_order_comes_back(order: Order) -> None:
    assert decode_order(encode_order(order)) == order


def test_nothing_declared_is_not_the_same_as_not_declaring() -> None:
    nothing = decode_order(encode_order(Admit(WORKER)))
    assert isinstance(nothing, Admit)
    assert nothing.credential.declared.subscribes == ()


def test_a_key_is_not_shown() -> None:
    assert repr(KEY)[2:-1] not in repr(WORKER)
    assert repr(KEY)[2:-1] not in repr(Rules(clients=(WORKER,)))


def test_a_number_out_of_range_is_a_local_error() -> None:
    with pytest.raises(LocalProtocolError):
        encode_order(Ended("a", -1, "x"))


@pytest.mark.parametrize(
    "order",
    [
        pb.BrokerOrder(),
        pb.BrokerOrder(rules=pb.BrokerRules(rules=[pb.AccessRule(who="?", access="x")])),
        pb.BrokerOrder(admit=pb.Credential(publishes=["a.*"], declares_publishes=True)),
        pb.BrokerOrder(admit=pb.Credential(identity="", role="agent", key=KEY)),
        pb.BrokerOrder(rules=pb.BrokerRules(clients=[pb.Credential(identity="../x", role="x")])),
        pb.BrokerOrder(admit=pb.Credential(identity="a.b", role="agent", key=KEY)),
        pb.BrokerOrder(admit=pb.Credential(identity="a\x1b[2J", role="agent", key=KEY)),
        pb.BrokerOrder(admit=pb.Credential(identity="a" * 65, role="agent", key=KEY)),
        pb.BrokerOrder(admit=pb.Credential(identity="a", role="", key=KEY)),
        pb.BrokerOrder(admit=pb.Credential(identity="a", role="agent", kind="K", key=KEY)),
        pb.BrokerOrder(admit=pb.Credential(identity="a", role="agent")),
        pb.BrokerOrder(admit=pb.Credential(identity="a", role="agent", key=KEY[1:])),
    ],
)
def test_an_order_that_means_nothing_is_refused(order: pb.BrokerOrder) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_order(order.SerializeToString())


@given(st.binary(max_size=80))
def test_rubbish_raises_nothing_but_a_protocol_error(raw: bytes) -> None:
    try:
        decode_order(raw)
    except RemoteProtocolError:
        pass
