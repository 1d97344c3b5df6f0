"""Every kind of frame: golden bytes and back, and numbers that do not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemoneye.bus.codecs import CODEC_OF_KIND, CODECS
from daemoneye.bus.envelope import Publisher
from daemoneye.bus.frames import decode, encode
from daemoneye.bus.kinds import (
    Answer,
    Cancel,
    Challenge,
    Chunk,
    Clear,
    ClientRow,
    Confirm,
    Credit,
    Goodbye,
    Hello,
    Notice,
    Ping,
    Pong,
    Proof,
    Query,
    Refusal,
    Release,
    Reply,
    RetainedRow,
    Settle,
    StreamMark,
    Subscribe,
    SubscriptionRow,
    TopicRow,
    Unsubscribe,
    Value,
    Welcome,
    Will,
)
from daemoneye.bus.proto import frames_pb2 as pb
from daemoneye.bus.terms import Carriage, Choice, Overflow, Replay, Resumption, Selection, Settling
from daemoneye.errors import LocalProtocolError, RemoteProtocolError

GOLDEN: list[tuple[Value, str]] = [
    (Hello(1, "procmond", 3, b"n"), "080122110801120870726f636d6f6e64180322016e"),
    (Challenge(b"n", 7), "080222050a016e1007"),
    (Proof(b"m"), "080322030a016d"),
    (Welcome(b"m", "agent", 1 << 20, 5.0, 3), "080422130a016d12056167656e74188080402088272803"),
    (Refusal("busy", "x"), "080522090a0462757379120178"),
    (Subscribe(1, "a.#", Overflow.LATEST, 2, 3, 4, 5, "g", request=6),
     "080b1203612e23220f0801100318022003280430053a01677806"),
    (Unsubscribe(1, 2), "080c220208017802"),
    (Credit(1, 2, 3), "080d2206080110021803"),
    (Query("access", "me", "publish", "a.b", 2),
     "080e2214080312026d651a077075626c6973682203612e627802"),
    (Goodbye(), "080f"),
    (Answer(2, "NoResponder", "d", "h", "r", 3, ("a.#",)),
     "0814221d0a0b4e6f526573706f6e6465721201641a016822017228033203612e237802"),
    (StreamMark((1, 300), {"overflow": 2}), "081522130a0301ac02120c0a086f766572666c6f771002"),
    (Notice("denied", "a.b", "d", "r", 4), "081622150a0664656e6965641203612e621a01642201722804"),
    (Confirm(1024), "08172203088008"),
    (Ping(), "081e"),
    (Pong(9), "081f7809"),
    (Release((1, 300)), "081022050a0301ac02"),
    (Chunk(2, 300, 5, b"xy"), "0820220278798001ac02880102900105"),
]  # fmt: skip


GOLDEN_DELIVERY: list[tuple[Value, str]] = [
    (Proof(b"m", 5, 300, (1, 300)), "0803220d0a016d100518ac02220301ac02"),
    (Welcome(b"m", "a", 256, 5.0, 3, session=5, resumption=Resumption.PARTIAL, taken=300),
     "080422150a016d12016118800220882728035805600268ac02"),
    (Subscribe(1, "a.#", group="g", choice=Choice.STANDBY, replay=Replay.NONE),
     "080b1203612e23220908013a016740045003"),
    (Subscribe(1, "a.b", serve=True, selection=Selection("i", "s", (("k", "v"),)), request=2),
     "080b1203612e622214080148015a0e0a01691201731a060a016b1201767802"),
    (Settle(Settling.RETRY, (1, 300), 2.0, request=3),
     "081122100802120301ac021900000000000000407803"),
    (Settle(Settling.REJECT, (2,), reason="r"), "081122080803120102220172"),
    (Cancel(4), "08137804"),
    (Clear("a.b", 5), "08191203612e627805"),
    (Will("a.b", b"x", "t", True, 6),
     "08181203612e621801220d0a01781208000000000000000060016a01747806"),
    (Will(request=6), "081818017806"),
    (Reply(7, 0, "t", b"x", 9), "08211801220c0a01781109000000000000006a0174d00107"),
    (Reply(0, 8, "", b"", 9, "no", Publisher("p", "r", 3, 4)),
     "08211801220d1109000000000000001a026e6f7808a2010170a80103b00104c2010172"),
    (Notice("cancelled", delivery=7), "0816220d0a0963616e63656c6c65643007"),
    (Query("retained", topic="a.#", request=2), "080e220708042203612e237802"),
    (Answer(2, retained=(RetainedRow("a.b", "p", 3, 4, 5, 6, "t"),)),
     "081422154a130a03612e6212017018032004280530063a01747802"),
    (Answer(2, topics=(TopicRow("a.b", 1, 2, True),)), "0814220d520b0a03612e621001180220017802"),
]  # fmt: skip
EVERY = GOLDEN + GOLDEN_DELIVERY

GOLDEN_CARRIAGE: list[tuple[Value, str]] = [
    (Hello(1, "a", 3, b"n", descriptors=True, max_payload_bytes=256),
     "0801220f08011201611803" "22016e" "2801" "308002"),
    (Welcome(b"m", "a", 256, 5.0, 3, Carriage(True, 256, 128)),
     "080422160a016d120161" "188002" "208827" "2803" "4001" "488002" "508001"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "golden"), GOLDEN_CARRIAGE, ids=lambda x: type(x).__name__)
def test_how_large_payloads_travel_is_said_in_the_handshake(value: Value, golden: str) -> None:
    assert encode(value).hex() == golden
    assert decode(bytes.fromhex(golden)) == value


@pytest.mark.parametrize(("value", "golden"), EVERY, ids=lambda x: type(x).__name__)
def test_a_value_has_these_bytes_and_comes_back(value: Value, golden: str) -> None:
    raw = bytes.fromhex(golden)
    assert encode(value).hex() == raw.hex()
    assert decode(raw) == value


def test_every_kind_of_frame_has_a_codec_but_those_with_a_batch() -> None:
    kinds = {number for name, number in pb.Kind.items() if name != "KIND_UNSPECIFIED"}
    assert set(CODEC_OF_KIND) == kinds - {pb.KIND_PUBLISH, pb.KIND_CALL}
    assert {type(value) for value, _ in EVERY} == set(CODECS)


WORDS = st.text(max_size=8).filter(lambda text: text.isprintable())
NUMBERS = st.integers(0, 2**64 - 1)
SMALL = st.integers(0, 2**32 - 1)
ROWS = st.builds(
    ClientRow, WORDS, WORDS, SMALL, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, SMALL
)
SUBSCRIPTION_ROWS = st.builds(
    SubscriptionRow, WORDS, NUMBERS, WORDS, WORDS, NUMBERS, NUMBERS, NUMBERS
)


def tagged(tags: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(tags.items()))


@given(
    st.builds(
        Answer, NUMBERS, WORDS, WORDS, WORDS, WORDS, SMALL,
        st.lists(WORDS, max_size=3).map(tuple),
        st.lists(ROWS, max_size=3).map(tuple),
        st.lists(SUBSCRIPTION_ROWS, max_size=3).map(tuple),
    )
)  # fmt: skip
def test_an_answer_comes_back(answer: Answer) -> None:
    assert decode(encode(answer)) == answer


@given(
    st.builds(StreamMark, st.lists(NUMBERS).map(tuple), st.dictionaries(WORDS, NUMBERS))
    | st.builds(
        Subscribe, NUMBERS, WORDS, st.sampled_from(Overflow), SMALL, NUMBERS, NUMBERS, NUMBERS,
        WORDS, st.sampled_from(Choice), st.booleans(), st.sampled_from(Replay),
        st.builds(Selection, WORDS, WORDS, st.dictionaries(WORDS, WORDS).map(tagged)), NUMBERS,
    )
    | st.builds(Notice, WORDS, WORDS, WORDS, WORDS, NUMBERS, NUMBERS)
    | st.builds(Proof, st.binary(), NUMBERS, NUMBERS, st.lists(NUMBERS).map(tuple))
    | st.builds(
        Settle, st.sampled_from(Settling), st.lists(NUMBERS).map(tuple),
        st.floats(0, 1e9), WORDS, NUMBERS,
    )
    | st.builds(Reply, NUMBERS, NUMBERS, WORDS, st.binary(), NUMBERS, WORDS)
)  # fmt: skip
def test_values_come_back(value: Value) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "value", [Credit(1, -1, 0), Subscribe(1, "a", max_messages=2**32), Confirm(2**64)]
)
def test_a_number_out_of_range_is_a_local_error(value: Value) -> None:
    with pytest.raises(LocalProtocolError, match="cannot be said"):
        encode(value)


def test_a_release_of_more_than_anybody_has_is_told() -> None:
    most = Release(tuple(range(1, 4097)))
    assert decode(encode(most)) == most
    with pytest.raises(RemoteProtocolError, match="4097 descriptors"):
        decode(encode(Release((*most.parcels, 1))))


def test_an_unknown_overflow_policy_is_told() -> None:
    body = pb.SubscribeOptions(subscription=1, overflow=77)  # type: ignore[arg-type]  # unknown on purpose
    raw = pb.Frame(kind=pb.KIND_SUBSCRIBE, topic="a", body=body.SerializeToString())
    with pytest.raises(RemoteProtocolError, match="77"):
        decode(raw.SerializeToString())


def test_an_unknown_query_is_told() -> None:
    raw = pb.Frame(kind=pb.KIND_QUERY, body=pb.Query().SerializeToString())
    with pytest.raises(RemoteProtocolError, match="unknown thing"):
        decode(raw.SerializeToString())
